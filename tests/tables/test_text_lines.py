"""The lines of a text file."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables import text_lines
from mailroute.tables.text_lines import LINE_LIMIT_OCTETS, read_lines


class TextLinesTests(SynchronousTestCase):
    """What a reader is given."""

    def read(self, text: bytes) -> list[str]:
        """The lines of a file."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(text)
        lines: list[str] = []
        self.lines = lines
        read_lines(str(self.path), lines.append)
        return lines

    def faults(self, text: bytes) -> list[str]:
        """What is wrong with the text, without the file's name."""
        error = self.assertRaises(ConfigurationError, self.read, text)
        return [complaint.removeprefix(f"{self.path}:") for complaint in error.complaints]

    def test_lines(self) -> None:
        """A line ends at a line feed; a mark of the byte order at the beginning is no part."""
        self.assertEqual(self.read(b""), [])
        self.assertEqual(self.read(b"\xef\xbb\xbf"), [])
        self.assertEqual(self.read(b"a\nb"), ["a", "b"])
        self.assertEqual(self.read(b"\xef\xbb\xbfa\r\n\nb\x0bc\n d"), ["a\r", "", "b\x0bc", " d"])

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text("a\n\u20ac"), st.integers(min_value=3, max_value=9))
    def test_blocks(self, text: str, octets: int) -> None:
        """However it is read, the lines are the same, also where a block splits a character."""
        whole = self.read(text.encode())
        self.assertEqual(whole, text.removesuffix("\n").split("\n") if text else [])
        patched = self.patch(text_lines, "_BLOCK_OCTETS", octets)
        self.assertEqual(self.read(text.encode()), whole)
        patched.restore()

    def test_length(self) -> None:
        """A line may have 64 KiB, in octets, and none may have more: wherever it stands."""
        for sign in ("v", "\u20ac"):
            longest = sign * (LINE_LIMIT_OCTETS // len(sign.encode()))
            text = f"a\n{longest}\nb\n".encode()
            self.assertEqual(self.read(text), ["a", longest, "b"])
            faults = self.faults(text.replace(b"\nb", b"vv\nb"))
            self.assertEqual(faults, ["2: the line is longer than 65536 octets"])
            self.assertEqual(self.lines, ["a", "b"])

    def test_endless_line(self) -> None:
        """A line without an end is not read to its end."""
        self.patch(text_lines, "_BLOCK_OCTETS", LINE_LIMIT_OCTETS)
        faults = self.faults(b"a\n" + b"v" * 5 * LINE_LIMIT_OCTETS + b"\n\xff\n")
        self.assertEqual(faults, ["2: the line is longer than 65536 octets"])

    def test_not_text(self) -> None:
        """A line that is not UTF-8 is a fault, and the only one of its block."""
        self.assertEqual(self.faults(b"a\n\xff\n\xc3\xa4\n"), ["2: the line is not UTF-8 text"])
        self.assertEqual(self.lines, ["a", "\u00e4"])

    def test_refused(self) -> None:
        """What the reader refuses is a fault with its line; after many nothing more is told."""
        path = Path(self.mktemp())
        path.write_text("1\nx\n2\n")
        error = self.assertRaises(ConfigurationError, read_lines, str(path), int)
        self.assertEqual(len(error.complaints), 1)
        self.assertTrue(error.complaints[0].startswith(f"{path}:2: invalid literal"))
        path.write_text("x\n" * 1000)
        error = self.assertRaises(ConfigurationError, read_lines, str(path), int)
        self.assertEqual(len(error.complaints), 20)

    def test_missing(self) -> None:
        """A file that is not there has no lines, and is no empty one."""
        self.assertRaises(OSError, read_lines, self.mktemp(), int)
