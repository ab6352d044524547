"""Coarse time: cheap, late by a tick at most, and nothing left behind."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.ticks import TICK_SECONDS, CoarseClock, Timer


class CoarseClockTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.coarse = CoarseClock(self.clock)
        self.called: list[str] = []

    def advance(self, seconds: float) -> None:
        self.clock.pump([TICK_SECONDS / 2] * int(2 * seconds / TICK_SECONDS))

    def test_never_early_and_a_tick_late_at_most(self) -> None:
        self.coarse.callLater(3.0, self.called.append, "x")
        self.advance(3.0 - TICK_SECONDS / 2)
        self.assertEqual(self.called, [])
        self.advance(2 * TICK_SECONDS)
        self.assertEqual(self.called, ["x"])

    def test_cancelled_calls_are_not_made(self) -> None:
        timer = self.coarse.callLater(1.0, self.called.append, "x")
        self.assertTrue(timer.active())
        timer.cancel()
        self.assertFalse(timer.active())
        self.advance(3)
        self.assertEqual(self.called, [])

    def test_one_call_of_the_reactor_for_all(self) -> None:
        """However many timers there are, the reactor has one; with none left it has none."""
        timers = [self.coarse.callLater(5.0 + n / 100, self.called.append, "x") for n in range(500)]
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        for timer in timers:
            timer.cancel()
        self.advance(1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_call_may_set_another(self) -> None:
        self.coarse.callLater(0, lambda: self.coarse.callLater(1, self.called.append, "x"))
        self.advance(2)
        self.assertEqual(self.called, ["x"])

    def test_late_reactor(self) -> None:
        """A reactor that was busy for long makes every call that has come due."""
        for seconds in (0.5, 1.0, 7.0):
            self.coarse.callLater(seconds, self.called.append, str(seconds))
        self.clock.advance(20)
        self.assertEqual(self.called, ["0.5", "1.0", "7.0"])

    def test_a_call_that_fails(self) -> None:
        """It is logged; the calls of others are made: a defect ends nobody else's time-out."""

        def fail() -> None:
            raise ZeroDivisionError

        self.coarse.callLater(1, fail)
        self.coarse.callLater(1, self.called.append, "same tick")
        self.coarse.callLater(2, self.called.append, "later")
        self.advance(4)
        self.assertEqual(self.called, ["same tick", "later"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_clock_that_is_set(self) -> None:
        """A leap is not counted through, tick by tick: without a battery it may be years long."""
        looked_at: list[int] = []

        class Buckets(dict[int, dict[Timer, None]]):
            def pop(self, tick: int, *otherwise: object) -> dict[Timer, None]:
                looked_at.append(tick)
                return super().pop(tick, *otherwise)  # type: ignore[arg-type]

        self.patch(self.coarse, "_buckets", Buckets())
        self.coarse.callLater(1, self.called.append, "x")
        self.clock.advance(86400)
        self.assertEqual(self.called, ["x"])
        self.assertEqual(len(looked_at), 1)

    def test_as_the_clock_of_a_deferred(self) -> None:
        """``Deferred.addTimeout`` takes it."""
        waiting: Deferred[None] = Deferred()
        waiting.addTimeout(1, self.coarse)  # type: ignore[arg-type]
        self.advance(2)
        self.failureResultOf(waiting)
        answered: Deferred[None] = Deferred()
        answered.addTimeout(1, self.coarse)  # type: ignore[arg-type]
        answered.callback(None)
        self.successResultOf(answered)
