"""Names with a ``*``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.patterns import is_pattern, label_of


class PatternTests(SynchronousTestCase):
    """What a pattern fits."""

    def test_label(self) -> None:
        """The * is one label of lower case letters, digits and hyphens."""
        for name, label in {
            "shard-1": "1",
            "shard-a-9": "a-9",
            "shard--": "-",
            f"shard-{'x' * 63}": "x" * 63,
        }.items():
            self.assertEqual(label_of("shard-*", name), label)
        self.assertEqual(label_of("a*z", "abz"), "b")
        self.assertEqual(label_of("*.example.org", "east.example.org"), "east")

    def test_no_label(self) -> None:
        """Nothing, a dot, upper case, other signs and more than 63 octets are no label."""
        for label in ("", "a.b", "A", "ä", "a b", "a_b", "a\n", "{1}", "*", "x" * 64, "²"):
            self.assertIsNone(label_of("shard-*", f"shard-{label}"), label)
        for name in ("", "shard", "shar-1", "xshard-1", "Shard-1"):
            self.assertIsNone(label_of("shard-*", name), name)

    def test_overlap(self) -> None:
        """What stands before the * and what stands behind it share no sign."""
        self.assertIsNone(label_of("aba*ab", "abab"))

    def test_is_pattern(self) -> None:
        """A * makes a name a pattern."""
        self.assertTrue(is_pattern("shard-*"))
        self.assertFalse(is_pattern("shard-1"))
