"""Blocking drivers behind threads, with the threads taken over by the tests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables import blocking
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.crew import Driver, Job

PATIENCE = 0.5


class _ClockWithThreads(Clock):
    """Notes what threads want called."""

    nameResolver = None

    def __init__(self) -> None:
        super().__init__()
        self.from_threads: list[Callable[[], None]] = []

    def callFromThread(self, callable: Callable[..., Any], *_: Any) -> None:
        """Note it."""
        self.from_threads.append(callable)

    def turn(self) -> None:
        """Call it, as the reactor does next time round."""
        calls, self.from_threads = self.from_threads, []
        for call in calls:
            call()


class _CrewByHand:
    """In the place of the threads: work begins and ends when the test says so."""

    def __init__(
        self, driver: Driver, size: int, reactor: Any, hand_over: Callable[[list[Job]], None]
    ) -> None:
        self.driver = driver
        self.size = size
        self.hand_over = hand_over
        self.jobs: list[Job] = []
        self.begun: list[Job] = []
        self.threads = 0
        self.joined = False
        self.helped = 0
        self.more_help = True

    @property
    def busy(self) -> int:
        """Every thread that has begun a job and not ended."""
        return len(self.begun)

    def put(self, job: Job) -> None:
        """Queue it."""
        self.jobs.append(job)

    def rouse(self) -> bool:
        """Begin what was queued where threads are free."""
        self.begin()
        return bool(self.jobs)

    def begin(self) -> None:
        """Let free threads take jobs."""
        while self.jobs and self.busy < self.size:
            job = self.jobs.pop(0)
            job.begun = True
            self.begun.append(job)
            self.threads = max(self.threads, self.busy)

    def end(self, job: Job, result: object = None, error: BaseException | None = None) -> None:
        """A thread comes back."""
        job.result, job.error = result, error
        self.begun.remove(job)
        self.hand_over([job])

    def leave(self) -> None:
        """The threads have been dismissed and are gone."""
        self.threads = 0
        self.hand_over([])

    def take_back(self, job: Job) -> None:
        """Out of the queue."""
        if job in self.jobs:
            self.jobs.remove(job)

    def help_out(self) -> bool:
        """Count it."""
        self.helped += 1
        return self.more_help

    def dismiss(self) -> list[Job]:
        """Forget the queue."""
        left, self.jobs = self.jobs, []
        return left

    def join(self) -> None:
        """Note it."""
        self.joined = True


class BlockingPoolTests(SynchronousTestCase):
    """A pool of two threads."""

    def setUp(self) -> None:
        """Start it."""
        self.clock = _ClockWithThreads()
        self.patch(blocking, "Crew", self._hire)
        driver = Driver("sqlite3", {}, lambda _: True, lambda _: None, PATIENCE)
        self.pool = BlockingPool(driver, 2, self.clock)
        self.pool.start()

    def _hire(self, *arguments: Any) -> _CrewByHand:
        self.crew = _CrewByHand(*arguments)
        return self.crew

    def run_job(self, until: float = 5) -> Deferred[Any]:
        """Ask, in a turn of the reactor of its own."""
        lookup = Deferred.fromCoroutine(self.pool.run(lambda *_: None, until))
        self.clock.advance(0)
        return lookup

    def test_answer(self) -> None:
        """The job's result, or what it raised."""
        good, bad = self.run_job(), self.run_job()
        first, second = self.crew.begun
        self.crew.end(first, "a")
        self.crew.end(second, error=ValueError())
        self.assertNoResult(good)
        self.clock.turn()
        self.assertEqual(self.successResultOf(good), "a")
        self.failureResultOf(bad, ValueError)
        self.assertEqual(self.pool.busy, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_call_for_many_results(self) -> None:
        """The reactor is woken once for all results that it has not looked at yet."""
        for _ in range(3):
            lookups = [self.run_job(), self.run_job()]
            for job in list(self.crew.begun):
                self.crew.end(job, "a")
            self.assertEqual(len(self.clock.from_threads), 1)
            self.clock.turn()
            self.assertEqual([self.successResultOf(lookup) for lookup in lookups], ["a", "a"])

    def test_asked_from_an_answer(self) -> None:
        """Whoever is answered can ask at once."""
        lookup = self.run_job()
        lookup.addCallback(lambda _: self.run_job())
        self.crew.end(self.crew.begun[0])
        self.clock.turn()
        self.crew.end(self.crew.begun[0], "b")
        self.clock.turn()
        self.assertEqual(self.successResultOf(lookup), "b")

    def test_abandoned_threads_are_not_replaced(self) -> None:
        """Threads that hang are never joined by others: later lookups wait, and fail in time."""
        hanging = [self.run_job() for _ in range(2)]
        self.clock.advance(5)
        for lookup in hanging:
            reason = self.failureResultOf(lookup, LookupFailed).value.reason
            self.assertIn("did not answer in time", reason)
        waiting = self.run_job(8)
        self.assertEqual(self.pool.busy, 2)
        self.clock.advance(3)
        reason = self.failureResultOf(waiting, LookupFailed).value.reason
        self.assertIn("became free in time (2 are in use)", reason)
        self.assertEqual(self.crew.jobs, [], "the queue keeps what nobody waits for")
        self.assertEqual(self.pool.busy, 2)

    def test_thread_comes_back(self) -> None:
        """A late end frees the thread, and its result, good or bad, reaches nobody."""
        for error in (None, ValueError()):
            late = self.run_job(self.clock.seconds() + 5)
            self.clock.advance(5)
            self.failureResultOf(late, LookupFailed)
            self.crew.end(self.crew.begun[-1], "late", error)
            self.clock.turn()
            self.assertEqual(self.pool.busy, 0)

    def test_one_turn(self) -> None:
        """Threads are woken behind the turn in which there were lookups, once."""
        lookups = [Deferred.fromCoroutine(self.pool.run(lambda *_: None, 5)) for _ in range(2)]
        self.assertEqual(self.crew.begun, [])
        self.assertEqual(len([c for c in self.clock.getDelayedCalls() if c.getTime() == 0]), 1)
        self.clock.advance(0)
        self.assertEqual(len(self.crew.begun), 2)
        for lookup in lookups:
            self.assertNoResult(lookup)

    def test_closed_in_the_same_turn(self) -> None:
        """A lookup whose thread was not woken yet is told that the table is closed."""
        lookup = Deferred.fromCoroutine(self.pool.run(lambda *_: None, 5))
        self.successResultOf(Deferred.fromCoroutine(self.pool.close()))
        self.failureResultOf(lookup, LookupFailed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A cancelled lookup leaves its thread to end by itself, or leaves the queue."""
        lookups = [self.run_job() for _ in range(3)]
        for lookup in lookups:
            lookup.cancel()
            self.failureResultOf(lookup, CancelledError)
        self.assertEqual(self.pool.busy, 2)
        self.assertEqual(self.crew.jobs, [])
        self.crew.end(self.crew.begun[0])
        self.clock.turn()
        self.assertEqual(self.pool.busy, 1)

    def test_help(self) -> None:
        """While jobs wait for threads at work, it is seen to from time to time; else it is not."""
        self.run_job(), self.run_job()
        self.clock.advance(PATIENCE)
        self.assertEqual(self.crew.helped, 0)
        self.run_job(), self.run_job()
        self.clock.pump([PATIENCE] * 3)
        self.assertEqual(self.crew.helped, 3)
        self.crew.more_help = False
        self.clock.pump([PATIENCE] * 2)
        self.assertEqual(self.crew.helped, 4)

    def test_close(self) -> None:
        """Closing waits for the threads at work, then joins them."""
        lookup = self.run_job()
        closing = Deferred.fromCoroutine(self.pool.close())
        self.crew.end(self.crew.begun[0], "a")
        self.clock.turn()
        self.successResultOf(lookup)
        self.assertNoResult(closing)
        self.crew.leave()
        self.clock.turn()
        self.successResultOf(closing)
        self.assertTrue(self.crew.joined)
        self.failureResultOf(self.run_job(), LookupFailed)
        self.successResultOf(Deferred.fromCoroutine(self.pool.close()))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_while_hung(self) -> None:
        """Closing ends in bounded time, and tells who waits."""
        lookup, _, waiting = (self.run_job(100) for _ in range(3))
        closing = Deferred.fromCoroutine(self.pool.close())
        self.failureResultOf(waiting, LookupFailed)
        self.clock.advance(blocking.CLOSE_SECONDS)
        self.successResultOf(closing)
        self.assertTrue(self.crew.joined)
        self.assertNoResult(lookup)
        self.crew.end(self.crew.begun[0], "late")
        self.crew.leave()
        self.clock.turn()
        self.assertEqual(self.successResultOf(lookup), "late")

    def test_not_used(self) -> None:
        """Closing what has no thread takes no time."""
        self.successResultOf(Deferred.fromCoroutine(self.pool.close()))

    def test_not_started(self) -> None:
        """A pool that was not started says so."""
        driver = Driver("sqlite3", {}, lambda _: True, lambda _: None)
        lookup = Deferred.fromCoroutine(BlockingPool(driver, 1, self.clock).run(lambda *_: 1, 1))
        self.failureResultOf(lookup, LookupFailed)
