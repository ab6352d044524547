"""Coarse time for time-outs that nearly never expire.

A session sets and cancels half a dozen timers, all of seconds or minutes.  Here each costs two
dictionary accesses; the reactor has one delayed call for all of them, and an expiry may come a
tick late.
"""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mailroute.net.transport import Clock, DelayedCall

TICK_SECONDS = 0.25

_log = Logger(namespace="mailroute.net")


class Timer:
    """A call in the future."""

    __slots__ = ("_arguments", "_bucket", "_call")

    def __init__(
        self, bucket: dict[Timer, None], call: Callable[..., object], arguments: tuple[object, ...]
    ) -> None:
        self._bucket = bucket
        self._call = call
        self._arguments = arguments
        bucket[self] = None

    def cancel(self) -> None:
        """Never make it."""
        self._bucket.pop(self, None)

    def active(self) -> bool:
        """Whether it is still to be made (Deferred.addTimeout asks)."""
        return self in self._bucket

    def expire(self) -> None:
        """Make it."""
        self._call(*self._arguments)


class CoarseClock:
    """A clock whose delayed calls come up to a tick late."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._buckets: dict[int, dict[Timer, None]] = {}
        self._next: DelayedCall | None = None
        self.seconds = clock.seconds

    def callLater(self, delay: float, callable: Callable[..., object], *args: object) -> Timer:
        """Call something after this many seconds, or a tick more."""
        tick = int((self.seconds() + delay) / TICK_SECONDS) + 1
        bucket = self._buckets.get(tick)
        if bucket is None:
            bucket = self._buckets[tick] = {}
        if self._next is None:
            self._next = self._clock.callLater(TICK_SECONDS, self._tick)
        return Timer(bucket, callable, args)

    def _tick(self) -> None:
        self._next = None
        now = int(self.seconds() / TICK_SECONDS)
        # Not each tick since the last one: a clock that is set leaps over any number of them.
        for tick in sorted(tick for tick in self._buckets if tick <= now):
            _expire_all(self._buckets.pop(tick))
        for tick in [tick for tick, bucket in self._buckets.items() if not bucket]:
            del self._buckets[tick]
        if self._buckets and self._next is None:
            self._next = self._clock.callLater(TICK_SECONDS, self._tick)


def _expire_all(bucket: dict[Timer, None]) -> None:
    """Make the calls; one that fails takes nobody else's with it."""
    while bucket:
        timer = next(iter(bucket))
        timer.cancel()
        try:
            timer.expire()
        except Exception:
            _log.failure("a time-out failed for a defect")
