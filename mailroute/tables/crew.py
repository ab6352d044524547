"""The threads of a blocking driver: they share a queue, and each keeps a connection of its own.

Threads and connections are those of ``twisted.enterprise.adbapi``, whose way is to wake a thread
for each call and to bring each result back for itself.  Going to sleep and being woken is what a
thread costs.  So here a call lasts as long as its thread; a thread that is awake goes on until
the queue is empty, and hands over what it has finished in one piece.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any

from twisted.enterprise import adbapi
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Reactor

HAND_OVER_SECONDS = 0.001
"""How long a result lies beside a thread that goes on with the next job."""
LOOK_AGAIN_SECONDS = 0.01
"""How long a connection that was found usable is taken for it, for jobs that waited then."""


_log = Logger(namespace="mailroute.tables")


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


class Connection(adbapi.Connection):
    """What one thread has open: adbapi's connection, without its transactions.

    The drivers are in autocommit mode: there is nothing to commit, and nothing to roll back
    on a connection that may be dead.  After any error the connection is given up.
    """

    def __init__(self, pool: Threads) -> None:
        # Not connected here: adbapi would do it before there is a job, and its time, to be known.
        self._pool = pool
        self._driver = pool.driver
        self._open: Any = None
        self._looked_at = 0.0

    def commit(self) -> None:
        """Nothing to do in autocommit mode."""

    def rollback(self) -> None:
        """Give it up."""
        self.give_up()

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
            self._pool.disconnect(connection)

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
        self._open = self._pool.connect()
        return self._open


class Threads(adbapi.ConnectionPool):
    """adbapi's pool for a driver; no thread or connection is made before it is needed."""

    connectionFactory = Connection

    def __init__(self, driver: Driver, size: int, reactor: Reactor) -> None:
        self.driver = driver
        super().__init__(
            driver.module,
            cp_min=0,
            cp_max=size,
            cp_reactor=reactor,
            cp_openfun=driver.opened,
            **driver.arguments,
        )
        self.threadpool.threadFactory = _DaemonThread

    def disconnect(self, conn: Any) -> None:
        """Close a connection of this thread, whatever its end has to say."""
        self.connections.pop(self.threadID(), None)
        try:
            conn.close()
        except Exception:
            return

    def forget_unstarted(self) -> None:
        """At the end all threads are joined, which those that never began do not bear."""
        self.threadpool.threads[:] = [each for each in self.threadpool.threads if each.ident]

    def leave(self) -> None:
        """End without waiting for a thread that hangs in a driver."""
        if self.shutdownID is not None:
            self._reactor.removeSystemEventTrigger(self.shutdownID)
            self.shutdownID = None
        self.running = False
        # stop() joins the threads: that must not hold up the reactor.
        _DaemonThread(target=self.threadpool.stop).start()


class Crew:
    """Up to ``size`` threads, which are started when they are needed.

    All methods are for one thread, the reactor's.
    """

    def __init__(
        self,
        driver: Driver,
        size: int,
        reactor: Reactor,
        hand_over: Callable[[list[Job]], None],
    ) -> None:
        """``hand_over`` is called in a thread: with jobs that are done, and when a thread ends."""
        self._driver = driver
        self._size = size
        self._threads = Threads(driver, size, reactor)
        self._hand_over = hand_over
        self._lock = Lock()
        self._jobs: deque[Job] = deque()
        self._idle: list[_Hand] = []
        self._hands: list[_Hand] = []
        self._unannounced = 0
        self._taken_at = 0.0
        self._dismissed = False
        self._threads.start()

    @property
    def busy(self) -> int:
        """How many threads are at work."""
        return len(self._hands) - len(self._idle)

    @property
    def threads(self) -> int:
        """How many threads there are."""
        return len(self._hands)

    def put(self, job: Job) -> None:
        """Queue a job; ``rouse`` has to follow, once for as many jobs as there are."""
        with self._lock:
            self._jobs.append(job)
        self._unannounced += 1

    def rouse(self) -> bool:
        """Wake threads for what was queued; return whether ``help_out`` may be needed for it.

        A thread is woken for each job that cannot wait for one that is at work.
        """
        fresh, self._unannounced = self._unannounced, 0
        hands: list[_Hand] = []
        can_wait = False
        with self._lock:
            for _ in range(min(fresh, len(self._jobs))):
                # Not for threads that all hang: of one that gets on, the last job is young.
                is_young = self._jobs[-1].put_at - self._taken_at < self._driver.patience
                can_wait = is_young and self.busy > 0
                hand = None if can_wait else self._next_hand()
                if hand is None:
                    break
                self._taken_at = self._jobs[-1].put_at
                hands.append(hand)
        for hand in hands:
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
        """Wait for threads that have done their last work; one that hangs is left behind."""
        if self._hands:
            self._threads.leave()
        else:
            self._threads.close()

    def _next_hand(self) -> _Hand | None:
        if self._idle:
            return self._idle.pop()
        if len(self._hands) < self._size:
            hand = _Hand(self._begin)
            self._hands.append(hand)
            return hand
        return None

    def _begin(self, hand: _Hand) -> None:
        try:
            serving = self._threads.runWithConnection(self._serve, hand)
        except RuntimeError:
            # The system has none left: the next job that comes is another attempt.
            _log.failure("no thread can be started")
            self._threads.forget_unstarted()
            with self._lock:
                self._hands.remove(hand)
            return
        serving.addErrback(lambda caught: _log.failure("a thread ended", failure=caught))

    def _serve(self, connection: Connection, hand: _Hand) -> None:
        """What a thread does."""
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
    """A thread."""

    def __init__(self, begin: Callable[[_Hand], None]) -> None:
        self._begin = begin
        self._is_begun = False
        self._called = Lock()
        self._called.acquire()

    def wake(self) -> None:
        """Start it; later: let it go on behind ``sleep``, be it not yet there."""
        if self._is_begun:
            self._called.release()
        else:
            self._is_begun = True
            self._begin(self)

    def sleep(self) -> None:
        """Wait to be woken; for the thread itself."""
        self._called.acquire()


class _DaemonThread(Thread):
    """Does not keep the process from ending while it hangs in a driver."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, daemon=True, **kwargs)
