"""Waiting that ends in time."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.deadline import in_time


class InTimeTests(SynchronousTestCase):
    """``in_time`` gives the answer, or the built-in TimeoutError."""

    def setUp(self) -> None:
        """Something to wait for until the tenth second."""
        self.clock = Clock()
        self.cancelled: list[Deferred[str]] = []
        self.awaited: Deferred[str] = Deferred(self.cancelled.append)
        self.waiting = Deferred.fromCoroutine(in_time(self.awaited, 10, self.clock))

    def test_answer(self) -> None:
        """An answer leaves no timer behind."""
        self.awaited.callback("a")
        self.assertEqual(self.successResultOf(self.waiting), "a")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """At the point in time what is waited for is cancelled."""
        self.clock.advance(9.9)
        self.assertNoResult(self.waiting)
        self.clock.advance(0.1)
        self.failureResultOf(self.waiting, TimeoutError)
        self.assertEqual(self.cancelled, [self.awaited])

    def test_cancelled(self) -> None:
        """A caller that is cancelled is no time-out."""
        self.waiting.cancel()
        self.failureResultOf(self.waiting, CancelledError)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_past(self) -> None:
        """A point that has passed waits for nothing that is not there already."""
        self.clock.advance(20)
        self.failureResultOf(self.waiting, TimeoutError)
        waiting = Deferred.fromCoroutine(in_time(Deferred[str](), 10, self.clock))
        self.clock.advance(0)
        self.failureResultOf(waiting, TimeoutError)
