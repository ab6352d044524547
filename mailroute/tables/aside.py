"""Jobs that take long and are none of the reactor's: done in a thread of its pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool

T = TypeVar("T")


class Aside(Protocol):
    """Runs a job that may take long beside the reactor: in a thread."""

    def __call__(self, job: Callable[[], T]) -> Deferred[T]:
        """Run the job; fires with what it returns."""


def aside_of(reactor: Any) -> Aside:
    """What runs jobs in the reactor's threads."""

    def aside(job: Callable[[], T]) -> Deferred[T]:
        return deferToThreadPool(reactor, reactor.getThreadPool(), job)

    return aside
