"""How many lookups use a database at once, and how long one waits for its turn."""

from __future__ import annotations

from collections import deque

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Clock, in_time


class Slots:
    """A semaphore whose waiters give up in time."""

    def __init__(self, count: int, clock: Clock) -> None:
        self._free = count
        self._clock = clock
        self._waiting: deque[Deferred[None]] = deque()
        self._leaving: list[Deferred[None]] = []
        self._closed = False
        self._busy = 0

    @property
    def busy(self) -> int:
        """How many slots are taken."""
        return self._busy

    async def acquire(self, until: float) -> None:
        """Take a slot.  Raises LookupFailed if there is none in time or the table is closed."""
        if self._closed:
            raise LookupFailed("the table is closed")
        if not self._free:
            await self._turn(until)
            return
        self._free -= 1
        self._busy += 1

    async def _turn(self, until: float) -> None:
        turn: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(turn)
        try:
            await in_time(turn, until, self._clock)
        except TimeoutError:
            raise LookupFailed(
                f"no connection to the database became free in time ({self._busy} are in use)"
            ) from None

    def release(self) -> None:
        """Give a slot back: the first waiter has it at once."""
        if self._waiting:
            self._waiting.popleft().callback(None)
            return
        self._free += 1
        self._busy -= 1
        if not self._busy:
            while self._leaving:
                self._leaving.pop().callback(None)

    async def close(self, until: float) -> bool:
        """Refuse everybody, wait for the taken slots; tell whether all came back in time."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().errback(LookupFailed("the table is closed"))
        if self._busy:
            left: Deferred[None] = Deferred(self._leaving.remove)
            self._leaving.append(left)
            try:
                await in_time(left, until, self._clock)
            except TimeoutError:
                return False
        return True
