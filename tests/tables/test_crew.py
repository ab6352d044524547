"""The threads of a blocking driver: real ones, which wait for each other and for nothing else."""

from __future__ import annotations

import time
from collections.abc import Callable
from queue import SimpleQueue
from threading import Barrier, Event
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables import crew
from mailroute.tables.crew import Connection, Crew, Driver, Job, Threads

LONG = 60.0
"""Seconds within which a thread does what it does at once."""


class _Reactor(Clock):
    """As much of a reactor as adbapi asks for; what threads want called is not."""

    nameResolver = None

    def __init__(self) -> None:
        super().__init__()
        self.triggers: list[object] = []

    def callWhenRunning(self, callable: Callable[[], object]) -> None:
        """It never runs."""

    def addSystemEventTrigger(self, *trigger: object) -> object:
        """Keep it."""
        self.triggers.append(trigger)
        return trigger

    def removeSystemEventTrigger(self, trigger: object) -> None:
        """Drop it."""
        self.triggers.remove(trigger)

    def callFromThread(self, callable: Callable[..., object], *_: object) -> None:
        """Nobody waits for it."""


class _Database:
    """A DB-API module of its own: counts what is open."""

    apilevel = "2.0"
    threadsafety = 1

    def __init__(self, usable: Callable[[], bool] = lambda: True) -> None:
        self.opened = 0
        self.closed = 0
        self.fault: Exception | None = None
        self._usable = usable
        self.looks = 0

    def connect(self, **_: object) -> _Database:
        """Count."""
        self.opened += 1
        return self

    def close(self) -> None:
        """Count."""
        self.closed += 1
        if self.fault is not None:
            raise self.fault

    def driver(self, patience: float = 0.0) -> Driver:
        """Made of this."""
        return Driver("sqlite3", {}, self._look, lambda _: None, patience)

    def _look(self, _: object) -> bool:
        self.looks += 1
        return self._usable()


def a_job(work: Callable[[Any, float], object] = lambda *_: None, seconds: float = LONG) -> Job:
    """Work that is put now."""
    now = time.monotonic()
    return Job(work, now + seconds, now)


class ConnectionTests(SynchronousTestCase):
    """One thread's connection."""

    def setUp(self) -> None:
        self.usable = True
        self.database = _Database(lambda: self.usable)
        threads = Threads(self.database.driver(), 1, _Reactor())
        threads.dbapi = self.database
        self.connection = Connection(threads)

    def do(self, job: Job) -> Job:
        """Carry it out."""
        self.connection.do(job)
        return job

    def test_kept(self) -> None:
        """An open connection is used again."""
        for _ in range(2):
            self.assertEqual(self.do(a_job(lambda *_: "a")).result, "a")
        self.assertEqual((self.database.opened, self.database.closed), (1, 0))

    def test_looked_at(self) -> None:
        """A job that was put since the last look has the connection looked at."""
        for looks in range(3):
            self.do(a_job())
            self.assertEqual(self.database.looks, looks)

    def test_one_look_for_a_queue(self) -> None:
        """Jobs that waited when it was looked at need no look each, for a short time."""
        self.do(a_job())
        self.patch(crew, "LOOK_AGAIN_SECONDS", LONG)
        queue = [a_job() for _ in range(3)]
        for job in queue:
            self.do(job)
        self.assertEqual(self.database.looks, 1)
        self.patch(crew, "LOOK_AGAIN_SECONDS", 0)
        self.do(queue[-1])
        self.assertEqual(self.database.looks, 2)

    def test_unusable(self) -> None:
        """A dead one is replaced before the job, so that no lookup fails for it."""
        self.do(a_job())
        self.usable = False
        self.assertIsNone(self.do(a_job()).error)
        self.assertEqual((self.database.opened, self.database.closed), (2, 1))

    def test_no_time_left(self) -> None:
        """Where finding that out took all the time, the thread is not held any longer."""
        self.do(a_job())
        job = a_job()

        def slowly_unusable() -> bool:
            job.deadline = time.monotonic() - 1
            return False

        self.database._usable = slowly_unusable
        self.assertIsInstance(self.do(job).error, LookupFailed)
        self.assertEqual((self.database.opened, self.database.closed), (1, 1))

    def test_too_late(self) -> None:
        """What nobody waits for any more is not begun."""
        called: list[object] = []
        job = self.do(a_job(lambda *_: called.append(1), seconds=-1))
        self.assertIsInstance(job.error, LookupFailed)
        self.assertFalse(job.begun)
        self.assertEqual((called, self.database.opened), ([], 0))

    def test_error(self) -> None:
        """After any error the connection is given up, whatever its end has to say."""
        self.database.fault = RuntimeError()
        job = self.do(a_job(lambda *_: 1 // 0))
        self.assertIsInstance(job.error, ZeroDivisionError)
        self.assertEqual(self.database.closed, 1)
        self.do(a_job())
        self.assertEqual(self.database.opened, 2)


class CrewTests(SynchronousTestCase):
    """Threads."""

    def hire(self, size: int, patience: float = 0.0) -> Crew:
        """A crew on a database of its own; it is dismissed at the end."""
        self.handed_over: SimpleQueue[list[Job]] = SimpleQueue()
        self.database = _Database()
        self.reactor = _Reactor()
        driver = self.database.driver(patience)
        self.crew = Crew(driver, size, self.reactor, self.handed_over.put)
        self.crew._threads.dbapi = self.database
        # Last of all: by then no thread hangs any more.
        self._cleanups.insert(0, (self.leave, (), {}))
        return self.crew

    def leave(self) -> None:
        """Let every thread end."""
        self.crew.dismiss()
        while self.crew.threads:
            self.handed_over.get(timeout=LONG)
        if self.crew._threads.running:
            self.crew.join()

    def put(self, *jobs: Job) -> bool:
        """Queue them in one turn of the reactor."""
        for job in jobs:
            self.crew.put(job)
        return self.crew.rouse()

    def handed(self) -> list[Job]:
        """What is handed over next."""
        return self.handed_over.get(timeout=LONG)

    def stuck(self) -> tuple[Job, Event]:
        """Put a job that ends when the event is set; it has begun."""
        begun, end = Event(), Event()
        self.addCleanup(end.set)

        def work(*_: object) -> None:
            begun.set()
            end.wait(LONG)

        job = a_job(work)
        self.put(job)
        self.assertTrue(begun.wait(LONG))
        return job, end

    def test_no_thread_before_it_is_needed(self) -> None:
        """Neither at the start nor for a second job when the first is done."""
        self.hire(5)
        self.assertEqual(self.crew.threads, 0)
        for _ in range(3):
            job = a_job()
            self.assertFalse(self.put(job))
            self.assertEqual(self.handed(), [job])
            self.assertEqual((self.crew.threads, self.crew.busy), (1, 0))

    def test_no_thread_to_be_had(self) -> None:
        """Its place is free for the next attempt, which finds the job that waits; all can end."""
        self.hire(1)
        self.patch(crew, "HAND_OVER_SECONDS", LONG)
        start, refused = crew._DaemonThread.start, []

        def refuse_once(thread: crew._DaemonThread) -> None:
            if not refused:
                refused.append(thread)
                raise RuntimeError("can't start new thread")
            start(thread)

        self.patch(crew._DaemonThread, "start", refuse_once)
        first, second = a_job(), a_job()
        self.put(first)
        self.assertEqual((self.crew.threads, len(self.flushLoggedErrors(RuntimeError))), (0, 1))
        self.put(second)
        self.assertEqual(self.handed(), [first, second])
        self.leave()

    def test_woken_once(self) -> None:
        """A turn of the reactor ends before a thread wakes; with patience one does its jobs."""
        self.hire(2, patience=LONG)
        self.patch(crew, "HAND_OVER_SECONDS", LONG)
        jobs = [a_job() for _ in range(20)]
        for job in jobs:
            self.crew.put(job)
        self.assertEqual(self.crew.threads, 0)
        self.assertTrue(self.crew.rouse())
        self.assertEqual(self.handed(), jobs)
        self.assertEqual(self.crew.threads, 1)
        self.assertFalse(self.crew.rouse())

    def test_woken_for_each(self) -> None:
        """Without patience there is a thread for each job, up to the size."""
        self.hire(3)
        meeting = Barrier(3)
        self.put(*[a_job(lambda *_: meeting.wait(LONG)) for _ in range(3)])
        handed = 0
        while handed < 3:
            handed += len(self.handed())
        self.assertEqual(self.crew.threads, 3)

    def test_handed_over_together(self) -> None:
        """A thread that is awake does the whole queue, and hands over once."""
        self.patch(crew, "HAND_OVER_SECONDS", LONG)
        self.hire(1)
        first, end = self.stuck()
        others = [a_job() for _ in range(20)]
        for job in others:
            self.put(job)
        end.set()
        self.assertEqual(self.handed(), [first, *others])
        self.assertTrue(self.handed_over.empty())

    def test_results_do_not_lie_about(self) -> None:
        """Before a job that takes long, what is done is handed over."""
        self.patch(crew, "HAND_OVER_SECONDS", -1)
        self.hire(1)
        first, end = self.stuck()
        second = a_job()
        self.put(second)
        end.set()
        self.assertEqual([self.handed(), self.handed()], [[first], [second]])

    def test_size(self) -> None:
        """Never more threads than the size; the queue is first in, first out."""
        self.hire(2)
        ends = [self.stuck()[1] for _ in range(2)]
        done: list[int] = []
        for number in range(3):
            self.put(a_job(lambda *_, number=number: done.append(number)))
        self.assertEqual((self.crew.threads, self.crew.busy), (2, 2))
        ends[0].set()
        handed = 0
        while handed < 4:
            handed += len(self.handed())
        self.assertEqual(done, [0, 1, 2])
        self.assertEqual(self.crew.busy, 1)

    def test_patience(self) -> None:
        """With patience one thread does it all, unless the queue stands still for too long."""
        self.hire(2, patience=LONG)
        self.stuck()
        self.assertFalse(self.crew.help_out())
        job = a_job()
        self.assertTrue(self.put(job))
        self.assertTrue(self.crew.help_out())
        self.assertEqual(self.crew.threads, 1)
        job.put_at -= 2 * LONG
        self.assertTrue(self.crew.help_out())
        self.assertEqual(self.handed(), [job])
        self.assertEqual(self.crew.threads, 2)

    def test_hung_beside(self) -> None:
        """Nobody waits for a thread that has been at its job for longer than that."""
        self.hire(2, patience=LONG)
        self.stuck()
        late = a_job()
        late.put_at += 2 * LONG
        self.assertFalse(self.put(late))
        self.assertEqual(self.handed(), [late])

    def test_no_more_help(self) -> None:
        """Where every thread is at work, there is no use in looking again."""
        self.hire(1, patience=LONG)
        self.stuck()
        job = a_job()
        job.put_at -= 2 * LONG
        self.put(job)
        self.assertFalse(self.crew.help_out())

    def test_take_back(self) -> None:
        """A job that nobody has begun is not done; one that was begun ends by itself."""
        self.hire(1)
        first, end = self.stuck()
        second, third = a_job(), a_job()
        self.put(second)
        self.put(third)
        self.crew.take_back(first)
        self.crew.take_back(second)
        end.set()
        handed = self.handed()
        while third not in handed:
            handed += self.handed()
        self.assertEqual(handed, [first, third])

    def test_dismissed(self) -> None:
        """Threads end, their connections are closed; what was not begun comes back."""
        self.hire(2)
        _, end = self.stuck()
        self.put(a_job())
        self.handed()
        second, last = self.stuck()
        left = a_job()
        self.put(left)
        self.assertEqual(self.crew.dismiss(), [left])
        last.set()
        end.set()
        while self.crew.threads:
            self.handed()
        self.crew.join()
        self.assertIsNone(second.error)
        self.assertEqual(self.database.closed, 2)
        self.assertFalse(self.crew.help_out())

    def test_hung(self) -> None:
        """A thread that hangs keeps neither the reactor nor the process from ending."""
        self.hire(1)
        self.stuck()
        self.assertTrue(all(thread.daemon for thread in self.crew._threads.threadpool.threads))
        self.assertEqual(len(self.reactor.triggers), 1)
        self.crew.dismiss()
        self.crew.join()
        self.assertEqual(self.reactor.triggers, [])
