"""The catalogue and the layout fit each other."""

from __future__ import annotations

from collections.abc import Iterator

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalogue import GROUPS, OURS, PEERS, REFERENCE
from benchmarks.layout import BOUNDS, COMPARISONS, RATES, SECTIONS, Cell
from benchmarks.peers import all_peers


def cells() -> Iterator[Cell]:
    """Everything that is shown of mailroute and of what it is compared with."""
    for section in (*SECTIONS, RATES):
        for line in section.lines:
            yield from (line.cell(OURS), line.cell(REFERENCE))
    for comparison in COMPARISONS:
        yield from (comparison.above, comparison.below)
    for bound in BOUNDS:
        yield bound.cell


class FitTests(SynchronousTestCase):
    """What is shown is measured."""

    def test_every_cell_is_measured(self) -> None:
        """Each scenario and peer that is shown belongs to one group."""
        measured = {
            (scenario.name, peer)
            for group in GROUPS
            for scenario in group.scenarios
            for peer in group.peers
        }
        for cell in cells():
            self.assertIn((cell.scenario, cell.peer), measured)

    def test_names_are_unique(self) -> None:
        """A name chooses one scenario."""
        names = [scenario.name for group in GROUPS for scenario in group.scenarios]
        self.assertEqual(len(names), len(set(names)))

    def test_peers_exist(self) -> None:
        """Every peer that is named can be made."""
        peers = all_peers("python3")
        for name in {*PEERS, *(peer for group in GROUPS for peer in group.peers)}:
            self.assertIn(name, peers)

    def test_limits(self) -> None:
        """Only mailroute has targets; an aim is stricter than its target."""
        for section in SECTIONS:
            for line in section.lines:
                self.assertIsNone(line.comparison("dovecot").at_most)
                self.assertEqual(line.comparison(OURS).at_most, line.at_most)
                if line.aim is not None and line.at_most is not None:
                    self.assertLess(line.aim, line.at_most)
