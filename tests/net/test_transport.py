"""What this floor asks of transports and time is what Twisted's give."""

from __future__ import annotations

from twisted.internet import tcp, unix
from twisted.internet.base import DelayedCall as TwistedCall
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.task import Clock as TwistedClock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.kernel import FDReactor
from mailroute.net.transport import Clock, DelayedCall, Transport


def _asked(shape: type) -> set[str]:
    return {name for name in vars(shape) if not name.startswith("_")}


class ShapeTests(SynchronousTestCase):
    """Every method that a shape names exists in everything that is to fit it."""

    def fits(self, shape: type, *kinds: type) -> None:
        names = _asked(shape)
        self.assertTrue(names)
        for kind in kinds:
            missing = {name for name in names if not callable(getattr(kind, name, None))}
            self.assertEqual(missing, set(), kind)

    def test_transports(self) -> None:
        """TCP and Unix connections, made and accepted."""
        self.fits(Transport, tcp.Server, tcp.Client, unix.Server)

    def test_time(self) -> None:
        """The reactor, the tests' clock, and the calls that they plan."""
        self.fits(Clock, EPollReactor, TwistedClock)
        self.fits(DelayedCall, TwistedCall)

    def test_descriptors(self) -> None:
        """The reactor that splices."""
        self.fits(FDReactor, EPollReactor)
