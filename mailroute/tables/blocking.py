"""Blocking drivers behind threads: ``twisted.enterprise.adbapi``, bounded in number and time.

A thread that a hung server holds is abandoned, not waited for: its lookup is answered in time,
its slot comes back when the driver's own time-out ends it, and until then no other thread
takes its place.  So there are never more threads than slots.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Thread
from typing import Any, TypeVar

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Reactor, in_time
from mailroute.tables.slots import Slots

CLOSE_SECONDS = 2.0
"""How long ``close`` waits for threads that are at work."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Driver:
    """How to open a connection and to tell whether an open one can still be used.

    ``usable`` and ``opened`` run in the thread that owns the connection.
    """

    module: str
    """The DB-API module."""
    arguments: Mapping[str, Any]
    usable: Callable[[Any], bool]
    opened: Callable[[Any], None]


class _Connection(adbapi.Connection):
    """adbapi's connection of one thread, without its transactions.

    The drivers are in autocommit mode: there is nothing to commit, and nothing to roll back
    on a connection that may be dead.  After any error the connection is given up.
    """

    def __init__(self, pool: adbapi.ConnectionPool) -> None:
        # Not connected here: adbapi would do it before the job's time is known.
        self._pool = pool
        self._connection = None

    def prepare(self, driver: Driver, deadline: float) -> Any:
        """Return the thread's open connection, a new one if the old one is of no use."""
        self._connection = self._pool.connect()
        if not driver.usable(self._connection):
            self.rollback()
            if time.monotonic() > deadline:
                raise LookupFailed("the database did not answer in time")
            self._connection = self._pool.connect()
        return self._connection

    def commit(self) -> None:
        """Nothing to do in autocommit mode."""

    def rollback(self) -> None:
        """Give the connection up."""
        connection, self._connection = self._connection, None
        if connection is not None:
            self._pool.disconnect(connection)


class _DaemonThread(Thread):
    """Does not keep the process from ending while it hangs in a driver."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, daemon=True, **kwargs)


class _Threads(adbapi.ConnectionPool):
    connectionFactory = _Connection


class BlockingPool:
    """Runs jobs on connections of a blocking driver, one connection for each thread."""

    def __init__(self, driver: Driver, size: int, reactor: Reactor) -> None:
        self._driver = driver
        self._size = size
        self._reactor = reactor
        self._slots = Slots(size, reactor)
        self._threads: _Threads | None = None

    @property
    def busy(self) -> int:
        """How many jobs are under way, the abandoned ones included."""
        return self._slots.busy

    def start(self) -> None:
        """Allow lookups.  No thread or connection is made before it is needed."""
        self._threads = _Threads(
            self._driver.module,
            cp_min=0,
            cp_max=self._size,
            cp_reactor=self._reactor,
            cp_openfun=self._driver.opened,
            **self._driver.arguments,
        )
        self._threads.threadpool.threadFactory = _DaemonThread
        self._threads.start()

    async def run(self, job: Callable[[Any, float], T], until: float) -> T:
        """Run ``job(connection, deadline)`` in a thread; the deadline is of ``time.monotonic``.

        Raises LookupFailed when no answer is there at ``until``, and what the job raises.
        """
        if self._threads is None:
            raise LookupFailed("the table was not started")
        await self._slots.acquire(until)
        deadline = time.monotonic() + until - self._reactor.seconds()
        answer: Deferred[T] = Deferred()
        working = self._threads.runWithConnection(_work, self._driver, job, deadline)

        def ended(result: Any) -> None:
            self._slots.release()
            if not answer.called:
                answer.callback(result)

        working.addBoth(ended)
        try:
            return await in_time(answer, until, self._reactor)
        except TimeoutError:
            raise LookupFailed("the database did not answer in time") from None

    async def close(self) -> None:
        """End the threads; those that hang longer than CLOSE_SECONDS are left behind."""
        threads, self._threads = self._threads, None
        if threads is None:
            return
        if await self._slots.close(self._reactor.seconds() + CLOSE_SECONDS):
            threads.close()
            return
        if threads.shutdownID is not None:
            self._reactor.removeSystemEventTrigger(threads.shutdownID)
        # stop() joins the hanging threads: that must not hold up the reactor.
        _DaemonThread(target=threads.threadpool.stop).start()


def _work(
    connection: _Connection,
    driver: Driver,
    job: Callable[[Any, float], T],
    deadline: float,
) -> T:
    return job(connection.prepare(driver, deadline), deadline)
