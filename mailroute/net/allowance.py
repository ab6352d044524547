"""The time that one side has left to speak: it runs while we wait for that side only."""

from __future__ import annotations

from collections.abc import Callable

from mailroute.net.transport import Clock, DelayedCall


class Allowance:
    """A budget of seconds that can be held, continued and granted anew."""

    def __init__(self, clock: Clock, seconds: float, expired: Callable[[], None]) -> None:
        self._clock = clock
        self._granted = seconds
        self._left = seconds
        self._expired = expired
        self._call: DelayedCall | None = None
        self._since = 0.0

    @property
    def left(self) -> float:
        """Seconds left, never negative."""
        running = self._clock.seconds() - self._since if self._call is not None else 0.0
        return max(self._left - running, 0.0)

    def run(self) -> None:
        """Let the time run; does nothing if it runs already."""
        if self._call is None:
            self._since = self._clock.seconds()
            self._call = self._clock.callLater(self._left, self._expire)

    def hold(self) -> None:
        """Stop the time: the next word is ours, or somebody else's."""
        if self._call is not None:
            self._left = self.left
            self._call.cancel()
            self._call = None

    def end(self) -> None:
        """Stop the time for ever, and forget who waited for it."""
        self.hold()
        self._expired = _nothing

    def renew(self) -> None:
        """Grant the whole budget again, and let it run."""
        self.hold()
        self._left = self._granted
        self.run()

    def _expire(self) -> None:
        self._left = 0.0
        self._call = None
        self._expired()


def _nothing() -> None:
    """Nobody waits any more."""
