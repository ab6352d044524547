"""The kernel's splice between two plain connections."""

from __future__ import annotations

from typing import Any

from mailroute.net.kernel import KernelSplice
from mailroute.net.pipes import PIPE_OCTETS, PIPES, PipePool
from tests.net.test_joint import MANY, noise
from tests.support.joined import Joined, JoinedCase
from tests.support.local_reactor import open_descriptors
from tests.support.peers import World, plain_message


class KernelCase(JoinedCase):
    """Plain joints."""

    def setUp(self) -> None:
        super().setUp()
        self.before = open_descriptors()

    def plain(self, trailing: bytes = b"") -> Joined:
        joined = self.join(False, False, trailing)
        assert isinstance(joined.joint, KernelSplice)
        return joined

    def pool(self, joined: Joined) -> PipePool:
        return joined.world.splicer._pool

    def end(self, *clients: Any) -> None:
        """No pipe is lent, and every descriptor is back."""
        super().end(*clients)
        pool = self.world.splicer._pool
        self.assertEqual(pool._lent, 0)
        pool.close()
        self.assertEqual(open_descriptors() - self.before, set())


class PipeTests(KernelCase):
    """A session holds a pipe only while bytes are in it."""

    def test_given_back(self) -> None:
        """After a transfer the pipe is free for others."""
        joined = self.plain()
        for _ in range(20):
            joined.backend.say(noise(1, 50_000))
            self.settle()
        self.assertEqual((self.pool(joined)._lent, len(self.pool(joined)._free)), (0, 1))
        self.end(joined.client)

    def test_stalled(self) -> None:
        """A stalled reader holds one pipe, and what fits into it."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(2, 10 * PIPE_OCTETS))
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 1)
        self.assertLess(joined.joint.backend.octets, 2 * PIPE_OCTETS)
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 0)
        self.assertTrue(joined.client.take() == noise(2, 10 * PIPE_OCTETS))
        self.end(joined.client)

    def test_ended_with_bytes_in_it(self) -> None:
        """The next session must not find another's mail in its pipe."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(b"somebody's mail" * 10_000)
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 1)
        joined.joint.end("shutdown")
        self.settle()
        self.assertEqual(self.pool(joined)._lent, 0)
        other, _ = joined.world.log_in()
        other.take()
        joined.world.east.last.say(b"my own")
        self.settle()
        self.assertEqual(other.take(), b"my own")
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
        self.assertLess(joined.joint.backend.octets, 200_000)
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertTrue(joined.client.take() == noise(5))
        self.end(joined.client)

    def test_pipes_run_out_and_come_back(self) -> None:
        """While all pipes are lent others copy; the order of the bytes survives the change."""
        joined = self.plain()
        pool = self.pool(joined)
        lent = [pool.take() for _ in range(PIPES)]
        joined.backend.say(noise(6, 500_000))
        self.settle()
        for pipe in lent:
            assert pipe is not None
            pool.give_back(pipe)
        joined.backend.say(noise(7, 500_000))
        self.settle()
        self.assertTrue(joined.client.take() == noise(6, 500_000) + noise(7, 500_000))
        self.end(joined.client)


class BeginningTests(KernelCase):
    """The transports first send what they hold."""

    def stalled_from_the_start(self) -> tuple[Any, Any]:
        """A client that stopped reading before its login was answered with long replies."""
        self.world = world = World(self.reactor)
        client, _ = world.connect()
        client.transport.pauseProducing()
        client.say(b"x NOOP\r\n" * 4000)
        self.settle()
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        (joint,) = world.splicer.joints
        return client, joint

    def test_order(self) -> None:
        """What the transports hold goes before what the kernel moves."""
        client, joint = self.stalled_from_the_start()
        self.assertEqual(joint._undrained, 1)
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
        """A client that breaks off before its transport has sent everything."""
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


class ReadinessTests(KernelCase):
    """The reactor's word for readiness is not always true."""

    def test_nothing_there(self) -> None:
        """A socket that has nothing after all is not an end, with a pipe and without."""
        joined = self.plain()
        sockets = joined.joint._sockets  # type: ignore[attr-defined]
        for each in sockets:
            each.doRead()
        self.patch(self.pool(joined), "take", lambda: None)
        for each in sockets:
            each.doRead()
        joined.backend.say(b"still here")
        self.settle()
        self.assertEqual(joined.client.take(), b"still here")
        self.end(joined.client)

    def test_reading_while_waiting_for_room(self) -> None:
        """Bytes in flight are not overtaken by others."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(10))
        self.settle()
        before = joined.joint.backend.octets
        for each in joined.joint._sockets:  # type: ignore[attr-defined]
            each.doRead()
        self.assertEqual(joined.joint.backend.octets, before)
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertTrue(joined.client.take() == noise(10))
        self.end(joined.client)

    def test_after_the_end(self) -> None:
        """An event of the same round does not bring a joint back to life."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(11))
        self.settle()
        sockets = joined.joint._sockets  # type: ignore[attr-defined]
        joined.joint.end("shutdown")
        for each in sockets:
            each.doWrite()
            each.doRead()
        joined.client.transport.resumeProducing()
        self.settle()
        self.assertEqual(len(joined.world.listener), 0)
        joined.client.reset()
        self.end()

    def test_broken_in_the_reactor(self) -> None:
        """The reactor may be the first to notice."""
        joined = self.plain()
        joined.joint._sockets[1].connectionLost(None)  # type: ignore[attr-defined]
        self.settle()
        self.assertEqual(joined.ended()[0], "backend-lost")
        self.assertIsNotNone(joined.client.lost)
        self.end()

    def test_who_broke(self) -> None:
        """A write that fails is the reader's fault, not the speaker's."""
        joined = self.plain()
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(12))
        self.settle()
        joined.client.reset()
        self.settle()
        self.assertEqual(joined.ended()[0], "client-lost")
        self.end()
