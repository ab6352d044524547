"""A table in front of a table: remembers answers, and asks one question once.

What is remembered belongs to the identifier and to every value that the table's answer varies
on.  Failures are not remembered; while the table fails, a found row may be served beyond its
time, an absence never.  When the table's content changes, every answer's time is over at once.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final, Literal

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure as TwistedFailure

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key, Row, Table
from mailroute.tables.deadline import Clock

REVALIDATION_SECONDS = 5.0
"""A key is revalidated at most once in this time."""

_log = Logger(namespace="mailroute.tables")


class Unanswered(Enum):
    """Answers beside found and absent that are no failure either."""

    NOT_CACHED = "not cached"
    NOT_NOW = "not now"


NOT_CACHED: Final = Unanswered.NOT_CACHED
NOT_NOW: Final = Unanswered.NOT_NOW


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long and how much to remember; times in seconds, from the insertion."""

    positive_ttl: float = 600.0
    negative_ttl: float = 30.0
    stale_ttl: float = 86400.0
    max_entries: int = 1_000_000


@dataclass(frozen=True, slots=True)
class _Entry:
    row: Row | None
    expires: float
    epoch: int
    """The cache's when the question was put; an entry of an earlier one has expired."""


@dataclass(slots=True)
class _Flight:
    """A question under way and who waits for its answer."""

    epoch: int
    waiting: list[Deferred[Row | None]] = field(default_factory=list)
    keep: bool = True
    """Whether the answer may be remembered: not if its key was invalidated meanwhile."""


class CachedTable:
    """Remembers the answers of ``table``."""

    def __init__(self, table: Table, clock: Clock, policy: CachePolicy) -> None:
        self.varies_on = table.varies_on
        self._table = table
        self._clock = clock
        self._policy = policy
        self._variables = tuple(sorted(table.varies_on))
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._flights: dict[Hashable, _Flight] = {}
        self._revalidated: OrderedDict[Hashable, float] = OrderedDict()
        self._failing = False
        self._epoch = 0

    def __len__(self) -> int:
        return len(self._entries)

    def peek(self, key: Key) -> Row | Literal[Unanswered.NOT_CACHED] | None:
        """Return what is remembered and not expired: a row, None (absent) or NOT_CACHED."""
        return self._remembered(self._name(key))

    async def lookup(self, key: Key) -> Row | None:
        """Answer from memory, else ask.

        Raises LookupFailed when the table could not answer and no found row is remembered that
        expired less than ``stale_ttl`` ago.
        """
        name = self._name(key)
        remembered = self._remembered(name)
        if remembered is not NOT_CACHED:
            return remembered
        try:
            row = await self._answer(name, key, self._flights.get(name))
        except LookupFailed as failed:
            stale = self._stale(name)
            if stale is None:
                raise
            self._note_failing(failed)
            return stale
        self._note_answering()
        return row

    async def revalidate(self, key: Key) -> Row | Literal[Unanswered.NOT_NOW] | None:
        """Look past the memory: has the account moved?  For use after a backend's refusal.

        The table is asked at most once per key in REVALIDATION_SECONDS.  Within that time the
        answer is the remembered one, which the caller compares with what it had; NOT_NOW if
        nothing is remembered.  Raises LookupFailed; what is remembered stays then, so that
        somebody's wrong passwords cannot evict a row while the table fails.
        """
        name = self._name(key)
        if self._may_revalidate(name):
            # An older question must not overwrite what we are going to learn.
            self._disown(name)
            return await self._answer(name, key, None)
        flight = self._flights.get(name)
        if flight is not None:
            return await self._answer(name, key, flight)
        remembered = self._remembered(name)
        return NOT_NOW if remembered is NOT_CACHED else remembered

    def expire(self) -> None:
        """Let every answer's time be over, also of those under way: the content has changed.

        While the table fails, rows that were found before are served on.
        """
        self._epoch += 1
        self._revalidated.clear()
        # The next one asks anew, instead of waiting for an answer that may be of the old content.
        self._flights.clear()

    def drop(self, identifier: str) -> None:
        """Forget an identifier; answers under way are not remembered either."""
        if self._variables:
            every = (*self._entries, *self._flights, *self._revalidated)
            names = [name for name in every if name[0] == identifier]  # type: ignore[index]
        else:
            names = [(identifier,)]
        for name in names:
            self._entries.pop(name, None)
            self._revalidated.pop(name, None)
            self._disown(name)

    def _name(self, key: Key) -> Hashable:
        return (key.identifier, *[getattr(key, variable) for variable in self._variables])

    def _remembered(self, name: Hashable) -> Row | Literal[Unanswered.NOT_CACHED] | None:
        entry = self._entries.get(name)
        if entry is None or entry.epoch != self._epoch or entry.expires <= self._clock.seconds():
            return NOT_CACHED
        self._entries.move_to_end(name)
        return entry.row

    def _stale(self, name: Hashable) -> Row | None:
        entry = self._entries.get(name)
        if entry is None or entry.expires + self._policy.stale_ttl <= self._clock.seconds():
            return None
        return entry.row

    def _remember(self, name: Hashable, row: Row | None, epoch: int) -> None:
        known = self._entries.get(name)
        if known is not None and known.epoch > epoch:
            return
        lifetime = self._policy.negative_ttl if row is None else self._lifetime(row)
        self._entries[name] = _Entry(row, self._clock.seconds() + lifetime, epoch)
        self._entries.move_to_end(name)
        while len(self._entries) > self._policy.max_entries:
            self._entries.popitem(last=False)

    def _lifetime(self, row: Row) -> float:
        """The row's own time to live, else the policy's."""
        try:
            seconds = float(row.columns.get("ttl", self._policy.positive_ttl))
        except ValueError:
            return self._policy.positive_ttl
        return seconds if 0 <= seconds < math.inf else self._policy.positive_ttl

    def _may_revalidate(self, name: Hashable) -> bool:
        now = self._clock.seconds()
        while self._revalidated:
            oldest = next(iter(self._revalidated))
            if self._revalidated[oldest] + REVALIDATION_SECONDS > now:
                break
            del self._revalidated[oldest]
        if name in self._revalidated:
            return False
        self._revalidated[name] = now
        return True

    def _disown(self, name: Hashable) -> None:
        flight = self._flights.pop(name, None)
        if flight is not None:
            flight.keep = False

    async def _answer(self, name: Hashable, key: Key, flight: _Flight | None) -> Row | None:
        """Wait for the answer of ``flight``, or of a new one.

        A waiter that is cancelled leaves the question to the others; it is never cancelled.
        """
        is_new = flight is None
        if flight is None:
            flight = self._flights[name] = _Flight(self._epoch)
        answer: Deferred[Row | None] = Deferred(flight.waiting.remove)
        flight.waiting.append(answer)
        if is_new:
            landing = flight
            asked = Deferred.fromCoroutine(self._table.lookup(key))
            asked.addBoth(lambda result: self._landed(name, landing, result))
        return await answer

    def _landed(self, name: Hashable, flight: _Flight, result: Any) -> None:
        if self._flights.get(name) is flight:
            del self._flights[name]
        if not isinstance(result, TwistedFailure):
            if flight.keep:
                self._remember(name, result, flight.epoch)
        elif not flight.waiting and not result.check(LookupFailed):
            _log.failure("a lookup failed that nobody waits for", failure=result)
        while flight.waiting:
            flight.waiting.pop(0).callback(result)

    def _note_failing(self, failed: LookupFailed) -> None:
        if not self._failing:
            self._failing = True
            _log.warn("serving remembered rows beyond their time: {reason}", reason=failed.reason)

    def _note_answering(self) -> None:
        if self._failing:
            self._failing = False
            _log.info("the table answers again")
