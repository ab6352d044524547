"""Accepting: in batches, past what fails, and quietly while there are no descriptors."""

from __future__ import annotations

import errno
import os
import socket
import tempfile
from pathlib import Path
from shutil import rmtree
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net import sockets
from mailroute.net.acceptor import Acceptor
from tests.support.loop import Loop, Recorder

PAUSE = 0.5


class Factory:
    """Makes recorders; the first ones may be defective."""

    def __init__(self) -> None:
        self.made: list[Recorder] = []
        self.addresses: list[Any] = []
        self.defects = 0

    def buildProtocol(self, address: Any) -> Recorder:
        """See IProtocolFactory."""
        self.addresses.append(address)
        if self.defects:
            self.defects -= 1
            raise ZeroDivisionError
        self.made.append(Recorder())
        return self.made[-1]


class Exhausted(socket.socket):
    """A listening socket of a process that may have no descriptors left."""

    error = 0
    asked = 0

    def accept(self) -> tuple[socket.socket, Any]:
        """As the kernel does it."""
        self.asked += 1
        if self.error:
            raise OSError(self.error, os.strerror(self.error))
        return super().accept()


class AcceptorCase(SynchronousTestCase):
    """An acceptor driven by hand, at a Unix socket where the family does not matter."""

    def setUp(self) -> None:
        self.loop = Loop()
        self.addCleanup(self.loop.close)
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(rmtree, self.folder)
        self.path = str(self.folder / "socket")
        self.factory = Factory()
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def start(self, listening: socket.socket | None = None) -> Acceptor:
        self.listening = Exhausted(fileno=(listening or sockets.bind_unix(self.path)).detach())
        acceptor = Acceptor(self.loop.poller, self.loop.reactor, self.listening, self.factory)
        self.addCleanup(acceptor.stop)
        return acceptor

    def arrive(self, family: int = socket.AF_UNIX, place: Any = None) -> socket.socket:
        sock = socket.socket(family)
        self.addCleanup(sock.close)
        sock.setblocking(False)
        sock.connect_ex(place or self.path)
        return sock

    def told(self) -> int:
        """How often the log heard of it."""
        return len([event for event in self.events if "cannot accept" in str(event)])


class ServingTests(AcceptorCase):
    """Connections come."""

    def test_bytes(self) -> None:
        """What was sent before we looked is read, and an answer comes back."""
        self.start()
        client = self.arrive()
        client.send(b"early")
        self.loop.turn()
        (protocol,) = self.factory.made
        self.assertEqual(protocol.heard, b"early")
        protocol.transport.write(b"* OK\r\n")
        self.assertEqual(client.recv(100), b"* OK\r\n")

    def test_many(self) -> None:
        """More than a batch: one edge tells of all of them, and others have their turn between."""
        self.start()
        clients = [self.arrive() for _ in range(200)]
        neighbour, other = self.loop.stream()
        before = []
        neighbour.on_data = lambda data: before.append(len(self.factory.made))
        other.send(b"me too")
        self.loop.until(lambda: len(self.factory.made) == len(clients))
        self.assertEqual(len(before), 1)
        self.assertLess(before[0], len(clients))

    def test_later(self) -> None:
        """One after the other, too."""
        self.start()
        for number in range(1, 4):
            self.arrive()
            self.loop.turn()
            self.assertEqual(len(self.factory.made), number)

    def test_stop(self) -> None:
        """Nobody comes in any more, and it may be said twice."""
        acceptor = self.start()
        for _ in range(100):
            self.arrive()
        neighbour, other = self.loop.stream()
        neighbour.on_data = lambda data: acceptor.stop()
        other.send(b"stop")
        self.loop.turn()
        acceptor.stop()
        came = len(self.factory.made)
        self.assertLess(came, 100)
        self.loop.turn()
        self.assertEqual(len(self.factory.made), came)
        self.assertRaises(ConnectionRefusedError, socket.socket(socket.AF_UNIX).connect, self.path)

    def test_shared(self) -> None:
        """Stopped where others accept on: whoever comes does not wake us any more."""
        listening = sockets.bind_unix(self.path)
        self.addCleanup(listening.close)
        acceptor = self.start(listening.dup())
        acceptor.stop()
        self.arrive()
        self.assertEqual(self.loop.poller._epoll.poll(0), [])

    def test_defects(self) -> None:
        """Factories that fail cost their own connections, not those behind them."""
        self.start()
        self.factory.defects = 3
        clients = [self.arrive() for _ in range(5)]
        self.loop.turn()
        self.assertEqual(len(self.factory.made), 2)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 3)
        self.assertEqual([client.recv(1) for client in clients[:3]], [b"", b"", b""])
        self.assertEqual(len(self.loop.poller.watched), 3)

    def test_defect_at_the_birth(self) -> None:
        """A protocol that fails when it is told of its connection hears of its end."""
        self.start()
        self.patch(Recorder, "makeConnection", lambda *_: 1 / 0)
        client = self.arrive()
        self.loop.turn()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(client.recv(1), b"")
        self.assertEqual(self.factory.made[0].story, ["lost"])


class AddressTests(AcceptorCase):
    """Both ends of a connection."""

    def ends(self, family: int, place: Any) -> tuple[Any, Any, Any]:
        """The peer's and our address, and the client's own idea of itself."""
        client = self.arrive(family, place)
        self.loop.until(lambda: bool(self.factory.made))
        transport = self.factory.made[0].transport
        self.assertEqual(self.factory.addresses, [transport.getPeer()])
        return transport.getPeer(), transport.getHost(), client.getsockname()

    def test_one_address(self) -> None:
        """A listener at one address."""
        acceptor = self.start(sockets.bind_tcp("127.0.0.1", 0))
        port = acceptor.getHost().port
        peer, host, client = self.ends(socket.AF_INET, ("127.0.0.1", port))
        self.assertEqual(peer, IPv4Address("TCP", *client))
        self.assertEqual(host, IPv4Address("TCP", "127.0.0.1", port))

    def test_every_address(self) -> None:
        """A listener at all of them knows which one the client has called."""
        acceptor = self.start(sockets.bind_tcp("0.0.0.0", 0))
        port = acceptor.getHost().port
        _, host, _ = self.ends(socket.AF_INET, ("127.0.0.2", port))
        self.assertEqual(host, IPv4Address("TCP", "127.0.0.2", port))

    def test_every_address_of_the_sixth_protocol(self) -> None:
        """The same for IPv6."""
        acceptor = self.start(sockets.bind_tcp("::", 0))
        port = acceptor.getHost().port
        peer, host, client = self.ends(socket.AF_INET6, ("::1", port))
        self.assertEqual(host, IPv6Address("TCP", "::1", port))
        self.assertEqual(peer, IPv6Address("TCP", "::1", client[1]))

    def test_unix(self) -> None:
        """A Unix socket's client has no name."""
        self.start()
        peer, host, _ = self.ends(socket.AF_UNIX, self.path)
        self.assertEqual(peer, UNIXAddress(None))
        self.assertEqual(host, UNIXAddress(self.path))

    def test_manners(self) -> None:
        """Connections inherit: small writes leave at once, a silent connection is probed."""
        acceptor = self.start(sockets.bind_tcp("127.0.0.1", 0))
        self.ends(socket.AF_INET, ("127.0.0.1", acceptor.getHost().port))
        sock = self.factory.made[0].transport.getHandle()
        self.assertTrue(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
        self.assertTrue(sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
        self.assertFalse(sock.getblocking())
        self.assertFalse(sock.get_inheritable())


class ExhaustedTests(AcceptorCase):
    """The kernel gives no connection."""

    def test_no_descriptors(self) -> None:
        """We wait rather than spin, and go on when there are descriptors again."""
        for code in (errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EINVAL):
            self.events.clear()
            self.factory.made.clear()
            acceptor = self.start()
            self.listening.error = code
            self.arrive()
            self.loop.turn(20)
            self.assertEqual((self.listening.asked, self.told()), (1, 1))
            self.loop.reactor.advance(PAUSE)
            self.loop.turn()
            self.assertEqual(self.listening.asked, 2)
            self.listening.error = 0
            self.loop.reactor.advance(PAUSE)
            self.loop.turn()
            self.assertEqual(len(self.factory.made), 1)
            self.assertEqual(self.loop.reactor.getDelayedCalls(), [])
            acceptor.stop()

    def test_many_without_descriptors(self) -> None:
        """A crowd before the door changes nothing: one attempt a pause, one line in the log."""
        self.start()
        self.listening.error = errno.EMFILE
        for _ in range(50):
            self.arrive()
            self.loop.turn(2)
        self.assertEqual((self.listening.asked, self.told()), (1, 1))
        self.assertEqual(len(self.loop.reactor.getDelayedCalls()), 1)
        self.listening.error = 0
        self.loop.reactor.advance(PAUSE)
        self.loop.until(lambda: len(self.factory.made) == 50)

    def test_stopped_without_descriptors(self) -> None:
        """Stopping does not leave a timer behind."""
        acceptor = self.start()
        self.listening.error = errno.EMFILE
        self.arrive()
        self.loop.turn()
        acceptor.stop()
        self.assertEqual(self.loop.reactor.getDelayedCalls(), [])

    def test_gone_before_it_was_accepted(self) -> None:
        """A client that did not wait hides nobody behind it."""
        self.start()
        self.arrive()
        self.listening.error = errno.ECONNABORTED
        self.loop.poller.doRead()
        self.listening.error = 0
        self.loop.turn()
        self.assertEqual(len(self.factory.made), 1)
        self.assertEqual(self.told(), 0)
