"""The epoll inside the reactor: rounds, leftovers and handshakes in their turn."""

from __future__ import annotations

import os
import socket

from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.poller import ENDED, READABLE, WRITABLE
from tests.support.loop import Loop


class Watcher:
    """Notes what it is told."""

    def __init__(self) -> None:
        self.masks: list[int] = []
        self.defects = 0
        self.error: Exception | None = None

    def ready(self, mask: int) -> None:
        self.masks.append(mask)
        if self.error is not None:
            raise self.error

    def postponed(self) -> None:
        self.ready(0)

    def defect(self) -> None:
        self.defects += 1


class PollerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.poller = self.loop.poller

    def watch(self) -> tuple[Watcher, socket.socket, int]:
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            self.addCleanup(each.close)
        watcher = Watcher()
        self.poller.watch(ours.fileno(), watcher)
        return watcher, theirs, ours.fileno()

    def test_events_come_once(self) -> None:
        """Edges: bytes are told of when they come, not for as long as they wait."""
        watcher, other, _ = self.watch()
        self.poller.doRead()
        self.assertEqual([mask & READABLE for mask in watcher.masks], [0])
        self.assertTrue(watcher.masks.pop() & WRITABLE)
        other.send(b"x")
        self.poller.doRead()
        self.poller.doRead()
        self.assertEqual(len(watcher.masks), 1)
        self.assertTrue(watcher.masks.pop() & READABLE)
        other.close()
        self.poller.doRead()
        self.assertTrue(watcher.masks.pop() & ENDED)

    def test_closed_with_connections(self) -> None:
        """What is still connected ends, and its protocol hears of it; nothing is done later."""
        loop = Loop()
        protocol, other = loop.stream()
        loop.poller.again(lambda: None)
        loop.poller.close()
        self.assertEqual(protocol.story, ["made", "lost"])
        self.assertEqual(other.recv(1), b"")
        loop.reactor.advance(0)
        other.close()

    def test_closed_from_within(self) -> None:
        """Whoever is called may close: the rest of the round finds nothing to do."""
        for postpone in (False, True):
            loop = Loop()
            protocol, other = loop.stream()
            _neighbour, another = loop.stream()
            close = loop.poller.close
            protocol.on_data = lambda data, close=close: close()
            if postpone:
                protocol.transport.pauseProducing()
                loop.poller.again(protocol.transport.resumeProducing)
            for each in (other, another):
                each.send(b"x")
            loop.poller.again(lambda: None)
            loop.poller.doRead()
            loop.reactor.advance(0)
            self.assertEqual(protocol.story, ["made", "lost"])
            self.assertEqual(loop.poller.fileno(), -1)
            for each in (other, another):
                each.close()

    def test_forgotten(self) -> None:
        watcher, other, descriptor = self.watch()
        self.poller.forget(descriptor)
        other.send(b"x")
        self.poller.doRead()
        self.assertEqual(watcher.masks, [])

    def test_left(self) -> None:
        """It stays open, and its events do not even wake us."""
        watcher, other, descriptor = self.watch()
        self.poller.leave(descriptor)
        other.send(b"x")
        self.assertEqual(self.poller._epoll.poll(0), [])
        self.assertEqual(watcher.masks, [])

    def test_replaced(self) -> None:
        watcher, other, descriptor = self.watch()
        heir = Watcher()
        self.poller.replace(descriptor, heir)
        other.send(b"x")
        self.poller.doRead()
        self.assertEqual((watcher.masks, len(heir.masks)), ([], 1))

    def test_a_defect_reaches_its_own_connection_alone(self) -> None:
        broken, _, _ = self.watch()
        fine, _, _ = self.watch()
        broken.error = ZeroDivisionError()
        self.poller.doRead()
        self.assertEqual((broken.defects, fine.defects, len(fine.masks)), (1, 0, 1))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_defect_in_what_was_postponed(self) -> None:
        """It reaches its own connection as well: nothing goes on behind it."""
        broken, _, _ = self.watch()
        broken.error = ZeroDivisionError()

        self.poller.again(broken.postponed)
        self.poller.slowly(broken.postponed)
        self.poller.doRead()
        self.assertEqual(broken.defects, 3)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)

    def test_what_is_left_comes_after_what_is_ready(self) -> None:
        """Work that goes on for ever has one turn in each round."""
        turns: list[str] = []

        def go_on() -> None:
            turns.append("big")
            self.poller.again(go_on)

        self.poller.again(go_on)
        watcher, other, _ = self.watch()
        for _ in range(3):
            other.send(b"x")
            self.poller.doRead()
        self.assertEqual(len(watcher.masks), 3)
        self.assertLessEqual(len(turns), 3 * 4)

    def test_handshakes_are_rationed(self) -> None:
        """A crowd of handshakes leaves every other connection its turn in between."""
        order: list[str] = []
        watcher, other, _ = self.watch()
        self.poller.doRead()
        watcher.ready = lambda mask: order.append("other")  # type: ignore[method-assign]
        self.poller.slowly(lambda: other.send(b"x"))
        for _ in range(9):
            self.poller.slowly(lambda: order.append("handshake"))
        self.poller.doRead()
        self.assertEqual(order[:4], ["handshake"] * 3 + ["other"])
        self.assertEqual(order.count("handshake"), 9)

    def test_failing_leftovers(self) -> None:
        def fail() -> None:
            raise ZeroDivisionError

        done: list[str] = []
        self.poller.again(fail)
        self.poller.again(lambda: done.append("x"))
        self.poller.doRead()
        self.assertEqual(done, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_closed(self) -> None:
        """After the end the reactor has nothing of ours, and the descriptor is gone."""
        loop = Loop()
        descriptor = loop.poller.fileno()
        loop.poller.close()
        self.assertEqual((loop.reactor.readers, loop.poller.fileno()), ([], -1))
        self.assertRaises(OSError, os.fstat, descriptor)

    def test_closed_within_a_round(self) -> None:
        """What a connection's end sets going may close the poller itself."""
        loop = Loop()
        loop.poller.again(loop.poller.close)
        loop.poller.again(lambda: None)
        loop.turn()
        self.assertEqual(loop.poller.fileno(), -1)
