"""Time-outs while the time of day is set."""

from __future__ import annotations

import time

from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from mailroute.steady import keep_time


class _Reactor(ReactorBase):
    """Waits for nothing."""

    def installWaker(self) -> None:
        """None."""


class KeepTimeTests(SynchronousTestCase):
    """A reactor of our own."""

    def test_set_back(self) -> None:
        """A clock that is set back by an hour delays no call."""
        self.patch(time, "time", lambda: 3600.0)
        now = [7.0]
        self.patch(time, "monotonic", lambda: now[0])
        reactor = _Reactor()
        keep_time(reactor)
        called: list[str] = []
        reactor.callLater(2, called.append, "two seconds later")
        self.patch(time, "time", lambda: 0.0)
        now[0] += 1.9
        reactor.runUntilCurrent()
        self.assertEqual(called, [])
        self.assertAlmostEqual(reactor.timeout() or 0.0, 0.1)
        now[0] += 0.1
        reactor.runUntilCurrent()
        self.assertEqual(called, ["two seconds later"])
