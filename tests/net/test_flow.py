"""One direction of a joined session, over socket pairs: copied, spliced, blocked, ended."""

from __future__ import annotations

import contextlib
import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.flow import Flow
from mailroute.net.pipes import PIPE_OCTETS, Pipe, PipePool
from tests.support.loop import Loop, Recorder, read_all

PATTERN = os.urandom(1 << 20)


class CountingPool(PipePool):
    """Counts what is lent."""

    def __init__(self, is_empty: bool = False) -> None:
        super().__init__()
        self.lent = 0
        self.most = 0
        self.taken = 0
        self._is_empty = is_empty

    def take(self) -> Pipe | None:
        if self._is_empty:
            return None
        pipe = super().take()
        self.taken += 1
        self.lent += 1
        self.most = max(self.most, self.lent)
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        self.lent -= 1
        super().give_back(pipe)

    def discard(self, pipe: Pipe) -> None:
        self.lent -= 1
        super().discard(pipe)


class FlowTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)

    def make(self, pool: PipePool | None) -> None:
        self.pool = pool
        if pool is not None:
            self.addCleanup(pool.close)
        self.source, self.sender = self.loop.stream(Recorder())
        self.sink, self.receiver = self.loop.stream(Recorder())
        self.flow = Flow(self.source.transport, self.sink.transport, pool)
        self.addCleanup(self.flow.stop)
        self.flow.start()

    def carry(self, octets: int, stall: int = 0) -> bytes:
        """Send a pattern through; the receiver does nothing for the first ``stall`` rounds."""
        data = (PATTERN * (octets // len(PATTERN) + 1))[:octets]
        received, sent, rounds = bytearray(), 0, 0
        while len(received) < octets:
            rounds += 1
            assert rounds < 20000, (len(received), sent)
            if sent < octets:
                with contextlib.suppress(BlockingIOError):
                    sent += self.sender.send(data[sent : sent + (1 << 20)])
            self.loop.turn(1)
            if rounds > stall:
                received += read_all(self.receiver)
        assert bytes(received) == data
        assert self.flow.octets == octets
        return data

    def test_small_exchanges_pay_for_no_pipe(self) -> None:
        pool = CountingPool()
        self.make(pool)
        for _ in range(20):
            self.sender.send(b"a NOOP\r\n")
            self.loop.turn(1)
            self.assertEqual(read_all(self.receiver), b"a NOOP\r\n")
        self.assertEqual(pool.taken, 0)

    def test_bulk_is_spliced_and_the_pipe_given_back(self) -> None:
        pool = CountingPool()
        self.make(pool)
        for each in (self.sender, self.receiver):
            each.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
        self.carry(24 << 20)
        self.assertGreater(pool.taken, 0)
        self.loop.turn(3)
        self.assertEqual(pool.lent, 0)

    def test_without_pipes(self) -> None:
        """With no descriptor left for a pipe the bytes are copied."""
        self.make(CountingPool(is_empty=True))
        self.carry(8 << 20)

    def test_with_tls_somewhere(self) -> None:
        self.make(None)
        self.carry(8 << 20)

    def test_stalled_receiver(self) -> None:
        """At most one chunk or pipe is held, and everything arrives when reading goes on."""
        pool = CountingPool()
        self.make(pool)
        self.carry(12 << 20, stall=60)
        self.assertEqual(pool.most, 1)

    def test_held_while_stalled(self) -> None:
        pool = CountingPool()
        self.make(pool)
        sent = 0
        for _ in range(300):
            with contextlib.suppress(BlockingIOError):
                sent += self.sender.send(PATTERN)
            self.loop.turn(1)
        room = 16 << 20
        self.assertLess(sent, PIPE_OCTETS * 6 + room)
        self.assertEqual(len(read_all(self.receiver)) > 0, True)

    def test_the_end_comes_behind_the_bytes(self) -> None:
        pool = CountingPool()
        self.make(pool)
        self.carry(4 << 20)
        self.sender.send(b"last words")
        self.sender.shutdown(socket.SHUT_WR)
        self.loop.turn(4)
        self.assertEqual(read_all(self.receiver), b"last words")
        self.assertIn("read-ended", self.source.story)
        self.assertEqual(pool.lent, 0)

    def test_a_receiver_that_goes_away(self) -> None:
        """The pipe with bytes in it is not lent again, and the session hears of it."""
        pool = CountingPool()
        self.make(pool)
        for _ in range(50):
            with contextlib.suppress(BlockingIOError):
                self.sender.send(PATTERN)
            self.loop.turn(1)
        self.receiver.close()
        self.loop.turn(10)
        self.assertIn("lost", self.sink.story)
        self.assertNotIn("lost", self.source.story)
        self.flow.stop()
        self.assertEqual(pool.lent, 0)
