"""What this floor asks of transports and time is what ours, Twisted's and the tests' give."""

from __future__ import annotations

from twisted.internet.base import DelayedCall as TwistedCall
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock as TwistedClock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.stream import Stream
from mailroute.net.ticks import CoarseClock, Timer
from mailroute.net.transport import Clock, DelayedCall, Transport


def _asked(shape: type) -> set[str]:
    return {name for name in vars(shape) if not name.startswith("_")}


class ShapeTests(SynchronousTestCase):
    """Every method that a shape names exists in everything that is to fit it."""

    def fits(self, shape: type, *instances: object) -> None:
        names = _asked(shape)
        self.assertTrue(names)
        for instance in instances:
            missing = {name for name in names if not callable(getattr(instance, name, None))}
            self.assertEqual(missing, set(), instance)

    def test_transports(self) -> None:
        """The stream."""
        self.fits(Transport, Stream)

    def test_time(self) -> None:
        """The reactor, our clock, the tests' clock, and the calls that they plan."""
        clock = CoarseClock(TwistedClock())
        self.fits(Clock, EPollReactor, TwistedClock, clock)
        self.fits(DelayedCall, TwistedCall, Timer)
