"""All tables of the configuration, by name, with one life."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailroute.errors import ConfigurationError
from mailroute.tables.string_table import StringTable

_log = Logger(namespace="mailroute.tables")


class NamedTables(Mapping[str, StringTable]):
    """The tables; a table that is a step of a chain is among them, too."""

    def __init__(self, tables: Mapping[str, StringTable]) -> None:
        self._tables = dict(tables)

    def __getitem__(self, name: str) -> StringTable:
        return self._tables[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tables)

    def __len__(self) -> int:
        return len(self._tables)

    def check(self) -> Sequence[str]:
        """Try every table, blocking, before the reactor runs; return all warnings.

        Raises ConfigurationError with every complaint.
        """
        warnings: list[str] = []
        complaints: list[str] = []
        for table in self._tables.values():
            try:
                warnings += table.check()
            except ConfigurationError as error:
                complaints += error.complaints
        if complaints:
            raise ConfigurationError(complaints)
        return warnings

    async def reload(self) -> None:
        """Read files anew; what is wrong is logged, and the old content stays."""
        reloaded = [Deferred.fromCoroutine(table.reload()) for table in self._tables.values()]
        await self._all(reloaded, "reloaded")

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this when answers of any table may be others than before."""
        for table in self._tables.values():
            table.watch(changed)

    async def start(self) -> None:
        """Start every table.  What cannot start now is logged and recovers by itself."""
        started = [Deferred.fromCoroutine(table.start()) for table in self._tables.values()]
        await self._all(started, "started")

    async def close(self) -> None:
        """Close every table, all at the same time."""
        closed = [Deferred.fromCoroutine(table.close()) for table in self._tables.values()]
        await self._all(closed, "closed")

    async def _all(self, deferreds: Sequence[Deferred[None]], what: str) -> None:
        for name, deferred in zip(self._tables, deferreds, strict=True):
            deferred.addErrback(_log_failure, name, what)
        await DeferredList(deferreds)


def _log_failure(failure: Failure, name: str, what: str) -> None:
    _log.failure("the table {name} could not be {what}", failure, name=name, what=what)
