"""The line of every dotted key in a TOML text.

``tomllib`` forgets positions.  This scanner reads a text that ``tomllib`` has already accepted,
so it follows only what moves the place: headers, keys, strings, comments and brackets.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping

KeyPath = tuple[str, ...]

_BLANK = " \t"
_BARE_VALUE_ENDS = frozenset(",]}#\n")


def lines_of_keys(text: str) -> dict[KeyPath, int]:
    """Return the first line (from 1) on which each key or table of valid TOML is named."""
    return _Scanner(text.replace("\r\n", "\n")).scan()


def line_of(lines: Mapping[KeyPath, int], path: KeyPath) -> int | None:
    """Return the line of ``path`` or of the nearest table around it; None for the whole file."""
    for length in range(len(path), 0, -1):
        if path[:length] in lines:
            return lines[path[:length]]
    return None


class _Scanner:
    """Walks through the text once; ``_at`` is the offset of the next character."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._line = 1
        self._lines: dict[KeyPath, int] = {}

    def scan(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip_space()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                table = self._header()
            else:
                self._assignment(table)
            self._skip_space()
        return self._lines

    def _header(self) -> KeyPath:
        """Read ``[a.b]`` or ``[[a.b]]``; an array of tables counts as one table."""
        self._skip("[")
        path = self._key()
        self._note(path)
        self._skip("]")
        return path

    def _assignment(self, table: KeyPath) -> None:
        path = table + self._key()
        self._note(path)
        self._skip("=")
        self._value(path)

    def _key(self) -> KeyPath:
        """Read a dotted key; quoted parts are decoded as TOML decodes them."""
        parts: list[str] = []
        while True:
            self._skip(_BLANK)
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                literal = self._text[start : self._at]
                parts.append(tomllib.loads(f"key = {literal}")["key"])
            else:
                while self._text[self._at] not in " \t.=]":
                    self._at += 1
                parts.append(self._text[start : self._at])
            self._skip(_BLANK)
            if self._text[self._at] != ".":
                return tuple(parts)
            self._at += 1

    def _value(self, path: KeyPath) -> None:
        self._skip(_BLANK)
        character = self._text[self._at]
        if character in "\"'":
            self._string()
        elif character == "[":
            self._array(path)
        elif character == "{":
            self._inline_table(path)
        else:
            while self._at < len(self._text) and self._text[self._at] not in _BARE_VALUE_ENDS:
                self._at += 1

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        self._skip_space(",")
        while self._text[self._at] != "]":
            self._value(path)
            self._skip_space(",")
        self._at += 1

    def _inline_table(self, path: KeyPath) -> None:
        self._at += 1
        self._skip_space(",")
        while self._text[self._at] != "}":
            self._assignment(path)
            self._skip_space(",")
        self._at += 1

    def _string(self) -> None:
        """Pass over one string of any of the four kinds."""
        quote = self._text[self._at]
        delimiter = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(delimiter)
        while not self._text.startswith(delimiter, self._at):
            if self._text[self._at] == "\\" and quote == '"':
                self._advance()
            self._advance()
        self._at += len(delimiter)
        # Up to two quotes may stand directly before a closing triple quote.
        while len(delimiter) == 3 and self._text.startswith(quote, self._at):
            self._at += 1

    def _skip_space(self, also: str = "") -> None:
        """Pass over blanks, line ends and comments."""
        skipped = _BLANK + "\n" + also
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in skipped:
                self._advance()
            else:
                return

    def _skip(self, characters: str) -> None:
        while self._at < len(self._text) and self._text[self._at] in characters:
            self._at += 1

    def _advance(self) -> None:
        self._line += self._text[self._at] == "\n"
        self._at += 1

    def _note(self, path: KeyPath) -> None:
        for length in range(1, len(path) + 1):
            self._lines.setdefault(path[:length], self._line)
