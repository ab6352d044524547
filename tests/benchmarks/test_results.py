"""Results: which runs count, and how they are kept."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import Spread
from benchmarks.layout import Cell, Comparison
from benchmarks.results import Results, Sample, load_results

CELL = Cell("s", "p", "cpu_us")


def sample(number: int, value: float, *problems: str, peer: str = "p") -> Sample:
    """A run of scenario s."""
    return Sample("s", peer, number, {"cpu_us": value}, list(problems))


class CountingTests(SynchronousTestCase):
    """Only clean runs count."""

    def test_runs_with_problems(self) -> None:
        """They are told, and have no part in the figures."""
        results = Results(samples=[sample(1, 5), sample(2, 1, "lost a login"), sample(3, 7)])
        self.assertEqual(results.spread(CELL), Spread(6, 5, 7, 2))
        self.assertEqual(results.problems(), ["s with p, round 2: lost a login"])

    def test_ratio(self) -> None:
        """A pair of which one run does not count is no pair."""
        runs = [sample(1, 6), sample(2, 8), sample(1, 3, peer="q"), sample(2, 1, "x", peer="q")]
        comparison = Comparison("", CELL, Cell("s", "q", "cpu_us"))
        self.assertEqual(Results(samples=runs).ratio(comparison), Spread(2, 2, 2, 1))

    def test_missing_figure(self) -> None:
        """A run without the figure is no error."""
        self.assertIsNone(Results(samples=[sample(1, 5)]).spread(Cell("s", "p", "p99_ms")))


class KeepingTests(SynchronousTestCase):
    """JSON and back."""

    def test_joined(self) -> None:
        """Rounds of a second file follow those of the first: pairs stay pairs."""
        paths = [Path(self.mktemp()), Path(self.mktemp())]
        Results({"a": "1"}, {"p": "x"}, {}, [sample(1, 5), sample(2, 6)]).save(paths[0])
        Results({"b": "2"}, {}, {"q": "gone"}, [sample(1, 7)]).save(paths[1])
        joined = load_results(paths)
        self.assertEqual(joined.by_round(CELL), {1: 5, 2: 6, 3: 7})
        self.assertEqual((joined.machine, joined.left_out), ({"a": "1", "b": "2"}, {"q": "gone"}))
