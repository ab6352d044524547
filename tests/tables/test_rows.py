"""Rows made of drivers' values."""

from __future__ import annotations

import datetime
from decimal import Decimal

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Row
from mailroute.tables.rows import RowReader, text_of


class RowReaderTests(SynchronousTestCase):
    """The first column is the destination, others count by name."""

    def setUp(self) -> None:
        """A reader that notes its warnings."""
        self.warnings: list[str] = []
        self.reader = RowReader(self.warnings.append)

    def destination(self, value: object) -> str | None:
        """The destination that a value of the first column makes."""
        row = self.reader.read(["d"], [value])
        return None if row is None else row.destination

    def test_values(self) -> None:
        """Text is trimmed, whole numbers are decimal text, bytes are UTF-8."""
        for value, expected in (
            (" east\t\n", "east"),
            (7, "7"),
            (2**70, str(2**70)),
            (7.0, "7"),
            (Decimal("7.00"), "7"),
            (b"\xc3\xb8st ", "øst"),
            (bytearray(b"e"), "e"),
            (memoryview(b"e"), "e"),
            (True, "true"),
        ):
            self.assertEqual(self.destination(value), expected)

    def test_no_text(self) -> None:
        """What is no text is a failure, never absence and never a guess."""
        for value in (
            b"\xff",
            7.5,
            float("nan"),
            float("inf"),
            Decimal("NaN"),
            Decimal("Infinity"),
            datetime.date(2020, 1, 1),
            ["a"],
            {"a": 1},
        ):
            self.assertRaises(LookupFailed, self.reader.read, ["d"], [value])
            self.assertRaises(LookupFailed, self.reader.read, ["d", "host"], ["e", value])
        self.assertRaises(LookupFailed, self.reader.read, [], [])

    def test_absent(self) -> None:
        """NULL or empty, and nothing in a known column: absent."""
        for nothing in (None, "", "  ", b""):
            self.assertIsNone(self.reader.read(["d"], [nothing]))
            self.assertIsNone(self.reader.read(["d", "host", "x"], [nothing, nothing, "y"]))

    def test_columns(self) -> None:
        """Known columns by name in any case; the first column's name means nothing."""
        names = ["port", "HOST", "port", "Tls_Name", "username", "username"]
        row = self.reader.read(names, ["east", "h", 993, "", "a", "b"])
        self.assertEqual(row, Row("east", {"host": "h", "port": "993", "username": "a"}))

    def test_columns_alone(self) -> None:
        """Without a destination a known column still makes a row."""
        self.assertEqual(self.reader.read(["d", "host"], [None, "h"]), Row(None, {"host": "h"}))

    def test_unknown_columns(self) -> None:
        """They are ignored, whatever their values, and named in one warning."""
        for _ in range(3):
            row = self.reader.read(["d", "created", "x"], ["east", datetime.date.today(), b"\xff"])
            self.assertEqual(row, Row("east"))
        self.assertEqual(len(self.warnings), 1)
        self.assertIn("created, x", self.warnings[0])


class TextTests(SynchronousTestCase):
    """Values of tables whose every value is text."""

    def test_values(self) -> None:
        """Text stays as it is, blanks too; numbers become their text."""
        for value, expected in (
            ("", ""),
            (" a\n", " a\n"),
            (5, "5"),
            (5.0, "5"),
            (1.5, "1.5"),
            (Decimal("1.50"), "1.50"),
            (Decimal("7.00"), "7"),
            (True, "true"),
            (False, "false"),
            (b"\xc3\xb8", "ø"),
            (memoryview(b"e"), "e"),
        ):
            self.assertEqual(text_of(value), expected)

    def test_no_text(self) -> None:
        """NULL and what is no text fail: they are no absence."""
        for value in (None, b"\xff", datetime.date(2024, 1, 1), [], object()):
            self.assertRaises(LookupFailed, text_of, value)
