"""The mapping as CSV (RFC 4180): a line of names, then an account and its destination on each."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TextIO

IDENTIFIER = "identifier"
DESTINATION = "destination"
ENCODING = "utf-8-sig"
ERRORS = "surrogateescape"
"""What is no UTF-8 is found where it stands, see ``read_lines``."""


@dataclass(frozen=True, slots=True)
class Line:
    """An account and where it shall live."""

    number: int
    """Of the file's line where it begins, from 1 on."""
    identifier: str
    destination: str


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that cannot be used, and why."""

    number: int
    reason: str


class NotCsv(Exception):
    """The file cannot be read further: from here on nobody can tell where a line ends."""


def read_lines(file: TextIO) -> Iterator[Line | Fault]:
    """Read a file that is open with ENCODING, ERRORS and ``newline=""``.

    The columns may come in any order; empty lines are ignored.  Raises NotCsv.
    """
    rows = csv.reader(file, strict=True)
    number = 1
    try:
        columns = _columns(next(rows, []))
        while True:
            number = rows.line_num + 1
            row = next(rows, None)
            if row is None:
                return
            if row:
                yield _line(number, row, columns)
    except csv.Error as error:
        raise NotCsv(f"what begins in line {number} is no CSV: {error}") from None


def _columns(names: list[str]) -> dict[str, int]:
    """Where the columns are.  Raises NotCsv."""
    found = [name.strip().lower() for name in names]
    if sorted(found) != sorted((IDENTIFIER, DESTINATION)):
        raise NotCsv(f"line 1: the names of the columns have to be {IDENTIFIER} and {DESTINATION}")
    return {name: place for place, name in enumerate(found)}


def _line(number: int, row: list[str], columns: dict[str, int]) -> Line | Fault:
    if len(row) != len(columns):
        return Fault(number, f"there are {len(row)} values, not {len(columns)}")
    try:
        "".join(row).encode("utf-8")
    except UnicodeEncodeError:
        return Fault(number, "it is not UTF-8")
    return Line(number, row[columns[IDENTIFIER]], row[columns[DESTINATION]])


def write_lines(accounts: Iterable[tuple[str, str]], file: TextIO) -> None:
    """Write accounts and destinations as ``read_lines`` reads them."""
    # RFC 4180, section 2, has line breaks of two octets.
    writer = csv.writer(file, lineterminator="\r\n")
    writer.writerow((IDENTIFIER, DESTINATION))
    writer.writerows(accounts)
