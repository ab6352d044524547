"""The mapping as CSV."""

from __future__ import annotations

import io

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.csv_form import ENCODING, ERRORS, Fault, Line, NotCsv, read_lines, write_lines

HEADER = "identifier,destination\r\n"


def read(octets: bytes | str) -> list[Line | Fault]:
    """What a file says."""
    raw = octets.encode() if isinstance(octets, str) else octets
    return list(read_lines(io.TextIOWrapper(io.BytesIO(raw), ENCODING, ERRORS, newline="")))


class ReadTests(SynchronousTestCase):
    """RFC 4180, section 2."""

    def test_lines(self) -> None:
        """Commas, quotes and line breaks inside of quotes are data; blanks are, too."""
        text = HEADER + 'joe,east\r\n"a ""b"", c",west\r\n"two\r\nlines",east\r\n x , y \n'
        self.assertEqual(
            read(text),
            [
                Line(2, "joe", "east"),
                Line(3, 'a "b", c', "west"),
                Line(4, "two\r\nlines", "east"),
                Line(6, " x ", " y "),
            ],
        )

    def test_endings(self) -> None:
        """Either line break, none at the end, empty lines, a byte order mark."""
        wanted = [Line(2, "joe", "east"), Line(4, "amy", "west")]
        text = "identifier,destination\njoe,east\n\namy,west"
        self.assertEqual(read(text), wanted)
        self.assertEqual(read(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode()), wanted)
        self.assertEqual(read(HEADER), [])

    def test_columns(self) -> None:
        """In any order, in upper or lower case."""
        self.assertEqual(read("Destination, Identifier\neast,joe\n"), [Line(2, "joe", "east")])

    def test_names(self) -> None:
        """Without the names nobody could tell what a column is; more than those are refused."""
        for text in ("", "joe,east\n", "identifier\n", "identifier,destination,host\n", "\n"):
            error = self.assertRaises(NotCsv, read, text)
            self.assertIn("line 1: the names of the columns", str(error))

    def test_faults(self) -> None:
        """A line with too much or too little, or not in UTF-8, is a fault with its number."""
        octets = HEADER.encode() + b"joe\r\na,b,c\r\n\xfcber,east\r\namy,east\r\n"
        first, second, third, good = read(octets)
        self.assertEqual((first, second), (Fault(2, NUMBER.format(1)), Fault(3, NUMBER.format(3))))
        self.assertEqual(third, Fault(4, "it is not UTF-8"))
        self.assertEqual(good, Line(5, "amy", "east"))

    def test_no_csv(self) -> None:
        """Behind a quotation mark without its partner nobody knows what is a line."""
        for text in (HEADER + 'joe,east\n"amy,west\nbob,east\n', HEADER + 'x,y\n"a"b,east\n'):
            error = self.assertRaises(NotCsv, read, text)
            self.assertIn("what begins in line 3 is no CSV", str(error))


NUMBER = "there are {} values, not 2"


class WriteTests(SynchronousTestCase):
    """What is written is read."""

    def test_round(self) -> None:
        """Odd names stay what they are; line breaks are those of the RFC."""
        accounts = [("joe", "east"), ('a "b", c', "west"), ("two\nlines", "a,b"), (" ü ", "")]
        file = io.StringIO(newline="")
        write_lines(accounts, file)
        text = file.getvalue()
        self.assertTrue(text.startswith(f"{HEADER}joe,east\r\n"), text)
        lines = [line for line in read(text) if isinstance(line, Line)]
        self.assertEqual([(line.identifier, line.destination) for line in lines], accounts)
