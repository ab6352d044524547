"""Logical lines of Postfix's files: comments, empty lines and continuations."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass

from mailroute.errors import ConfigurationError

BLANKS = " \t\r\n\f\v"
"""C's isspace: what Postfix takes for white space.  Unicode's other blanks are data."""


@dataclass(frozen=True, slots=True)
class LogicalLine:
    """A line with its continuations; ``number`` is where it begins, counted from 1."""

    number: int
    text: str


def logical_lines(content: str) -> Iterator[LogicalLine]:
    """Yield the logical lines.

    Empty lines and lines whose first sign is ``#`` are ignored, between continuations, too.  A
    line that begins with white space goes on with the one before; without one it is dropped,
    as Postfix drops it.
    """
    number = 0
    pieces: list[str] = []
    # Not by split: in a thread it would hold everybody up, for it is a single step.
    for index, whole in enumerate(io.StringIO(content, newline="\n"), 1):
        line = whole.removesuffix("\n")
        stripped = line.strip(BLANKS)
        if not stripped or stripped.startswith("#"):
            continue
        if line[0] in BLANKS:
            if pieces:
                pieces.append(line)
            continue
        if pieces:
            yield LogicalLine(number, "".join(pieces))
        number, pieces = index, [line]
    if pieces:
        yield LogicalLine(number, "".join(pieces))


def read_text(path: str, what: str) -> str:
    """Read a file of UTF-8.

    Octets that are none become lone surrogates: a line that has one is the reader's business.
    Raises ConfigurationError, worded with ``what``, if the file cannot be read.
    """
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as file:
            return file.read()
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise ConfigurationError([f"{what}: {path} cannot be read: {reason}"]) from None


def is_utf8(text: str) -> bool:
    """Whether the text can be written in UTF-8: it has no lone surrogates."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def name_and_value(line: str) -> tuple[str, str]:
    """Cut ``name = value``.  Raises ValueError, worded for the reader, where there is none."""
    name, sign, value = line.partition("=")
    name = name.strip(BLANKS)
    if not name:
        raise ValueError("there is no name before the '='" if sign else "there is no '='")
    if not sign or any(blank in name for blank in BLANKS):
        raise ValueError("write name = value")
    return name, value.strip(BLANKS)
