"""Logical lines, and what stands in them."""

from __future__ import annotations

import os
import tempfile

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.lines import is_utf8, logical_lines, name_and_value, read_text


class LineTests(SynchronousTestCase):
    """Comments, empty lines, continuations."""

    def lines(self, content: str) -> list[tuple[int, str]]:
        """The lines of a content."""
        return [(line.number, line.text) for line in logical_lines(content)]

    def test_comments(self) -> None:
        """A # that comes first makes a comment; a later one is data."""
        content = "# no\n  # neither\n\n \t \na = 1 # data\n"
        self.assertEqual(self.lines(content), [(5, "a = 1 # data")])

    def test_continuation(self) -> None:
        """White space at the beginning goes on with the line before; comments may stand between."""
        content = "a = 1,\n# between\n\n  2,\n   # indented\n\t3\nb = 4"
        self.assertEqual(self.lines(content), [(1, "a = 1,  2,\t3"), (7, "b = 4")])

    def test_nothing_to_go_on_with(self) -> None:
        """A continuation of nothing is dropped."""
        self.assertEqual(self.lines("  a = 1\n b\nc = 2\n"), [(3, "c = 2")])

    def test_other_blanks(self) -> None:
        """Only C's white space counts: U+00A0 and U+2028 are data."""
        self.assertEqual(self.lines("\u00a0a\u2028b\n"), [(1, "\u00a0a\u2028b")])

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.lists(st.text("abc =#", min_size=1), max_size=5))
    def test_plain(self, texts: list[str]) -> None:
        """A line that begins with neither white space nor # stays as it is."""
        texts = [f"x{text}" for text in texts]
        self.assertEqual([text for _, text in self.lines("\n".join(texts))], texts)

    def test_name_and_value(self) -> None:
        """Spaces round the = and at the end go; the value may hold another =."""
        self.assertEqual(name_and_value("a  =  b = 'c' \t"), ("a", "b = 'c'"))
        self.assertEqual(name_and_value("a="), ("a", ""))
        for bad in ("a", "= b", "", "a b = c"):
            self.assertRaises(ValueError, name_and_value, bad)

    def test_read(self) -> None:
        """A file that cannot be read is a complaint with its name; octets are kept."""
        folder = self.mktemp()
        os.mkdir(folder)
        path = os.path.join(folder, "f")
        with open(path, "wb") as file:
            file.write(b"a\r\n\xff")
        text = read_text(path, "x:y")
        self.assertEqual(text, "a\r\n\udcff")
        self.assertFalse(is_utf8(text))
        self.assertTrue(is_utf8("ä"))
        complaint = self.assertRaises(ConfigurationError, read_text, f"{path}.no", "x:y")
        self.assertIn(f"x:y: {path}.no cannot be read: No such file", str(complaint))
        self.assertRaises(ConfigurationError, read_text, tempfile.gettempdir(), "x:y")
