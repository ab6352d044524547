"""What ``postmap -q`` and ``postmap -s`` answer: output, complaints and exit status.

It knows no arguments and no files: who calls it opens the tables and gives the streams.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.string_table import ReadOnly, StringTable

FOUND = 0
NOT_FOUND = 1
"""Absent or failed: only standard error tells which, as with postmap."""


@dataclass(slots=True)
class Maps:
    """Tables by their ``type:name``, each opened and started when it is first asked."""

    names: Sequence[str]
    open_map: Callable[[str], StringTable]
    _opened: dict[str, StringTable] = field(default_factory=dict)

    async def value(self, key: str) -> str | None:
        """Return the first table's value.  Raises LookupFailed and ConfigurationError."""
        for name in self.names:
            table = await self.table(name)
            values = await table.get(key)
            if values is not None:
                return values[0]
        return None

    async def table(self, name: str) -> StringTable:
        """Return a started table.  Raises ConfigurationError."""
        if name not in self._opened:
            table = self.open_map(name)
            await table.start()
            self._opened[name] = table
        return self._opened[name]

    async def close(self) -> None:
        """Close every table."""
        while self._opened:
            await self._opened.popitem()[1].close()


@dataclass(frozen=True, slots=True)
class Streams:
    """Where answers and complaints go; each call is one line without its end."""

    out: Callable[[str], None]
    err: Callable[[str], None]
    as_json: bool = False
    """``-j``: every answer is a line ``{"key": "value"}``."""

    def entry(self, key: str, value: str) -> None:
        """Print a key and its value."""
        self.out(_json(key, value) if self.as_json else f"{key}\t{value}")

    def value(self, key: str, value: str) -> None:
        """Print the value of the key that was asked for."""
        self.out(_json(key, value) if self.as_json else value)


async def query(key: str, maps: Maps, streams: Streams) -> int:
    """``-q KEY``: print the value."""

    async def answer() -> int:
        value = await maps.value(key)
        if value is None:
            return NOT_FOUND
        streams.value(key, value)
        return FOUND

    return await _ended(answer(), maps, streams)


async def query_lines(lines: Iterable[str], maps: Maps, streams: Streams) -> int:
    """``-q -``: print key, tab and value for each line that is found.

    Of a line only its end is cut.  The status is 0 if at least one was found.  An error ends
    it; what was found before is printed by then.
    """

    async def answer() -> int:
        status = NOT_FOUND
        for line in lines:
            key = line.removesuffix("\n")
            value = await maps.value(key)
            if value is not None:
                streams.entry(key, value)
                status = FOUND
        return status

    return await _ended(answer(), maps, streams)


async def sequence(maps: Maps, streams: Streams) -> int:
    """``-s``: print the entries of the first table."""

    async def answer() -> int:
        if not maps.names:
            return NOT_FOUND
        table = await maps.table(maps.names[0])
        for key, values in await table.list():
            streams.entry(key, values[0])
        return FOUND

    return await _ended(answer(), maps, streams)


def _json(key: str, value: str) -> str:
    return json.dumps({key: value}, ensure_ascii=False)


async def _ended(answer: Awaitable[int], maps: Maps, streams: Streams) -> int:
    try:
        return await answer
    except LookupFailed as failed:
        streams.err(f"postmap: fatal: query error: {failed.reason}")
    except ConfigurationError as error:
        for complaint in error.complaints:
            streams.err(f"postmap: fatal: {complaint}")
    except ReadOnly as refused:
        streams.err(f"postmap: fatal: {refused}")
    finally:
        await maps.close()
    return NOT_FOUND
