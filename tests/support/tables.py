"""Small tables in memory, for tests of what stands above tables."""

from __future__ import annotations

from collections.abc import Mapping

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key, Row


class MemoryTable:
    """Answers at once from ``rows``, by identifier; fails while ``failing`` is a reason."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self, rows: Mapping[str, Row] | None = None) -> None:
        self.rows = dict(rows or {})
        self.failing: str | None = None
        self.asked: list[Key] = []

    async def lookup(self, key: Key) -> Row | None:
        self.asked.append(key)
        if self.failing is not None:
            raise LookupFailed(self.failing)
        return self.rows.get(key.identifier)


class SlowTable:
    """Never answers by itself: the test fires ``waiting``."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.waiting: list[Deferred[Row | None]] = []
        self.cancelled = 0

    async def lookup(self, key: Key) -> Row | None:
        answer: Deferred[Row | None] = Deferred(self._count)
        self.waiting.append(answer)
        return await answer

    def _count(self, _: Deferred[Row | None]) -> None:
        self.cancelled += 1
