"""A connection of our own: bytes, ends, room and TLS, over socket pairs."""

from __future__ import annotations

import socket
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.stream import READ_OCTETS
from tests.support.loop import Loop, Recorder, read_all

MEGABYTE = bytes(range(256)) * 4096


class StreamTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)

    def test_bytes_both_ways(self) -> None:
        protocol, other = self.loop.stream()
        other.send(b"hello")
        self.loop.turn()
        self.assertEqual(protocol.heard, b"hello")
        protocol.transport.write(b"wel")
        protocol.transport.write(b"come")
        self.assertEqual(other.recv(100), b"welcome")

    def test_what_came_before_the_watch(self) -> None:
        """The first edge tells of bytes that were there already."""
        ours, theirs = socket.socketpair()
        self.addCleanup(theirs.close)
        ours.setblocking(False)
        theirs.send(b"early")
        protocol = Recorder()
        self.loop.open(ours, protocol)
        self.loop.turn()
        self.assertEqual(protocol.heard, b"early")

    def test_large_writes_wait_for_room(self) -> None:
        """What the kernel does not take is kept, in order, and sent when there is room."""
        protocol, other = self.loop.stream()
        for _ in range(8):
            protocol.transport.write(MEGABYTE)
        self.assertTrue(protocol.transport.is_blocked)
        received = bytearray()

        def done() -> bool:
            received.extend(read_all(other))
            return len(received) >= 8 * len(MEGABYTE)

        self.loop.until(done)
        self.assertEqual(bytes(received), MEGABYTE * 8)
        self.assertFalse(protocol.transport.is_blocked)

    def test_large_reads_leave_turns_to_others(self) -> None:
        """A round takes a bounded share of one connection, and nothing of it is forgotten."""
        protocol, other = self.loop.stream()
        quiet, quiet_other = self.loop.stream()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        sent = other.send(MEGABYTE * 2)
        quiet_other.send(b"me too")
        self.loop.poller._round()
        self.assertEqual(quiet.heard, b"me too")
        self.assertLessEqual(len(protocol.heard), 8 * READ_OCTETS)
        self.loop.until(lambda: len(protocol.heard) == sent)

    def test_paused(self) -> None:
        """A paused connection is not read, and misses nothing."""
        protocol, other = self.loop.stream()
        protocol.transport.pauseProducing()
        other.send(b"later")
        self.loop.turn()
        self.assertEqual(protocol.heard, b"")
        protocol.transport.resumeProducing()
        self.loop.turn()
        self.assertEqual(protocol.heard, b"later")

    def test_paused_by_its_own_bytes(self) -> None:
        protocol, other = self.loop.stream()
        protocol.on_data = lambda data: protocol.transport.pauseProducing()
        other.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
        sent = other.send(MEGABYTE)
        self.loop.turn()
        self.assertLessEqual(len(protocol.heard), READ_OCTETS)
        protocol.on_data = lambda data: None
        protocol.transport.resumeProducing()
        self.loop.until(lambda: len(protocol.heard) == sent)

    def test_end_of_the_other_half(self) -> None:
        """A half-close is told, with all bytes before it; writing goes on."""
        protocol, other = self.loop.stream()
        other.send(b"QUIT")
        other.shutdown(socket.SHUT_WR)
        self.loop.turn()
        self.assertEqual((protocol.heard, protocol.story), (b"QUIT", ["made", "read-ended"]))
        protocol.transport.write(b"bye")
        self.assertEqual(other.recv(100), b"bye")

    def test_our_half_close(self) -> None:
        """Our end comes behind everything that was written."""
        protocol, other = self.loop.stream()
        protocol.transport.write(MEGABYTE * 2)
        protocol.transport.loseWriteConnection()
        received = bytearray()

        def done() -> bool:
            received.extend(read_all(other))
            return len(received) == 2 * len(MEGABYTE)

        self.loop.until(done)
        self.loop.turn()
        other.setblocking(True)
        self.assertEqual(other.recv(1), b"")
        other.send(b"still here")
        self.loop.turn()
        self.assertEqual(protocol.heard, b"still here")

    def test_orderly_close_sends_everything_first(self) -> None:
        protocol, other = self.loop.stream()
        protocol.transport.write(MEGABYTE * 2)
        protocol.transport.loseConnection()
        protocol.transport.write(b"too late")
        received = bytearray()

        def done() -> bool:
            received.extend(read_all(other))
            return "lost" in protocol.story

        self.loop.until(done)
        received.extend(read_all(other))
        self.assertEqual(bytes(received), MEGABYTE * 2)
        assert protocol.reason is not None
        self.assertTrue(protocol.reason.check(ConnectionDone))

    def test_the_end_is_never_told_within_a_call(self) -> None:
        """Whoever closes or writes does not hear of the end before its call has returned."""
        protocol, other = self.loop.stream()
        protocol.transport.loseConnection()
        self.assertNotIn("lost", protocol.story)
        self.loop.turn()
        self.assertEqual(protocol.story.count("lost"), 1)
        protocol, other = self.loop.stream()
        other.close()
        protocol.transport.write(b"x")
        protocol.transport.write(b"x")
        self.assertNotIn("lost", protocol.story)
        self.loop.turn()
        self.assertEqual(protocol.story.count("lost"), 1)

    def test_abort_drops_what_waits(self) -> None:
        protocol, _other = self.loop.stream()
        protocol.transport.write(MEGABYTE * 4)
        protocol.transport.abortConnection()
        self.loop.turn()
        assert protocol.reason is not None
        self.assertTrue(protocol.reason.check(ConnectionLost))

    def test_a_defect_ends_one_connection(self) -> None:
        """A protocol that raises is logged and closed; its neighbour is served on."""
        broken, broken_other = self.loop.stream()
        fine, fine_other = self.loop.stream()

        def fail(data: bytes) -> None:
            raise ZeroDivisionError

        broken.on_data = fail
        broken_other.send(b"x")
        fine_other.send(b"y")
        self.loop.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIn("lost", broken.story)
        self.assertEqual(fine.heard, b"y")

    def test_descriptor_is_given_back(self) -> None:
        protocol, _other = self.loop.stream()
        descriptor = protocol.transport.fileno()
        protocol.transport.abortConnection()
        self.loop.turn()
        self.assertEqual(protocol.transport.fileno(), -1)
        again = socket.socketpair()
        for each in again:
            self.addCleanup(each.close)
        self.assertIn(descriptor, [each.fileno() for each in again])


class Side:
    """One side of TLS with a fixed context."""

    def __init__(self, context: SSL.Context, is_server: bool) -> None:
        self._context = context
        self._is_server = is_server

    def connection(self, sock: socket.socket) -> SSL.Connection:
        connection = SSL.Connection(self._context, sock)
        if self._is_server:
            connection.set_accept_state()
        else:
            connection.set_connect_state()
        return connection

    def verify(self, connection: SSL.Connection) -> tuple[str, ...]:
        return ()

    def explain(self, reason: Any) -> str:
        return ""


class TLSStreamTests(SynchronousTestCase):
    """Two streams of ours speak TLS with each other."""

    def setUp(self) -> None:
        from tests.support.tls import contexts

        self.loop = Loop()
        self.addCleanup(self.loop.close)
        server, client = contexts()
        ours, theirs = socket.socketpair()
        self.pair = (Recorder(), Recorder())
        for sock, protocol in zip((ours, theirs), self.pair, strict=True):
            sock.setblocking(False)
            self.loop.open(sock, protocol)
        self.server, self.client = self.pair
        self.sides = (Side(server, True), Side(client, False))

    def begin(self) -> None:
        for protocol, side in zip(self.pair, self.sides, strict=True):
            protocol.transport.startTLS(side)

    def secure(self) -> None:
        self.begin()
        self.loop.until(lambda: all("secure" in each.story for each in self.pair))

    def test_bytes_both_ways(self) -> None:
        self.secure()
        self.server.transport.write(b"greeting")
        self.client.transport.write(MEGABYTE)
        self.loop.until(lambda: len(self.server.heard) == len(MEGABYTE))
        self.assertEqual((self.client.heard, self.server.heard), (b"greeting", MEGABYTE))

    def test_after_cleartext(self) -> None:
        """STARTTLS: what was written before leaves in the clear, what comes behind is encrypted."""
        self.server.transport.write(b"begin")
        self.loop.turn()
        self.assertEqual(self.client.heard, b"begin")
        self.secure()
        self.client.transport.write(b"secret")
        self.loop.until(lambda: self.server.heard == b"secret")

    def test_writes_before_the_handshake_wait(self) -> None:
        self.begin()
        self.client.transport.write(b"eager")
        self.loop.until(lambda: self.server.heard == b"eager")

    def test_orderly_end(self) -> None:
        """close_notify and FIN are an end, and everything before them arrives."""
        self.secure()
        self.server.transport.write(MEGABYTE)
        self.server.transport.loseConnection()
        self.loop.until(lambda: "lost" in self.client.story)
        self.assertEqual(self.client.heard, MEGABYTE)
        assert self.client.reason is not None
        self.assertTrue(self.client.reason.check(ConnectionDone))

    def test_orderly_end_with_something_unread(self) -> None:
        """What the other side said behind its last command costs it none of our last words."""
        self.secure()
        self.loop.turn()
        self.server.on_data = lambda data: (
            self.server.transport.write(b"* BYE\r\n"),
            self.server.transport.loseConnection(),
        )
        self.client.transport.pauseProducing()
        for line in (b"a LOGOUT\r\n", b"b NOOP\r\n", b"c NOOP\r\n"):
            self.client.transport.write(line)
        self.loop.until(lambda: "lost" in self.server.story)
        # A socket that is closed with something unread in it resets the connection.
        handle = self.client.transport.getHandle()
        self.assertEqual(handle.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR), 0)
        self.client.transport.resumeProducing()
        self.loop.until(lambda: "lost" in self.client.story)
        self.assertEqual(self.client.heard, b"* BYE\r\n")

    def test_close_notify_is_answered(self) -> None:
        """With one of ours (RFC 5246 section 7.2.1): else the end looks like an attack."""
        self.secure()
        self.client.transport.pauseProducing()
        handle = self.client.transport.getHandle()
        handle.shutdown()
        self.loop.until(lambda: "lost" in self.server.story)
        assert self.server.reason is not None
        self.assertTrue(self.server.reason.check(ConnectionDone))
        self.assertRaises(SSL.ZeroReturnError, handle.recv, 1)

    def test_an_end_without_close_notify(self) -> None:
        """Common among mail programs, and an end like any other."""
        self.secure()
        self.server.transport.getHandle().sock_shutdown(socket.SHUT_RDWR)
        self.loop.until(lambda: "lost" in self.client.story)
        assert self.client.reason is not None
        self.assertTrue(self.client.reason.check(ConnectionDone))

    def test_a_failed_handshake_says_why(self) -> None:
        self.server.transport.startTLS(self.sides[0])
        self.client.transport.write(b"this is no hello at all, is it?\r\n")
        self.loop.until(lambda: "lost" in self.server.story)
        assert self.server.reason is not None
        self.assertTrue(self.server.reason.check(SSL.Error))

    def test_paused(self) -> None:
        """Records that wait decrypted are not lost to a pause."""
        self.secure()
        self.client.on_data = lambda data: self.client.transport.pauseProducing()
        self.server.transport.write(MEGABYTE)
        self.loop.turn(20)
        self.assertLess(len(self.client.heard), len(MEGABYTE))
        self.client.on_data = lambda data: None
        self.client.transport.resumeProducing()
        self.loop.until(lambda: len(self.client.heard) == len(MEGABYTE))

    def test_nothing_is_read_before_the_verdict_on_the_certificate(self) -> None:
        """A read is never a part of the handshake: who the other side is was not asked yet."""
        self.begin()
        for protocol in self.pair:
            protocol.transport.is_readable = True
            protocol.transport.resumeProducing()
        read: list[str] = []
        for protocol in self.pair:
            handle = protocol.transport.getHandle()
            self.patch(handle, "recv", lambda size: read.append("early"))
        for protocol in self.pair:
            protocol.transport._read()
        self.assertEqual(read, [])

    def test_a_reading_that_is_due_does_not_replace_the_handshake(self) -> None:
        """Both wait for the same turn: the handshake is begun all the same."""
        for protocol in self.pair:
            protocol.transport.is_readable = True
            protocol.transport.resumeProducing()
        self.begin()
        self.loop.until(lambda: all("secure" in each.story for each in self.pair))

    def test_distrusted(self) -> None:
        """What waits for the handshake is not sent to somebody who is not trusted after it."""
        self.client.handshakeCompleted = lambda: self.client.transport.abortConnection()
        self.begin()
        self.client.transport.write(b"secret")
        self.loop.until(lambda: "lost" in self.server.story)
        self.assertEqual(self.server.heard, b"")
