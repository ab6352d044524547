"""What an import tells: lines that cannot be used, what was written, what is left to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailroute.cli.loading import Plan, Step
from mailroute.cli.output import Output

FAULTS_SHOWN = 100
"""So many lines are named to people; programs are given all."""


@dataclass(slots=True)
class Report:
    """What has been done so far of a plan."""

    plan: Plan
    output: Output
    is_dry: bool = False
    """Nothing is written: what is counted would be."""
    names_all: bool = False
    """Every account that changes is named."""
    added: int = 0
    changed: int = 0
    last_line: int = 0

    def wrote(self, steps: Sequence[Step]) -> None:
        """Count steps."""
        for step in steps:
            if step.before is None:
                self.added += 1
            else:
                self.changed += 1
            self.last_line = step.line
            if self.names_all:
                self._name(step)

    def tell_faults(self) -> None:
        """Name the lines that cannot be used, to people."""
        if self.output.as_json:
            return
        for fault in self.plan.faults[:FAULTS_SHOWN]:
            self.output.note(f"line {fault.number}: {fault.reason}")
        if len(self.plan.faults) > FAULTS_SHOWN:
            self.output.note(f"and {len(self.plan.faults) - FAULTS_SHOWN} lines more")

    def tell(self) -> None:
        """Print the counts."""
        faults = [{"line": fault.number, "reason": fault.reason} for fault in self.plan.faults]
        counts = {"added": self.added, "changed": self.changed, "unchanged": self.plan.unchanged}
        data = {**counts, "refused": faults, "left": self._left, "dry_run": self.is_dry}
        words = ", ".join(f"{word} {count}" for word, count in counts.items())
        prefix = "would be " if self.is_dry else ""
        self.output.put(data, f"{prefix}{words}, refused {len(faults)}")

    def tell_rest(self) -> None:
        """Say how far it came, if it did not come to the end."""
        if self._left:
            # A lot that was under way may be written, too: only its answer is missing.
            how_far = f"up to line {self.last_line}" if self.last_line else "nothing"
            self.output.note(f"known to be written: {how_far}; run it again for the rest")

    @property
    def _left(self) -> int:
        return len(self.plan.steps) - self.added - self.changed

    def _name(self, step: Step) -> None:
        key, (destination, *_) = step.entry
        data = {"line": step.line, "identifier": key, "from": step.before, "to": destination}
        words = f"added {key}: " if step.before is None else f"changed {key}: {step.before} -> "
        self.output.put(data, f"line {step.line}: {words}{destination}")
