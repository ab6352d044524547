"""Lists whose items may stand in braces."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postfix.braces import balanced, inside_braces, items, stripped


class BraceTests(SynchronousTestCase):
    """Braces and separators."""

    def test_items(self) -> None:
        """Commas and white space separate, but not inside braces."""
        for text, expected in {
            "": [],
            " , ": [],
            "a, b\tc\n": ["a", "b", "c"],
            "{a = b, c} d": ["{a = b, c}", "d"],
            "x:{a {b c} d},e": ["x:{a {b c} d}", "e"],
            "{a": ["{a"],
            "a} b": ["a}", "b"],
        }.items():
            self.assertEqual(items(text), expected, text)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.text("ab:=.", min_size=1), max_size=6))
    def test_round_trip(self, words: list[str]) -> None:
        """Words that are joined are found again."""
        self.assertEqual(items(" , ".join(words)), words)

    def test_balanced(self) -> None:
        """The brace that closes the first one, whatever is nested."""
        self.assertEqual(balanced("{a{b}c}d", 0), 7)
        self.assertEqual(balanced("x(a)", 1), 4)
        self.assertIsNone(balanced("{a{b}", 0))

    def test_inside(self) -> None:
        """Braces have to surround the whole, and something."""
        self.assertEqual(inside_braces("{a {b}}"), "a {b}")
        for bad in ("", "a", "{}", "{a}b", "{a"):
            self.assertRaises(ValueError, inside_braces, bad)

    def test_stripped(self) -> None:
        """An item in braces loses them and the blanks inside."""
        self.assertEqual(stripped("{ a b }"), "a b")
        self.assertEqual(stripped("a"), "a")
        for bad in ("{a", "{a}b"):
            self.assertRaises(ValueError, stripped, bad)
