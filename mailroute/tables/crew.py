"""The threads of a blocking driver: they share a queue, and each keeps a connection of its own.

Going to sleep and being woken is what a thread costs.  So one that is awake goes on until the
queue is empty, and hands over what it has finished in one piece, not each result for itself.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from threading import Lock, Thread
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed

HAND_OVER_SECONDS = 0.001
"""How long a result lies beside a thread that goes on with the next job."""
LOOK_AGAIN_SECONDS = 0.01
"""How long a connection that was found usable is taken for it, for jobs that waited then."""


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
    patience: float = 0.0
    """How many seconds a job waits for a thread that is awake before another one is woken.

    Threads that mostly wait for a server help each other; threads that mostly use the
    interpreter are in each other's way.
    """


@dataclass(slots=True, eq=False)
class Job:
    """Work on a connection; points in time are of ``time.monotonic``."""

    work: Callable[[Any, float], object]
    deadline: float
    put_at: float
    begun: bool = False
    """Whether a thread has set about it."""
    result: object = None
    error: BaseException | None = None
    answer: Deferred[Any] | None = None
    """Who waits; the threads leave it alone."""


class Connection:
    """What one thread has open.

    The drivers are in autocommit mode: there is nothing to commit, and nothing to roll back
    on a connection that may be dead.  After any error the connection is given up.
    """

    def __init__(self, driver: Driver, connect: Callable[..., Any]) -> None:
        self._driver = driver
        self._connect = connect
        self._open: Any = None
        self._looked_at = 0.0

    def do(self, job: Job) -> None:
        """Carry the job out; what it raises is kept in it."""
        now = time.monotonic()
        if now > job.deadline:
            job.error = LookupFailed("no connection to the database became free in time")
            return
        job.begun = True
        try:
            job.result = job.work(self._prepared(job, now), job.deadline)
        except BaseException as error:
            job.error = error
            self.give_up()

    def give_up(self) -> None:
        """Close it, if it is open."""
        connection, self._open = self._open, None
        if connection is not None:
            try:
                connection.close()
            except Exception:
                return

    def _prepared(self, job: Job, now: float) -> Any:
        """Return an open connection, a new one if the old one is of no use."""
        if self._open is not None:
            # What happened before the last look cannot be news to a job that was there then.
            if job.put_at <= self._looked_at and now - self._looked_at < LOOK_AGAIN_SECONDS:
                return self._open
            self._looked_at = now
            if self._driver.usable(self._open):
                return self._open
            self.give_up()
            now = time.monotonic()
            if now > job.deadline:
                raise LookupFailed("the database did not answer in time")
        self._looked_at = now
        self._open = self._connect(**self._driver.arguments)
        self._driver.opened(self._open)
        return self._open


class Crew:
    """Up to ``size`` threads, which are started when they are needed.

    All methods are for one thread, the reactor's.
    """

    def __init__(self, driver: Driver, size: int, hand_over: Callable[[list[Job]], None]) -> None:
        """``hand_over`` is called in a thread: with jobs that are done, and when a thread ends."""
        self._driver = driver
        self._size = size
        self._hand_over = hand_over
        self._connect: Callable[..., Any] = import_module(driver.module).connect
        self._lock = Lock()
        self._jobs: deque[Job] = deque()
        self._idle: list[_Hand] = []
        self._hands: list[_Hand] = []
        self._ended: list[_Hand] = []
        self._taken_at = 0.0
        self._dismissed = False

    @property
    def busy(self) -> int:
        """How many threads are at work."""
        return len(self._hands) - len(self._idle)

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._hands)

    def put(self, job: Job) -> bool:
        """Queue a job; return whether ``help_out`` is needed if it stays there.

        A thread is woken for it unless it can wait for one that is at work.
        """
        with self._lock:
            self._jobs.append(job)
            # Not for threads that all hang: of one that gets on, the last job is young.
            is_young = job.put_at - self._taken_at < self._driver.patience
            can_wait = is_young and self.busy > 0
            hand = None if can_wait else self._next_hand()
            if hand is not None:
                self._taken_at = job.put_at
        if hand is not None:
            hand.wake()
        return can_wait

    def take_back(self, job: Job) -> None:
        """Take a job out of the queue, if it is still there."""
        with self._lock:
            if job in self._jobs:
                self._jobs.remove(job)

    def help_out(self) -> bool:
        """Wake another thread if the first job has waited for too long.

        Return whether that may have to be done again.
        """
        with self._lock:
            if not self._jobs or self._dismissed:
                return False
            if time.monotonic() - self._jobs[0].put_at < self._driver.patience:
                return True
            hand = self._next_hand()
        if hand is not None:
            hand.wake()
        return hand is not None

    def dismiss(self) -> list[Job]:
        """Let every thread end behind its job; return the jobs that nobody has begun."""
        with self._lock:
            self._dismissed = True
            left = list(self._jobs)
            self._jobs.clear()
            idle, self._idle = self._idle, []
        for hand in idle:
            hand.wake()
        return left

    def join(self) -> None:
        """Wait for threads that have done their last work."""
        while self._ended:
            self._ended.pop().join()

    def _next_hand(self) -> _Hand | None:
        if self._idle:
            return self._idle.pop()
        if len(self._hands) < self._size:
            hand = _Hand(self._serve)
            self._hands.append(hand)
            return hand
        return None

    def _serve(self, hand: _Hand) -> None:
        """What a thread does."""
        connection = Connection(self._driver, self._connect)
        done: list[Job] = []
        lies_since = 0.0
        while (job := self._next_job(hand, done)) is not None:
            connection.do(job)
            now = time.monotonic()
            lies_since = lies_since if done else now
            done.append(job)
            if now - lies_since > HAND_OVER_SECONDS:
                self._hand_over(done)
                done = []
        connection.give_up()
        with self._lock:
            self._hands.remove(hand)
            self._ended.append(hand)
        self._hand_over(done)

    def _next_job(self, hand: _Hand, done: list[Job]) -> Job | None:
        """Return a job to do; with an empty queue, hand over what is done and sleep."""
        while True:
            with self._lock:
                if self._jobs:
                    self._taken_at = time.monotonic()
                    return self._jobs.popleft()
                if self._dismissed:
                    return None
                self._idle.append(hand)
            if done:
                self._hand_over(done[:])
                done.clear()
            hand.sleep()


class _Hand:
    """A thread.  As a daemon, it keeps no process from ending while it hangs in a driver."""

    def __init__(self, serve: Callable[[_Hand], None]) -> None:
        self._called = Lock()
        self._called.acquire()
        self._thread = Thread(target=serve, args=(self,), daemon=True)

    def wake(self) -> None:
        """Start it; later: let it go on behind ``sleep``, be it not yet there."""
        if self._thread.ident is None:
            self._thread.start()
        else:
            self._called.release()

    def sleep(self) -> None:
        """Wait to be woken; for the thread itself."""
        self._called.acquire()

    def join(self) -> None:
        """Wait for its end."""
        self._thread.join()
