"""Waiting that ends in time.  Points in time (``until``) are seconds of a clock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, TypeVar, cast

from twisted.internet import defer
from twisted.internet.interfaces import IReactorTime

T = TypeVar("T")


class Clock(Protocol):
    """The part of a reactor that knows the time."""

    def seconds(self) -> float:
        """The time now."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:
        """Call later."""


class Reactor(Clock, Protocol):
    """A reactor, as far as databases need it; the drivers take it whole."""

    nameResolver: Any

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        """Call in the reactor's thread; may be called in any."""


async def in_time(deferred: defer.Deferred[T], until: float, clock: Clock) -> T:
    """Wait for ``deferred``; cancel it at ``until`` and raise the built-in TimeoutError."""
    deferred.addTimeout(max(0, until - clock.seconds()), cast(IReactorTime, clock))
    try:
        return await deferred
    except defer.TimeoutError:
        raise TimeoutError from None
