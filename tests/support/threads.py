"""A thread pool whose threads are nobody's but the caller's: each job is done at once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.python.failure import Failure


class InlineThreads:
    """What ``deferToThreadPool`` asks for."""

    def callInThreadWithCallback(
        self, told: Callable[[bool, Any], None], job: Callable[..., Any], *args: Any
    ) -> None:
        """Do the job, and tell the result."""
        try:
            result = job(*args)
        except Exception:
            told(False, Failure())
        else:
            told(True, result)


class HeldThreads(InlineThreads):
    """Threads that begin when the test says so, then in the order in which they were asked."""

    def __init__(self) -> None:
        self.jobs: list[Callable[[], None]] = []

    def callInThreadWithCallback(
        self, told: Callable[[bool, Any], None], job: Callable[..., Any], *args: Any
    ) -> None:
        """Remember the job."""
        done = super().callInThreadWithCallback
        self.jobs.append(lambda: done(told, job, *args))

    def begin(self) -> None:
        """Do what was asked for, and what that asks for."""
        while self.jobs:
            self.jobs.pop(0)()


class ThreadlessReactor(MemoryReactorClock):
    """A reactor in memory, with such threads."""

    def getThreadPool(self) -> Any:
        """See IReactorThreads."""
        return InlineThreads()

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        """At once."""
        callable(*args)
