"""Blocking drivers behind threads, with the threads taken over by the tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables import blocking
from mailroute.tables.blocking import BlockingPool, Driver


class _ThreadsByHand:
    """In the place of adbapi's pool: work is done when the test says so."""

    shutdownID = None

    def __init__(self, *_: object, **options: Any) -> None:
        self.options = options
        self.threadpool = self
        self.closed = False
        self.under_way: list[Deferred[Any]] = []

    def start(self) -> None:
        """Nothing to start."""

    def stop(self) -> None:
        """Nothing to stop."""

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def runWithConnection(self, *_: object) -> Deferred[Any]:
        """Promise a result."""
        self.under_way.append(Deferred())
        return self.under_way[-1]


class BlockingPoolTests(SynchronousTestCase):
    """A pool of two threads."""

    def setUp(self) -> None:
        """Start it."""
        self.clock = MemoryReactorClock()
        self.threads = _ThreadsByHand()
        self.patch(blocking, "_Threads", lambda *_, **__: self.threads)
        driver = Driver("sqlite3", {}, lambda _: True, lambda _: None)
        self.pool = BlockingPool(driver, 2, self.clock)
        self.pool.start()

    def run_job(self, until: float = 5) -> Deferred[Any]:
        """Ask."""
        return Deferred.fromCoroutine(self.pool.run(lambda *_: None, until))

    def test_answer(self) -> None:
        """The job's result, or what it raised."""
        good, bad = self.run_job(), self.run_job()
        self.threads.under_way[0].callback("a")
        self.threads.under_way[1].errback(ValueError())
        self.assertEqual(self.successResultOf(good), "a")
        self.failureResultOf(bad, ValueError)
        self.assertEqual(self.pool.busy, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_abandoned_threads_keep_their_slots(self) -> None:
        """Threads that hang are never joined by others: later lookups wait, and fail in time."""
        hanging = [self.run_job() for _ in range(2)]
        self.clock.advance(5)
        for lookup in hanging:
            self.failureResultOf(lookup, LookupFailed)
        waiting = self.run_job(8)
        self.assertEqual(len(self.threads.under_way), 2)
        self.clock.advance(3)
        self.failureResultOf(waiting, LookupFailed)
        self.assertEqual(len(self.threads.under_way), 2)

    def test_thread_comes_back(self) -> None:
        """A late end frees the slot, and its result, good or bad, reaches nobody."""
        for end in ("callback", "errback"):
            late = self.run_job(self.clock.seconds() + 5)
            self.clock.advance(5)
            self.failureResultOf(late, LookupFailed)
            under_way = self.threads.under_way[-1]
            under_way.callback("late") if end == "callback" else under_way.errback(ValueError())
            self.assertEqual(self.pool.busy, 0)

    def test_cancelled(self) -> None:
        """A cancelled lookup leaves its thread to end by itself."""
        lookup = self.run_job()
        lookup.cancel()
        self.failureResultOf(lookup, CancelledError)
        self.assertEqual(self.pool.busy, 1)
        self.threads.under_way[0].callback(None)
        self.assertEqual(self.pool.busy, 0)

    def test_close(self) -> None:
        """Closing waits for the threads at work, then ends them."""
        lookup = self.run_job()
        closing = Deferred.fromCoroutine(self.pool.close())
        self.assertFalse(self.threads.closed)
        self.threads.under_way[0].callback("a")
        self.successResultOf(lookup)
        self.successResultOf(closing)
        self.assertTrue(self.threads.closed)
        self.failureResultOf(self.run_job(), LookupFailed)
        self.successResultOf(Deferred.fromCoroutine(self.pool.close()))

    def test_close_while_hung(self) -> None:
        """Closing ends in bounded time; threads that hang are not joined."""
        lookup = self.run_job(100)
        closing = Deferred.fromCoroutine(self.pool.close())
        self.clock.advance(blocking.CLOSE_SECONDS)
        self.successResultOf(closing)
        self.assertFalse(self.threads.closed)
        self.assertNoResult(lookup)

    def test_not_started(self) -> None:
        """A pool that was not started says so."""
        driver = Driver("sqlite3", {}, lambda _: True, lambda _: None)
        lookup = Deferred.fromCoroutine(BlockingPool(driver, 1, self.clock).run(lambda *_: 1, 1))
        self.failureResultOf(lookup, LookupFailed)


class _Connections:
    """In the place of adbapi's pool, seen from a thread."""

    def __init__(self, connect: Callable[[], str]) -> None:
        self.open_one = connect
        self.open: str | None = None

    def connect(self) -> str:
        """The thread's connection."""
        if self.open is None:
            self.open = self.open_one()
        return self.open

    def disconnect(self, connection: str) -> None:
        """Forget it; adbapi, too, refuses a connection that is not the thread's."""
        if connection != self.open:
            raise RuntimeError("wrong connection for thread")
        self.open = None


class ConnectionTests(SynchronousTestCase):
    """One thread's connection."""

    def prepare(self, *usable: bool, seconds: float = 60) -> str | None:
        """Prepare for a job on connection "0"; return the one that is open afterwards."""
        names = iter("0123")
        self.connections = _Connections(lambda: next(names))
        answers = iter(usable)
        driver = Driver("sqlite3", {}, lambda _: next(answers), lambda _: None)
        self.connection = blocking._Connection(self.connections)  # type: ignore[arg-type]
        self.connection.prepare(driver, time.monotonic() + seconds)
        return self.connections.open

    def test_usable(self) -> None:
        """An open connection is used again."""
        self.assertEqual(self.prepare(True), "0")

    def test_unusable(self) -> None:
        """A dead one is replaced before the job, so that no lookup fails for it."""
        self.assertEqual(self.prepare(False), "1")

    def test_no_time_left(self) -> None:
        """Where finding that out took all the time, the thread is not held any longer."""
        self.assertRaises(LookupFailed, self.prepare, False, seconds=-1)
        self.assertIsNone(self.connections.open)
        self.connection.rollback()

    def test_rollback(self) -> None:
        """After an error the connection is given up, silently, and once."""
        self.prepare(True)
        self.connection.commit()
        self.assertEqual(self.connections.open, "0")
        self.connection.rollback()
        self.assertIsNone(self.connections.open)
        self.connection.rollback()

    def test_daemon(self) -> None:
        """A thread does not keep the process from ending."""
        self.assertTrue(blocking._DaemonThread(target=int).daemon)
