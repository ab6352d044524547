"""What is chosen on the command line."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.catalogue import GROUPS, PEERS
from benchmarks.options import read_options, select_groups, select_peers


class SelectTests(SynchronousTestCase):
    """Names and wildcards."""

    def names(self, patterns: str | None) -> list[str]:
        """The scenarios that are chosen."""
        groups = select_groups(GROUPS, patterns)
        return [scenario.name for group in groups for scenario in group.scenarios]

    def test_everything(self) -> None:
        """Nothing said, everything meant."""
        self.assertEqual(select_groups(GROUPS, None), list(GROUPS))
        self.assertEqual(select_peers(None), frozenset(PEERS))

    def test_groups_and_scenarios(self) -> None:
        """A group's name means all of it; scenarios are chosen one by one or by wildcard."""
        self.assertEqual(self.names("crowd"), ["crowd-4", "crowd-100", "crowd-400"])
        self.assertEqual(self.names("down,chat*"), ["down", "chat", "chat-tls"])

    def test_unknown(self) -> None:
        """A name that is nobody's is an error, not an empty run."""
        with self.assertRaises(ValueError):
            select_groups(GROUPS, "nothing")
        with self.assertRaises(ValueError):
            select_peers("nginx,apache")


class OptionsTests(SynchronousTestCase):
    """The whole command line."""

    def test_quick(self) -> None:
        """Less work in one round, unless rounds are asked for."""
        quick, full = read_options(["--quick"]), read_options([])
        assert quick is not None and full is not None
        self.assertEqual((quick.rounds, full.rounds, full.effort), (1, 5, 1.0))
        self.assertLess(quick.effort, full.effort)
        more = read_options(["--quick", "--repeat", "3"])
        assert more is not None
        self.assertEqual(more.rounds, 3)
