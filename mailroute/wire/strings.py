"""Quoted strings, literals and astrings (RFC 3501 and RFC 9051 section 9, RFC 7888).

A value arrives as an atom, a quoted string or a literal.  Framing has already gathered the
literals' octets, so parsing here is a plain walk over one whole command.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_LITERAL = re.compile(rb"\{([0-9]+)(\+?)\}")
_COUNTABLE_DIGITS = 18
# atom-specials without the "]" that resp-specials add: ASTRING-CHAR allows it.  The list-wildcards
# "%" and "*" it does not, but servers take them: clients write "user%master" without quotes.
_ASTRING = re.compile(rb"""[^\x00-\x20\x7f-\xff(){"\\]+""")
_QUOTED = re.compile(rb'"((?:[^\x00\r\n"\\]|\\["\\])*)"')
_UNQUOTABLE = re.compile(rb'[\x00-\x1f\x7f-\xff"\\]')


class BadSyntax(Exception):
    """The command does not follow the grammar; the text is a short reason fit for the client."""


@dataclass(frozen=True, slots=True)
class LiteralHead:
    """The announcement of a literal at the end of a line."""

    size: int
    synchronizing: bool


def literal_head(line: bytes) -> LiteralHead | None:
    """The literal that this line announces, if it ends in ``{n}`` or ``{n+}``."""
    brace = line.rfind(b"{")
    match = _LITERAL.fullmatch(line, brace) if brace >= 0 else None
    return _head(match) if match else None


def _head(match: re.Match[bytes]) -> LiteralHead:
    # A number of any length announces octets that follow: it must not be read as mere text.
    digits = match[1].lstrip(b"0") or b"0"
    size = int(digits) if len(digits) <= _COUNTABLE_DIGITS else 10**_COUNTABLE_DIGITS
    return LiteralHead(size, synchronizing=not match[2])


@dataclass(slots=True)
class Command:
    """One whole command: its text, in which each literal is reduced to its announcement."""

    text: bytes = field(repr=False)
    literals: list[bytes] = field(repr=False)
    raw: bytes = field(default=b"", repr=False)
    """As it came, without the last line's end."""
    position: int = 0

    def at_end(self) -> bool:
        """Whether everything was consumed."""
        return self.position >= len(self.text)

    def space(self) -> None:
        """Consume one space; raises BadSyntax."""
        if self.text[self.position : self.position + 1] != b" ":
            raise BadSyntax("Missing argument" if self.at_end() else "Space expected")
        self.position += 1

    def atom(self) -> bytes:
        """Consume an atom (also one of ASTRING-CHARs); raises BadSyntax."""
        match = _ASTRING.match(self.text, self.position)
        if match is None:
            raise BadSyntax("Atom expected")
        self.position = match.end()
        return match[0]

    def string(self) -> bytes:
        """Consume a quoted string or a literal; raises BadSyntax."""
        match = _QUOTED.match(self.text, self.position)
        if match is not None:
            self.position = match.end()
            return re.sub(rb"\\(.)", rb"\1", match[1], flags=re.DOTALL)
        announcement = _LITERAL.match(self.text, self.position)
        if announcement is None:
            raise BadSyntax("String expected")
        if not self.literals or len(self.literals[0]) != _head(announcement).size:
            raise BadSyntax("Literal expected")
        self.position = announcement.end()
        return self.literals.pop(0)

    def astring(self) -> bytes:
        """Consume an atom, a quoted string or a literal; raises BadSyntax."""
        if self.text[self.position : self.position + 1] in (b'"', b"{"):
            return self.string()
        return self.atom()

    def end(self) -> None:
        """Raises BadSyntax unless everything was consumed."""
        if not self.at_end():
            raise BadSyntax("Too many arguments")


def quotable(value: bytes) -> bool:
    """Whether the value may be sent inside quotes to any server, without an escape."""
    return _UNQUOTABLE.search(value) is None


def quoted(value: bytes) -> bytes:
    """Write a quoted string; raises ValueError for octets that cannot stand in one."""
    if re.search(rb"[\x00\r\n\x80-\xff]", value):
        raise ValueError("not representable as a quoted string")
    return b'"' + re.sub(rb'(["\\])', rb"\\\1", value) + b'"'
