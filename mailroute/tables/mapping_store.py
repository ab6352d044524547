"""The mapping as something that can be changed: who lives where."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass

from mailroute.tables.contract import Key, Row, Table
from mailroute.tables.string_table import Changes, Entry, Life, StringTable


@dataclass(frozen=True, slots=True)
class MappingRules:
    """What may stand in the mapping."""

    destinations: Container[str]
    """What a looked-up value may be."""
    normalize: Callable[[str], str]
    """Makes the key of an identifier; raises ValueError for what cannot be one."""
    extension_delimiter: str = ""


class MappingStore:
    """Looks up as a login does, and changes what the entries are."""

    def __init__(
        self,
        source: Table,
        entries: StringTable,
        rules: MappingRules,
        lives: Sequence[Life] = (),
    ) -> None:
        """``entries`` lead from normalised identifiers to destinations; ``lives`` are started
        and closed with the store."""
        self._source = source
        self._entries = entries
        self._rules = rules
        self._lives = tuple(lives)

    async def get(self, identifier: str) -> Row | None:
        """Return the row, None without one.  Raises LookupFailed, ValueError."""
        key = self._rules.normalize(identifier)
        delimiter = self._rules.extension_delimiter
        return await self._source.lookup(Key(key, extension_delimiter=delimiter))

    def entry(self, identifier: str, destination: str) -> Entry:
        """The entry by which the identifier lives at the destination.

        Raises ValueError for an undeclared destination and for what cannot be an identifier.
        """
        key = self._rules.normalize(identifier)
        if destination not in self._rules.destinations:
            raise ValueError(f"there is no destination {destination!r}")
        self._entries.admit(key, (destination,))
        return key, (destination,)

    @property
    def batch_size(self) -> int | None:
        """How many entries ``write`` should have at once; None: all."""
        return self._entries.batch_size

    async def write(self, changes: Changes) -> None:
        """Write many entries together, made by ``entry``.  Raises ReadOnly, LookupFailed."""
        await self._entries.write(changes)

    async def set(self, identifier: str, destination: str) -> None:
        """Let the identifier live at the destination.

        Raises ValueError for an undeclared destination or what cannot be an identifier, ReadOnly
        where the mapping lacks what it needs for that, and LookupFailed.
        """
        await self._entries.set(*self.entry(identifier, destination))

    async def delete(self, identifier: str) -> bool:
        """Forget the identifier; tell whether it was there.

        Raises ValueError, ReadOnly, LookupFailed.
        """
        return await self._entries.delete(self._rules.normalize(identifier))

    async def list(self) -> Sequence[tuple[str, str]]:
        """Return identifiers and destinations.  Raises ReadOnly, LookupFailed."""
        return [(key, "".join(values[:1])) for key, values in await self._entries.list()]

    def check(self) -> Sequence[str]:
        """Try everything, blocking; return warnings.  Raises ConfigurationError."""
        return [warning for life in self._lives for warning in life.check()]

    async def start(self) -> None:
        """Begin to serve."""
        for life in self._lives:
            await life.start()

    async def close(self) -> None:
        """End connections and threads."""
        for life in self._lives:
            await life.close()
