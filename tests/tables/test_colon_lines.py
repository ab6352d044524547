"""The lines of a table's file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.colon_lines import (
    LINE_LIMIT_OCTETS,
    Content,
    load,
    split_line,
    split_values,
    written,
)
from mailroute.tables.string_table import Entry


class LinesTests(SynchronousTestCase):
    """What stands in a file."""

    def load(self, text: str | bytes) -> Content:
        """The content of a file with this text."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load(str(self.path))

    def reads(self, text: str | bytes, *entries: Entry) -> None:
        """The text holds these entries and no others."""
        content = self.load(text)
        self.assertEqual(sorted(content.entries()), sorted(entries), text)
        self.assertEqual(len(content), len(entries))

    def faults(self, text: str | bytes) -> list[str]:
        """What is wrong with the text, without the file's name."""
        error = self.assertRaises(ConfigurationError, self.load, text)
        return [complaint.removeprefix(f"{self.path}:") for complaint in error.complaints]

    def test_entries(self) -> None:
        """A key leads to its value; case counts, and nothing but the exact key is found."""
        content = self.load("aaa: bbb\n")
        self.assertEqual(content.get("aaa"), ("bbb",))
        for absent in ("AAA", "aaa ", " aaa", "", "bbb", "aaa: bbb"):
            self.assertIsNone(content.get(absent))

    def test_white_space(self) -> None:
        """It does not count round keys and values, nor do blank lines, a BOM or the CR."""
        self.reads("   ccc: ddd   \n", ("ccc", ("ddd",)))
        self.reads("\ufeffa :b\r\n\n \t \r\nc d:\te f", ("a", ("b",)), ("c d", ("e f",)))

    def test_comments(self) -> None:
        """A # begins a comment in the first column only; a # later is data."""
        self.reads("#a: b\n# c: d\n", *())
        self.reads(" # x: y\nq: r # s\n", ("# x", ("y",)), ("q", ("r # s",)))

    def test_no_colon(self) -> None:
        """Without a colon the value is empty: found, not absent."""
        self.reads("foo\nbar:\n", ("foo", ("",)), ("bar", ("",)))

    def test_first_colon(self) -> None:
        """The first colon ends the key: a value may have colons, a key cannot."""
        self.reads("h: host:143\n", ("h", ("host:143",)))

    def test_commas(self) -> None:
        """A comma separates values."""
        self.reads("a@x.org: h1, h2\n", ("a@x.org", ("h1", "h2")))
        self.reads("a: b,\n", ("a", ("b", "")))

    def test_repeated_key(self) -> None:
        """The values of a repeated key are added, in order."""
        self.reads("d: 1\nx: y\nd: 2\nd\nd: 3,4\n", ("d", ("1", "2", "", "3", "4")), ("x", ("y",)))

    def test_quotes(self) -> None:
        """Quotes are data."""
        self.reads('"a b": "c"\n', ('"a b"', ('"c"',)))

    def test_empty_key(self) -> None:
        """A line without a key is a fault, told with its number; so is every other one."""
        faults = self.faults("a: b\n: v\n\n  : w\n")
        self.assertEqual([fault[:2] for fault in faults], ["2:", "4:"])
        self.assertIn("no key", faults[0])

    def test_not_text(self) -> None:
        """A line that is not UTF-8 is a fault."""
        self.assertEqual(self.faults(b"a: b\n\xff: c\n"), ["2: the line is not UTF-8 text"])

    def test_long_line(self) -> None:
        """A line over 64 KiB is a fault; one of just that length is none."""
        longest = "k: " + "v" * (LINE_LIMIT_OCTETS - 4)
        self.reads(f"{longest}\na: b\n", ("k", (longest[3:],)), ("a", ("b",)))
        faults = self.faults(f"a: b\n{longest}vv\n")
        self.assertEqual(len(faults), 1)
        self.assertIn("2: the line is longer than 65536", faults[0])

    def test_many_faults(self) -> None:
        """A file that is no table at all is not told of line by line."""
        self.assertEqual(len(self.faults(": x\n" * 1000)), 20)

    def test_missing(self) -> None:
        """A file that is not there is no empty table."""
        self.assertRaises(OSError, load, self.mktemp())

    def test_release(self) -> None:
        """All of the memory is given back."""
        content = self.load("a: b\n")
        content.release()
        self.assertEqual(len(content), 0)


class WrittenTests(SynchronousTestCase):
    """Lines of entries."""

    def test_lines(self) -> None:
        """A line is written as people write it."""
        self.assertEqual(written("a", ("b", "c")), "a: b, c\n")
        self.assertEqual(written("a", ("",)), "a:\n")

    def test_unwritable(self) -> None:
        """What a line cannot hold is refused, not changed."""
        for key in ("", " a", "a ", "a:b", "#a", "a\nb", "a\rb", "a" * LINE_LIMIT_OCTETS):
            self.assertRaises(ValueError, written, key, ("b",))
        for value in ("a,b", " a", "a ", "a\nb", "a\rb"):
            self.assertRaises(ValueError, written, "a", (value,))
        self.assertRaises(ValueError, written, "a", ())

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(), st.lists(st.text(), min_size=1, max_size=3))
    def test_round_trip(self, key: str, values: list[str]) -> None:
        """What is written is read back the same, or is refused."""
        try:
            line = written(key, tuple(values))
        except ValueError:
            return
        entry = split_line(line)
        assert entry is not None
        self.assertEqual(entry[0], key)
        self.assertEqual(split_values(entry[1]), tuple(values))
