"""The text of a table's file: ``key: value`` lines, and what is kept of them in memory.

Lines that begin with ``#`` and blank lines do not count.  White space round keys and values does
not count, quotes are data.  The key ends at the first colon; without a colon the value is empty.
A comma separates values; the values of a repeated key are added to it.
"""

from __future__ import annotations

from collections.abc import Iterator

from mailroute.errors import ConfigurationError
from mailroute.tables.string_table import Entry, Values
from mailroute.tables.text_lines import LINE_LIMIT_OCTETS, read_lines
from mailroute.tables.texts_by_key import TextsByKey


class Content:
    """The entries of a file."""

    def __init__(self) -> None:
        self._texts = TextsByKey()

    def __len__(self) -> int:
        return len(self._texts)

    def add(self, key: str, value: str) -> None:
        """Add the values of a line to the key."""
        present = self._texts.get(key)
        self._texts.put(key, value if present is None else f"{present},{value}")

    def get(self, key: str) -> Values | None:
        """Return the values of a key."""
        value = self._texts.get(key)
        return None if value is None else split_values(value)

    def seal(self) -> None:
        """Nothing is added any more."""
        self._texts.seal()

    def entries(self) -> Iterator[Entry]:
        """Return all entries, in no order, of this moment: also if it is released then."""
        return ((key, split_values(value)) for key, value in self._texts.items())

    def release(self) -> None:
        """Give the memory back step by step; nothing is asked any more."""
        self._texts.release()


def split_line(line: str) -> tuple[str, str] | None:
    """Return key and value of a line, None where it has none.  Raises ValueError."""
    if line[:1] == "#":
        return None
    key, colon, value = line.partition(":")
    key = key.strip()
    if key:
        return key, value.strip()
    if colon:
        raise ValueError("there is no key before the colon")
    return None


def split_values(value: str) -> Values:
    """Return the values of a line."""
    if "," not in value:
        return (value,)
    return tuple(part.strip() for part in value.split(","))


def written(key: str, values: Values) -> str:
    """Return the line of an entry.  Raises ValueError for what a file cannot hold."""
    for text in (key, *values):
        if text != text.strip() or "\n" in text or "\r" in text:
            raise ValueError(f"{text!r} has white space at an end, or a line break")
    if not key or ":" in key or key.startswith("#"):
        raise ValueError(f"the key {key!r} is empty, has a colon, or begins with #")
    if not values or any("," in value for value in values):
        raise ValueError("a value is needed, and none can have a comma")
    line = f"{key}: {', '.join(values)}".rstrip() + "\n"
    if len(line.encode("utf-8")) > LINE_LIMIT_OCTETS:
        raise ValueError(f"the line is longer than {LINE_LIMIT_OCTETS} octets")
    return line


def load(path: str) -> Content:
    """Read a file.  Raises OSError, and ConfigurationError with file and line of each fault."""
    content = Content()

    def take(line: str) -> None:
        entry = split_line(line)
        if entry is not None:
            content.add(*entry)

    try:
        read_lines(path, take)
    except (OSError, ConfigurationError):
        content.release()
        raise
    content.seal()
    return content
