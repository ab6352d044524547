"""Blocking drivers behind the threads of ``twisted.enterprise.adbapi``, bounded in number and time.

A thread that a hung server holds is abandoned, not waited for: its lookup is answered in time,
and until the driver's own time-out gives the thread back no other takes its place.  So there
are never more threads than the size allows.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeVar

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.crew import Crew, Driver, Job
from mailroute.tables.deadline import Reactor, in_time

CLOSE_SECONDS = 2.0
"""How long ``close`` waits for threads that are at work."""

T = TypeVar("T")


class BlockingPool:
    """Runs jobs on connections of a blocking driver, one connection for each thread."""

    def __init__(self, driver: Driver, size: int, reactor: Reactor) -> None:
        self._driver = driver
        self._size = size
        self._reactor = reactor
        self._crew: Crew | None = None
        self._closed = False
        self._done: deque[Job] = deque()
        self._is_told = False
        self._next_rouse: Any = None
        self._next_look: Any = None
        self._left: Deferred[None] = Deferred()

    @property
    def busy(self) -> int:
        """How many threads are at work, the abandoned ones included."""
        return 0 if self._crew is None else self._crew.busy

    def start(self) -> None:
        """Allow lookups.  No thread or connection is made before it is needed."""
        self._crew = Crew(self._driver, self._size, self._reactor, self._hand_over)

    async def run(self, work: Callable[[Any, float], T], until: float) -> T:
        """Run ``work(connection, deadline)`` in a thread; the deadline is of ``time.monotonic``.

        Raises LookupFailed when no answer is there at ``until``, and what the work raises.
        """
        crew = self._crew
        if crew is None:
            raise LookupFailed("the table was not started")
        if self._closed:
            raise LookupFailed("the table is closed")
        now = time.monotonic()
        job = Job(work, now + until - self._reactor.seconds(), now)
        answer: Deferred[T] = Deferred(lambda _: crew.take_back(job))
        job.answer = answer
        crew.put(job)
        if self._next_rouse is None:
            # Behind what the reactor is at: a thread that wakes now would be in its way, and
            # one wake-up serves every login of this turn.
            self._next_rouse = self._reactor.callLater(0, self._rouse)
        try:
            return await in_time(answer, until, self._reactor)
        except TimeoutError:
            raise LookupFailed(self._why_late(job)) from None

    def _why_late(self, job: Job) -> str:
        if job.begun:
            return "the database did not answer in time"
        return f"no connection to the database became free in time ({self.busy} are in use)"

    def _rouse(self) -> None:
        """Have the threads begin with what was queued in this turn of the reactor."""
        self._next_rouse = None
        if self._crew is not None and self._crew.rouse() and self._next_look is None:
            self._next_look = self._reactor.callLater(self._driver.patience, self._look)

    def _look(self) -> None:
        """Whether the threads at work get on with the queue."""
        self._next_look = None
        if self._crew is not None and self._crew.help_out():
            self._next_look = self._reactor.callLater(self._driver.patience, self._look)

    def _hand_over(self, done: list[Job]) -> None:
        """Take over finished jobs; called in the threads.

        However many there are by the time the reactor looks, it is woken once.
        """
        self._done.extend(done)
        if not self._is_told:
            self._is_told = True
            self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        # First: what comes in from here on may be missed below, and calls again.
        self._is_told = False
        while self._done:
            job = self._done.popleft()
            answer, job.answer = job.answer, None
            error, job.error = job.error, None
            if answer is None or answer.called:
                continue
            if error is None:
                answer.callback(job.result)
            else:
                answer.errback(error)
        if self._closed and not self._left.called and self._crew and not self._crew.threads:
            self._left.callback(None)

    async def close(self) -> None:
        """End the threads; those that hang longer than CLOSE_SECONDS are left behind."""
        if self._crew is None or self._closed:
            return
        self._closed = True
        for call in (self._next_rouse, self._next_look):
            if call is not None:
                call.cancel()
        for job in self._crew.dismiss():
            if job.answer is not None and not job.answer.called:
                job.answer.errback(LookupFailed("the table is closed"))
        if self._crew.threads:
            with suppress(TimeoutError):
                await in_time(self._left, self._reactor.seconds() + CLOSE_SECONDS, self._reactor)
        self._crew.join()
