"""The outcome of all runs, kept as JSON so that it can be shown again, or joined with others."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from benchmarks.figures import Spread, ratios, spread
from benchmarks.layout import Cell, Comparison


@dataclass(frozen=True, slots=True)
class Sample:
    """One run."""

    scenario: str
    peer: str
    round: int
    figures: dict[str, float]
    problems: list[str]


@dataclass(slots=True)
class Results:
    """All runs, and where they took place."""

    machine: dict[str, str] = field(default_factory=dict)
    peers: dict[str, str] = field(default_factory=dict)
    """What each peer is: its version and how it was configured."""
    left_out: dict[str, str] = field(default_factory=dict)
    """What was not measured, and why."""
    samples: list[Sample] = field(default_factory=list)

    def by_round(self, cell: Cell) -> dict[int, float]:
        """The figure in each round; runs with problems do not count."""
        return {
            sample.round: sample.figures[cell.figure]
            for sample in self.samples
            if (sample.scenario, sample.peer) == (cell.scenario, cell.peer)
            and not sample.problems
            and cell.figure in sample.figures
        }

    def spread(self, cell: Cell) -> Spread | None:
        """The figure over all rounds."""
        return spread(self.by_round(cell).values())

    def ratio(self, comparison: Comparison) -> Spread | None:
        """The comparison over all rounds."""
        return ratios(self.by_round(comparison.above), self.by_round(comparison.below))

    def problems(self) -> list[str]:
        """The runs that do not count, in words."""
        return [
            f"{sample.scenario} with {sample.peer}, round {sample.round}: {problem}"
            for sample in self.samples
            for problem in sample.problems
        ]

    def strangers_percent(self) -> float:
        """How much of the machine was used by others, in the worst run; 100 is all of it."""
        shares = (sample.figures.get("strangers_percent", 0.0) for sample in self.samples)
        return max(shares, default=0.0)

    def save(self, path: Path) -> None:
        """Write it down."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n")


def load_results(paths: Iterable[Path]) -> Results:
    """Read results; of several files, later rounds are counted on behind earlier ones."""
    joined = Results()
    for path in paths:
        raw = json.loads(path.read_text())
        offset = max((sample.round for sample in joined.samples), default=0)
        joined.machine |= raw["machine"]
        joined.peers |= raw["peers"]
        joined.left_out |= raw["left_out"]
        for sample in raw["samples"]:
            joined.samples.append(Sample(**{**sample, "round": sample["round"] + offset}))
    return joined
