"""The engine for TLS: the transports' own back-pressure, and nothing left of it."""

from __future__ import annotations

from mailroute.net.pump import Pump
from tests.net.test_joint import noise
from tests.support.joined import LEGS, JoinedCase

BUFFERS = 400_000
"""Octets that two transports and OpenSSL hold of one direction, at most."""


class PumpTests(JoinedCase):
    """Every combination of legs but the plain one."""

    def test_engine(self) -> None:
        """TLS on either leg needs our memory."""
        for legs in LEGS[1:]:
            joined = self.join(*legs)
            self.assertIsInstance(joined.joint, Pump)
            self.leave(joined.client)
            self.end()

    def test_memory(self) -> None:
        """A reader that stalls costs the transports' buffers and no more."""
        for legs in LEGS[1:]:
            joined = self.join(*legs)
            joined.client.transport.pauseProducing()
            joined.backend.say(noise(1))
            self.settle()
            self.assertLess(joined.joint.backend.octets, BUFFERS, legs)
            joined.client.transport.resumeProducing()
            self.settle()
            self.assertEqual(len(joined.client.take()), len(noise(1)))
            self.leave(joined.client)
            self.end()

    def test_lost_while_the_other_is_paused(self) -> None:
        """The paused side's own goodbye is heard: its connection ends at once, not by a timer."""
        for legs in ((False, True), (True, True)):
            joined = self.join(*legs)
            joined.client.transport.pauseProducing()
            joined.backend.say(noise(2))
            self.settle()
            joined.client.reset()
            self.settle()
            self.assertEqual(len(joined.world.listener), 0, legs)
            self.assertIsNotNone(joined.backend.lost)
            self.assert_quiet()

    def test_nothing_is_moved_after_the_end(self) -> None:
        """A side that goes on talking while it is being closed fills nobody's buffer."""
        joined = self.join(False, True)
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(3, 300_000))
        self.settle()
        joint = joined.joint
        held = joint.backend.octets
        joint.end("shutdown")
        joined.backend.say(noise(4))
        self.settle()
        self.assertEqual(joint.backend.octets, held)
        joined.client.reset()
        self.end()
