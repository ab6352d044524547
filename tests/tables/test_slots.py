"""A semaphore whose waiters give up in time."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.slots import Slots


class SlotsTests(SynchronousTestCase):
    """Two slots."""

    def setUp(self) -> None:
        """Nobody uses them yet."""
        self.clock = Clock()
        self.slots = Slots(2, self.clock)

    def acquire(self, until: float = 10) -> Deferred[None]:
        """Ask for a slot."""
        return Deferred.fromCoroutine(self.slots.acquire(until))

    def fill(self) -> None:
        """Take both."""
        for _ in range(2):
            self.successResultOf(self.acquire())

    def test_turns(self) -> None:
        """Who waits first is served first; a slot is lent once."""
        self.fill()
        first, second = self.acquire(), self.acquire()
        self.assertNoResult(first)
        self.slots.release()
        self.successResultOf(first)
        self.assertNoResult(second)
        self.assertEqual(self.slots.busy, 2)
        self.slots.release()
        self.successResultOf(second)
        for _ in range(2):
            self.slots.release()
        self.assertEqual(self.slots.busy, 0)
        self.fill()
        self.assertNoResult(self.acquire())

    def test_too_late(self) -> None:
        """Waiting counts in the lookup's time; whoever gave up is not served."""
        self.fill()
        late, patient = self.acquire(1), self.acquire(5)
        self.clock.advance(1)
        self.assertIn("became free", str(self.failureResultOf(late, LookupFailed).value))
        self.slots.release()
        self.successResultOf(patient)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A cancelled waiter leaves the queue."""
        self.fill()
        gone, patient = self.acquire(), self.acquire()
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.slots.release()
        self.successResultOf(patient)

    def test_close(self) -> None:
        """Waiters and newcomers are refused; closing waits for the slots in use."""
        self.fill()
        waiting = self.acquire()
        closing = Deferred.fromCoroutine(self.slots.close(10))
        self.failureResultOf(waiting, LookupFailed)
        self.failureResultOf(self.acquire(), LookupFailed)
        self.slots.release()
        self.assertNoResult(closing)
        self.slots.release()
        self.assertTrue(self.successResultOf(closing))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_close_in_time(self) -> None:
        """Closing does not wait for ever, and a late slot does no harm."""
        self.fill()
        closing = Deferred.fromCoroutine(self.slots.close(2))
        self.clock.advance(2)
        self.assertFalse(self.successResultOf(closing))
        for _ in range(2):
            self.slots.release()

    def test_close_unused(self) -> None:
        """Nothing to wait for."""
        closing = Deferred.fromCoroutine(self.slots.close(2))
        self.assertTrue(self.successResultOf(closing))
