"""The contract of tables that map one text to texts, and how one becomes a mapping's source.

Beside ``get`` a table may be able to change.  What it cannot do it refuses with ``ReadOnly``,
which says what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from mailroute.tables.contract import Key, Row

Values = tuple[str, ...]
"""What a key maps to: at least one text, the first of which counts where one is wanted.  A text
may be empty: that is found, not absent."""

Entry = tuple[str, Values]
"""A key and its values; no values where a table can list its keys only."""


@dataclass(frozen=True, slots=True)
class Changes:
    """Entries that are written together; no key is among them twice."""

    new: Sequence[Entry] = ()
    """Of keys that are not there yet."""
    changed: Sequence[Entry] = ()
    """Of keys that are there, with other values."""

    def __len__(self) -> int:
        return len(self.new) + len(self.changed)


class ReadOnly(Exception):
    """A table cannot be changed or listed; the message says what it lacks."""


class StringTable:
    """A lookup table from text to texts.  Concrete tables give ``get`` and what else they can."""

    kind: str = "table"
    """The word of the configuration (``type``), for messages."""
    batch_size: int | None = None
    """How many entries ``write`` should have at once; None: all, since each call has its price."""

    async def get(self, key: str) -> Values | None:
        """Return the values of ``key``, None where there are certainly none.

        Raises LookupFailed when the table could not answer.
        """
        raise NotImplementedError

    async def set(self, key: str, values: Values) -> None:
        """Make ``values`` what ``key`` maps to.  Raises ReadOnly, LookupFailed, ValueError."""
        raise self._read_only("set")

    def admit(self, key: str, values: Values) -> None:
        """Raise ValueError for an entry that the table could not hold."""
        if len(values) != 1:
            raise ValueError("a key of this table has one value")

    async def write(self, changes: Changes) -> None:
        """Make all changes or, where the table can do it so, none.

        Raises ReadOnly (also for no changes at all), LookupFailed and ValueError.
        """
        raise self._read_only("set")

    async def delete(self, key: str) -> bool:
        """Remove ``key``; return whether it was there.  Raises ReadOnly, LookupFailed."""
        raise self._read_only("delete")

    async def list(self) -> Sequence[Entry]:
        """Return all entries in the table's order.  Raises ReadOnly, LookupFailed."""
        raise self._read_only("list")

    def check(self) -> Sequence[str]:
        """Try the table, blocking, before the reactor runs.

        Returns warnings, such as a server that is out of reach.  Raises ConfigurationError for
        what cannot be served.
        """
        return ()

    async def reload(self) -> None:
        """Read files anew, if there are any; returns when what they say counts.

        What is wrong is logged, and the old content stays.
        """

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this from ``start`` on when answers may be others than before.

        For whoever remembers them.  Most tables cannot tell.
        """

    async def start(self) -> None:
        """Begin to serve; a server that is away now may come later."""

    async def close(self) -> None:
        """End connections, threads and timers, in bounded time."""

    def _read_only(self, action: str) -> ReadOnly:
        return ReadOnly(f"a table of type {self.kind} is read-only: it cannot {action}")


class Life(Protocol):
    """What a table, or all of them together, can be told beside being asked."""

    def check(self) -> Sequence[str]:
        """Try it, blocking."""

    async def start(self) -> None:
        """Begin to serve."""

    async def close(self) -> None:
        """End."""


class ServingLife(Life, Protocol):
    """The life of what serves for long: files change meanwhile."""

    async def reload(self) -> None:
        """Read files anew."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this when answers may be others than before."""


class TableSource:
    """A string table as a mapping: the first value of the account's key is the destination.

    The key is the identifier without its extension.  White space round the value does not
    count; a value without anything else is no destination, so the account is absent.
    """

    varies_on: frozenset[str] = frozenset()

    def __init__(self, table: StringTable, life: ServingLife | None = None) -> None:
        """``life`` is what is started and closed with the source, if anything is."""
        self._table = table
        self._life = life

    async def lookup(self, key: Key) -> Row | None:
        """Return the row, None without one.  Raises LookupFailed."""
        values = await self._table.get(key.user)
        destination = values[0].strip() if values else ""
        return Row(destination) if destination else None

    def check(self) -> Sequence[str]:
        """Try what the source is in charge of, blocking; return warnings.

        Raises ConfigurationError.
        """
        return () if self._life is None else self._life.check()

    async def reload(self) -> None:
        """Read files anew; what is wrong is logged, and the old content stays."""
        if self._life is not None:
            await self._life.reload()

    def watch(self, changed: Callable[[], None]) -> None:
        """See StringTable."""
        if self._life is not None:
            self._life.watch(changed)

    async def start(self) -> None:
        """Begin to serve."""
        if self._life is not None:
            await self._life.start()

    async def close(self) -> None:
        """End connections, threads and timers."""
        if self._life is not None:
            await self._life.close()
