"""A budget of seconds that runs only while one side is waited for."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.allowance import Allowance


class AllowanceTests(SynchronousTestCase):
    """Ten seconds."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.expired = 0
        self.allowance = Allowance(self.clock, 10.0, self._expire)

    def _expire(self) -> None:
        self.expired += 1

    def test_does_not_run_by_itself(self) -> None:
        """Nothing runs before ``run``."""
        self.clock.advance(100)
        self.assertEqual((self.expired, self.clock.getDelayedCalls()), (0, []))

    def test_expires_once(self) -> None:
        """At its end, and never again."""
        self.allowance.run()
        self.clock.advance(9.9)
        self.assertEqual(self.expired, 0)
        self.clock.advance(0.2)
        self.clock.advance(100)
        self.assertEqual((self.expired, self.allowance.left), (1, 0.0))

    def test_held(self) -> None:
        """What was left goes on later; meanwhile nothing is planned."""
        self.allowance.run()
        self.clock.advance(4)
        self.allowance.hold()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(100)
        self.assertEqual(self.allowance.left, 6.0)
        self.allowance.run()
        self.clock.advance(5.9)
        self.assertEqual(self.expired, 0)
        self.clock.advance(0.2)
        self.assertEqual(self.expired, 1)

    def test_running_twice(self) -> None:
        """A second ``run`` neither grants time nor plans a second call."""
        self.allowance.run()
        self.clock.advance(4)
        self.allowance.run()
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        self.assertEqual(self.allowance.left, 6.0)

    def test_renewed(self) -> None:
        """The whole budget again, however much was left."""
        self.allowance.run()
        self.clock.advance(9)
        self.allowance.renew()
        self.assertEqual(self.allowance.left, 10.0)
        self.clock.advance(9)
        self.assertEqual(self.expired, 0)
        self.clock.advance(1)
        self.assertEqual(self.expired, 1)

    def test_holding_what_does_not_run(self) -> None:
        """Holding twice, or before the start, changes nothing."""
        self.allowance.hold()
        self.allowance.hold()
        self.assertEqual(self.allowance.left, 10.0)
