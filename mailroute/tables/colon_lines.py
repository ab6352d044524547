"""The text of a table's file: ``key: value`` lines, and what is kept of them in memory.

Lines that begin with ``#`` and blank lines do not count.  White space round keys and values does
not count, quotes are data.  The key ends at the first colon; without a colon the value is empty.
A comma separates values; the values of a repeated key are added to it.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from mailroute.errors import ConfigurationError
from mailroute.tables.string_table import Entry, Values

LINE_LIMIT_OCTETS = 65536
_COMPLAINTS_SHOWN = 20
_SHARDS = 256
_SHARED_TEXTS = 65536
"""Of so many different values, equal ones are one text in memory.  A dictionary of very many would
hold up other threads while it grows."""


class Content:
    """The entries of a file, in little memory, a million of them too.

    It is many small dictionaries, so that neither its growth nor its end holds up other
    threads for long.
    """

    def __init__(self) -> None:
        self._shards: list[dict[str, str]] = [{} for _ in range(_SHARDS)]
        self._texts: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def add(self, key: str, value: str) -> None:
        """Add the values of a line to the key."""
        shard = self._shards[(hash(key) >> 32) % _SHARDS]
        if key in shard:
            value = f"{shard[key]},{value}"
        known = self._texts.get(value)
        if known is None:
            known = value
            if len(self._texts) < _SHARED_TEXTS:
                self._texts[value] = value
        shard[key] = known

    def get(self, key: str) -> Values | None:
        """Return the values of a key."""
        # Not the bits of the hash by which the dictionaries themselves go.
        value = self._shards[(hash(key) >> 32) % _SHARDS].get(key)
        return None if value is None else split_values(value)

    def seal(self) -> None:
        """Nothing is added any more."""
        self._texts = {}

    def entries(self) -> Iterator[Entry]:
        """Yield all entries, in no order."""
        for shard in self._shards:
            for key, value in shard.items():
                yield key, split_values(value)

    def release(self) -> None:
        """Give the memory back step by step; nothing is asked any more."""
        while self._shards:
            self._shards.pop()


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
    complaints: list[str] = []
    number = 0
    with open(path, "rb") as file:
        for lines in _blocks(file):
            for line in lines:
                number += 1
                try:
                    entry = split_line(line if isinstance(line, str) else _decoded(line))
                except ValueError as error:
                    complaints.append(f"{path}:{number}: {error}")
                    if len(complaints) == _COMPLAINTS_SHOWN:
                        raise ConfigurationError(complaints) from None
                else:
                    if entry is not None:
                        content.add(*entry)
    if complaints:
        raise ConfigurationError(complaints)
    content.seal()
    return content


def _blocks(file: BinaryIO) -> Iterator[Sequence[str] | Sequence[bytes]]:
    """The lines, many at a time; octets where one of them needs a closer look.

    Of a line that is too long its beginning comes, and nothing after it.
    """
    rest = file.read(len(codecs.BOM_UTF8)).removeprefix(codecs.BOM_UTF8)
    while block := file.read(LINE_LIMIT_OCTETS):
        whole, line_feed, end = block.rpartition(b"\n")
        if not line_feed:
            rest += block
            if len(rest) > LINE_LIMIT_OCTETS:
                yield [rest]
                return
            continue
        first = rest + whole
        rest = end
        # A block is as long as a line may be: only its first line can be longer.
        if len(first) > LINE_LIMIT_OCTETS and first.find(b"\n", 0, LINE_LIMIT_OCTETS + 1) < 0:
            yield [first[: LINE_LIMIT_OCTETS + 1]]
            return
        try:
            yield first.decode("utf-8").split("\n")
        except UnicodeDecodeError:
            yield first.split(b"\n")
    if rest:
        yield [rest]


def _decoded(line: bytes) -> str:
    if len(line) > LINE_LIMIT_OCTETS:
        raise ValueError(f"the line is longer than {LINE_LIMIT_OCTETS} octets")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8 text") from None
