"""POSIX expressions for RE2."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postfix.posix import compile_posix, translate


class PosixTests(SynchronousTestCase):
    """What matches, and what is refused."""

    def matches(self, pattern: str, text: str, multi_line: bool = False) -> bool:
        """Whether the pattern is found in the text, in its case."""
        return compile_posix(pattern, False, multi_line).search(text) is not None

    def test_brackets(self) -> None:
        """Inside brackets a backslash is a backslash, and ] may come first."""
        for pattern, yes, no in (
            (r"^[\.]$", "\\", "x"),
            (r"^[\d]$", "d", "5"),
            ("^[]a]$", "]", "b"),
            ("^[^]a]$", "b", "]"),
            ("^[a-c]$", "b", "-"),
            ("^[a-]$", "-", "b"),
            ("^[-a]$", "-", "b"),
            ("^[[:digit:]x]$", "5", "d"),
            ("^[a[]$", "[", "b"),
            ("^[a^]$", "^", "b"),
        ):
            self.assertTrue(self.matches(pattern, yes), pattern)
            self.assertFalse(self.matches(pattern, no), pattern)

    def test_longest(self) -> None:
        """The longest match at the leftmost place, not the first alternative."""
        self.assertEqual(compile_posix("a|ab", True, False).search("xab").group(), "ab")

    def test_lines(self) -> None:
        """^ and $ are the text's ends; with the flag m those of its lines."""
        self.assertFalse(self.matches("^b", "a\nb"))
        self.assertTrue(self.matches("^b", "a\nb", True))
        self.assertTrue(self.matches("a.b", "a\nb"))
        self.assertFalse(self.matches("a.b", "a\nb", True))

    def test_letters(self) -> None:
        r"""\w, \s and \b are GNU's and RE2's alike."""
        self.assertTrue(self.matches(r"^\w+\.\w+$", "a.b"))
        self.assertTrue(self.matches(r"\bb", "a b"))

    def test_refused(self) -> None:
        """What RE2 would read in another way, or cannot read."""
        for pattern in (
            r"(a)\1",
            r"\<a",
            r"a\>",
            r"\d",
            r"\n",
            r"\`a",
            "a\\",
            "a{,3}",
            "[a",
            "[[.a.]]",
            "[[=a=]]",
            "[[:digit",
            "(a",
            "a**",
            "a+?",
            "a{2}?",
            "(a)*{3}",
            "(?i)a",
        ):
            self.assertRaises(ValueError, compile_posix, pattern, True, False)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text("ab@+()|.", max_size=10))
    def test_unchanged(self, pattern: str) -> None:
        """Without backslashes, brackets and braces nothing is rewritten."""
        pattern = pattern.replace("++", "+a").replace("++", "+a")
        self.assertEqual(translate(pattern), pattern)
