"""Joined connections while much is under way: pipes of the kernel's where both legs are plain."""

from __future__ import annotations

import socket
from typing import Any

from mailroute.net.pipes import PIPE_OCTETS, PIPES, PipePool
from tests.net.test_joint import MANY, noise
from tests.support import local_reactor
from tests.support.joined import LEGS, Joined, JoinedCase
from tests.support.local_reactor import open_descriptors
from tests.support.peers import World, plain_message

LARGE_BUFFER = 1 << 20
"""Octets asked for as the kernel's own buffer, which takes twice as many (socket(7)).

With it chunks come as large as they can be read.
"""
BUFFERS = 600_000
"""Octets that the far end's transport, the kernel and OpenSSL hold of one direction, at most."""


class PlainCase(JoinedCase):
    """Plain joints, and what they borrow."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(local_reactor, "SMALL_BUFFER", LARGE_BUFFER)
        self.before = open_descriptors()

    def plain(self, trailing: bytes = b"") -> Joined:
        joined = self.join(False, False, trailing)
        self.taken = 0
        pool = self.pool(joined)
        take = pool.take

        def count() -> Any:
            self.taken += 1
            return take()

        self.patch(pool, "take", count)
        return joined

    def stalled(self, data: bytes) -> Joined:
        """A client that does not read, and a pipe full of what it does not take."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(data)
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 1)
        return joined

    def pool(self, joined: Joined) -> PipePool:
        return joined.world.splicer._joints.pool

    def end(self, *clients: Any) -> None:
        """No pipe is lent, and every descriptor is back."""
        super().end(*clients)
        pool = self.world.splicer._joints.pool
        self.assertEqual(pool._lent, 0)
        pool.close()
        self.assertEqual(open_descriptors() - self.before, set())


class PipeTests(PlainCase):
    """A session holds a pipe only while bytes are in it."""

    def test_given_back(self) -> None:
        """After a transfer the pipe is free for others."""
        joined = self.plain()
        for _ in range(5):
            joined.backend.say(noise(1))
            self.settle()
        self.assertGreater(self.taken, 0)
        self.assertEqual((self.pool(joined)._lent, len(self.pool(joined)._free)), (0, 1))
        self.assertEqual(len(joined.client.take()), 5 * MANY)
        self.end(joined.client)

    def test_small_ones_borrow_nothing(self) -> None:
        """A conversation needs no pipe."""
        joined = self.plain()
        for _ in range(20):
            joined.backend.say(b"* OK\r\n")
            joined.client.say(b"x NOOP\r\n")
            self.settle()
        self.assertEqual(self.taken, 0)
        self.end(joined.client)

    def test_stalled(self) -> None:
        """A stalled reader holds one pipe, and what fits into it."""
        data = noise(2, 10 * PIPE_OCTETS)
        joined = self.stalled(data)
        self.assertLess(joined.joint.sides[1].octets, 2 * LARGE_BUFFER + PIPE_OCTETS + BUFFERS)
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 0)
        self.assertTrue(joined.client.take() == data)
        self.end(joined.client)

    def test_ended_with_bytes_in_it(self) -> None:
        """The next session must not find another's mail in its pipe."""
        joined = self.stalled(b"somebody's mail" * 500_000)
        joined.joint.end("shutdown")
        self.settle()
        pool = self.pool(joined)
        self.assertEqual((pool._lent, pool._free), (0, []))
        other, _ = joined.world.log_in()
        other.take()
        joined.world.east.last.say(noise(3))
        self.settle()
        self.assertTrue(other.take() == noise(3))
        joined.client.reset()
        self.end(other)

    def test_no_pipes(self) -> None:
        """Without a pipe the bytes are copied: exact both ways, and the ends as ever."""
        joined = self.plain()
        self.patch(self.pool(joined), "take", lambda: None)
        up, down = noise(3), noise(4)
        joined.client.say(up)
        joined.backend.say(down)
        self.settle()
        self.assertTrue(joined.backend.joined == up)
        self.assertTrue(joined.client.take() == down)
        joined.client.leave()
        self.settle()
        self.assertEqual(joined.ended(), ("client", MANY, MANY))
        self.end()

    def test_no_pipes_and_stalled(self) -> None:
        """The copy is bounded as well."""
        joined = self.plain()
        self.patch(self.pool(joined), "take", lambda: None)
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(5))
        self.settle()
        self.assertLess(joined.joint.sides[1].octets, 2 * LARGE_BUFFER + BUFFERS)
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertTrue(joined.client.take() == noise(5))
        self.end(joined.client)

    def test_pipes_run_out_and_come_back(self) -> None:
        """While all pipes are lent others copy; the order of the bytes survives the change."""
        joined = self.plain()
        pool = self.pool(joined)
        lent = [pool.take() for _ in range(PIPES)]
        joined.backend.say(noise(6))
        self.settle()
        for pipe in lent:
            assert pipe is not None
            pool.give_back(pipe)
        joined.backend.say(noise(7))
        self.settle()
        self.assertTrue(joined.client.take() == noise(6) + noise(7))
        self.end(joined.client)


class BeginningTests(PlainCase):
    """The streams first send what they hold."""

    def stalled_from_the_start(self) -> tuple[Any, Any]:
        """A client that stopped reading before its login was answered with long replies."""
        self.patch(local_reactor, "SMALL_BUFFER", 4096)
        self.world = world = World(self.reactor)
        client, accepted = world.connect()
        client.transport.pauseProducing()
        client.say(b"x NOOP\r\n" * 4000)
        self.settle()
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        self.assertTrue(accepted.is_blocked)
        (joint,) = world.splicer.joints
        return client, joint

    def test_order(self) -> None:
        """What the stream holds goes before what the backend said later."""
        client, _ = self.stalled_from_the_start()
        visit = self.world.east.last
        visit.say(noise(9, 200_000))
        self.settle()
        client.transport.resumeProducing()
        self.settle()
        said = client.take()
        self.assertEqual(said.count(b"x OK NOOP completed.\r\n"), 4000)
        self.assertTrue(said.partition(b"Logged in\r\n")[2] == noise(9, 200_000))
        self.end(client)

    def test_lost_before_it_began(self) -> None:
        """A client that breaks off before its stream has sent everything."""
        client, _ = self.stalled_from_the_start()
        client.reset()
        self.settle()
        self.assertIsNotNone(self.world.east.last.lost)
        self.assertEqual(len(self.world.listener), 0)
        self.end()

    def test_ended_before_it_began(self) -> None:
        """The same from inside, with bytes that nobody takes."""
        client, joint = self.stalled_from_the_start()
        joint.end("shutdown")
        self.advance(31)
        self.assertEqual(len(self.world.listener), 0)
        client.reset()
        self.end()


class BrokenTests(PlainCase):
    """Connections that break while bytes are on their way."""

    def test_who_does_not_listen(self) -> None:
        """A write that fails is the listener's fault, not the speaker's."""
        for data in (b"x", noise(11)):
            joined = self.plain()
            joined.client.transport.socket.shutdown(socket.SHUT_RD)
            joined.backend.say(data)
            self.settle()
            self.assertEqual(joined.ended()[0], "client-lost")
            self.end()

    def test_who_broke(self) -> None:
        """The side that breaks off is named."""
        joined = self.stalled(noise(12, 4 * PIPE_OCTETS))
        joined.client.reset()
        self.settle()
        self.assertEqual(joined.ended()[0], "client-lost")
        self.assertIsNotNone(joined.backend.lost)
        self.end()

    def test_speaker_breaks(self) -> None:
        """A speaker that breaks off is told as such when its words have been said."""
        joined = self.stalled(noise(13, 4 * PIPE_OCTETS))
        joined.backend.transport.abortConnection()
        self.settle()
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertTrue(joined.ended()[0].startswith("backend"), joined.ended())
        self.assertIsNotNone(joined.client.lost)
        self.end()

    def test_both_stalled(self) -> None:
        """Neither side reads: the end of one is seen all the same."""
        joined = self.stalled(noise(14, 4 * PIPE_OCTETS))
        joined.backend.transport.pauseProducing()
        joined.client.say(noise(15, 4 * PIPE_OCTETS))
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 2)
        joined.client.reset()
        self.settle()
        self.assertEqual(joined.ended()[0], "client-lost")
        joined.backend.transport.abortConnection()
        self.end()

    def test_nothing_is_moved_after_the_end(self) -> None:
        """An event of the same round does not bring a joint back to life."""
        joined = self.stalled(noise(16, 4 * PIPE_OCTETS))
        backend = joined.joint.sides[1]
        held = backend.octets
        joined.joint.end("shutdown")
        joined.client.transport.resumeProducing()
        joined.backend.say(b"more")
        self.settle()
        self.assertEqual(backend.octets, held)
        self.assertEqual(len(joined.world.listener), 0)
        joined.client.reset()
        self.end()


class SecureTests(JoinedCase):
    """TLS on either leg: the bytes pass through our memory."""

    def test_memory(self) -> None:
        """A reader that stalls costs the buffers of two connections and no more."""
        for legs in LEGS[1:]:
            joined = self.join(*legs)
            joined.client.transport.pauseProducing()
            joined.backend.say(noise(1))
            self.settle()
            self.assertLess(joined.joint.sides[1].octets, BUFFERS, legs)
            joined.client.transport.resumeProducing()
            self.settle()
            self.assertTrue(joined.client.take() == noise(1), legs)
            self.leave(joined.client)
            self.end()

    def test_lost_while_the_other_is_paused(self) -> None:
        """The paused side's connection ends at once, not by a timer."""
        for legs in ((False, True), (True, True)):
            joined = self.join(*legs)
            joined.client.transport.pauseProducing()
            joined.backend.say(noise(2))
            self.settle()
            joined.client.reset()
            self.settle()
            self.assertEqual(len(joined.world.listener), 0, legs)
            joined.backend.transport.abortConnection()
            self.assert_quiet()

    def test_nothing_is_moved_after_the_end(self) -> None:
        """A side that goes on talking while it is being closed fills nobody's buffer."""
        joined = self.join(False, True)
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(3, 300_000))
        self.settle()
        joint = joined.joint
        held = joint.sides[1].octets
        joint.end("shutdown")
        joined.backend.say(noise(4))
        self.settle()
        self.assertEqual(joint.sides[1].octets, held)
        joined.client.reset()
        self.end()
