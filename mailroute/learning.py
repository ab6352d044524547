"""What all backends of a protocol offer: asked at the start, on an interval and after failures.

Whoever cannot be reached keeps what it last said, and who has never said anything does not count:
a server that is down takes nothing away from the others' clients.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from mailroute.errors import Failure

T = TypeVar("T")
RETRY_SECONDS = 30.0
"""From a failure to the next question: a server in trouble is not asked more often."""

Ask = Callable[[str], Awaitable[frozenset[str]]]
"""Ask a destination of this name; words in upper case.  Raises Failure."""
Kept = Callable[[Sequence[frozenset[str]]], tuple[str, ...]]
"""What we may promise where servers offer these."""


class Clock(Protocol):
    """The part of a reactor that calls later."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:
        """Call after ``delay`` seconds."""


class Learner:
    """What the destinations of one protocol offer."""

    def __init__(
        self, destinations: Sequence[str], ask: Ask, kept: Kept, clock: Clock, log: Logger
    ) -> None:
        self._destinations = tuple(destinations)
        self._ask = ask
        self._kept = kept
        self._clock = clock
        self._log = log
        self._found: dict[str, frozenset[str]] = {}
        self._complaints: dict[str, str] = {}
        """What was last said in the log of each."""
        self._call: Any = None
        self._asking: Deferred[None] | None = None
        self._is_early = False
        self._interval = 0.0
        self.when_learnt: Callable[[tuple[str, ...]], None] = lambda kept: None
        """Called with what may be promised, when it has changed."""
        self._last: tuple[str, ...] | None = None

    def start(self, interval_seconds: float) -> None:
        """Ask now, and again on this interval."""
        self._interval = interval_seconds
        self._begin()

    def stop(self) -> None:
        """Ask no more."""
        self._destinations = ()
        if self._call is not None:
            self._call.cancel()
            self._call = None
        if self._asking is not None:
            self._asking.cancel()

    def failed(self, destination: str) -> None:
        """A login has failed there, and not for its password: ask soon."""
        if destination in self._destinations and not self._is_early:
            self._is_early = True
            self._schedule(min(RETRY_SECONDS, self._interval))

    def _begin(self) -> None:
        self._call = None
        if self._asking is None:
            self._is_early = False
            self._asking = Deferred.fromCoroutine(self._ask_all())
            self._asking.addErrback(lambda caught: caught.trap(CancelledError))
            self._asking.addBoth(self._asked)

    def _asked(self, result: T) -> T:
        self._asking = None
        if self._destinations and self._call is None:
            retry = len(self._found) < len(self._destinations)
            self._schedule(min(RETRY_SECONDS, self._interval) if retry else self._interval)
        # A defect is nobody's answer: it is reported as one.
        return result

    def _schedule(self, seconds: float) -> None:
        if self._call is not None:
            self._call.cancel()
        self._call = self._clock.callLater(seconds, self._begin)

    async def _ask_all(self) -> None:
        # One after the other: nobody waits for the answer.
        for name in self._destinations:
            try:
                self._found[name] = await self._ask(name)
            except Failure as failure:
                self._complain(name, f"cannot be asked what it offers: {failure.reason}")
        if self._found:
            self._compare()

    def _compare(self) -> None:
        alone = {name: set(self._kept([found])) for name, found in self._found.items()}
        somewhere = set().union(*alone.values())
        for name, offers in alone.items():
            lacking = ", ".join(sorted(somewhere - offers))
            self._complain(name, f"differs, so nobody is offered: {lacking}" if lacking else "")
        kept = self._kept(list(self._found.values()))
        if kept != self._last:
            self._last = kept
            self._log.info("offered from now on: {words}", words=" ".join(kept))
            self.when_learnt(kept)

    def _complain(self, name: str, words: str) -> None:
        """Once for each change."""
        if words and self._complaints.get(name) != words:
            self._log.warn("destination {name} {words}", name=name, words=words)
        self._complaints[name] = words
