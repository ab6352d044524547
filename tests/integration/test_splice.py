"""Joined connections over real TCP, driven by the real reactor: resets, halves, stalls."""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Callable
from random import Random
from typing import Any

from twisted.internet import reactor as global_reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailroute.events import Login
from mailroute.imap.client import ImapClient
from mailroute.imap.server import Greeting, ImapServer
from mailroute.net import sockets
from mailroute.net.acceptor import Acceptor
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.client_peer import ClientPeer
from mailroute.net.joint import Joint, Totals
from mailroute.net.peer import Peer
from mailroute.net.pipes import PIPE_OCTETS
from mailroute.net.poller import Poller
from mailroute.net.splice import Splicer
from mailroute.offer import Policy
from mailroute.sasl.plain import Plain, password_login
from tests.support.local_reactor import open_descriptors

reactor: Any = global_reactor
PATIENCE_SECONDS = 60.0
MANY = 30_000_000
LOOPBACK = "127.0.0.1"


async def until(condition: Callable[[], object]) -> None:
    """Wait for a condition; fails after a long time."""
    end = reactor.seconds() + PATIENCE_SECONDS
    while not condition():
        assert reactor.seconds() < end, "waited in vain"
        await deferLater(reactor, 0.01)


class OnePeer:
    """Makes the peer of the only connection."""

    def __init__(self, make: Callable[[], Peer]) -> None:
        self._make = make
        self.peers: list[Peer] = []

    def buildProtocol(self, address: object) -> Peer:
        """See IProtocolFactory."""
        self.peers.append(self._make())
        return self.peers[-1]


class SpliceCase:
    """Two joined connections; both far ends are blocking sockets, in threads."""

    has_pipes: bool
    poller: Poller
    splicer: Splicer
    joint: Joint

    def play(self, scenario: Any) -> Deferred[None]:
        return Deferred.fromCoroutine(self._play(scenario))

    async def _play(self, scenario: Any) -> None:
        # From the first time on Twisted keeps a thread.
        await deferToThread(lambda: None)
        before = open_descriptors()
        self.poller = Poller(reactor)
        self.poller.start()
        self.splicer = Splicer(reactor, 600.0)
        if not self.has_pipes:
            self.splicer._joints.pool.take = lambda: None  # type: ignore[method-assign]
        client, accepted = await self._connection(self._client_peer)
        backend, connected = await self._connection(self._backend_peer)
        joined: Deferred[Totals] = Deferred()
        self.splicer.splice(accepted, connected, joined.callback)
        (self.joint,) = self.splicer.joints
        try:
            await scenario(client, backend, joined)
        finally:
            for sock in (client, backend):
                sock.close()
            await until(lambda: not self.splicer.joints)
            self.splicer.close()
            self.poller.close()
        # What earlier tests have left open in this process may be closed meanwhile.
        await until(lambda: open_descriptors() <= before)

    async def _connection(self, make: Callable[[], Peer]) -> tuple[socket.socket, Peer]:
        """A connected socket, and the peer at its other end."""
        factory = OnePeer(make)
        acceptor = Acceptor(self.poller, reactor, sockets.bind_tcp(LOOPBACK, 0), factory)
        place = (LOOPBACK, acceptor.getHost().port)
        sock = socket.create_connection(place, timeout=PATIENCE_SECONDS)
        await until(lambda: factory.peers and factory.peers[0].is_connected)
        acceptor.stop()
        if make == self._client_peer:
            self_greeting = await deferToThread(sock.recv, 4096)
            assert self_greeting.startswith(b"* OK")
        return sock, factory.peers[0]

    def _client_peer(self) -> Peer:
        dialogue = ImapServer(Policy((Plain(),), False, True), False, 3, Greeting())
        return ClientPeer(dialogue, None, False, reactor, 600.0)

    def _backend_peer(self) -> Peer:
        login: Login = password_login(b"a", b"b")
        return BackendPeer(ImapClient(login, False, True), None, False, reactor, 600.0)

    # -- scenarios -----------------------------------------------------------------------

    def test_both_ways(self) -> Deferred[None]:
        """Thirty million octets each way at once, every one in its place."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            up, down = Random(1).randbytes(MANY), Random(2).randbytes(MANY)
            sending = [
                deferToThread(_send_all, client, up),
                deferToThread(_send_all, backend, down),
            ]
            received = [deferToThread(_read_all, client), deferToThread(_read_all, backend)]
            for each in sending:
                await each
            assert await received[0] == down
            assert await received[1] == up
            totals = await joined
            assert (totals.from_client, totals.from_backend) == (MANY, MANY), totals

        return self.play(scenario)

    def test_half_close(self) -> Deferred[None]:
        """The end of one direction is passed on, and the other goes on."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            client.sendall(b"QUIT\r\n")
            client.shutdown(socket.SHUT_WR)
            assert await deferToThread(_read_all, backend) == b"QUIT\r\n"
            backend.sendall(b"+OK bye\r\n")
            backend.close()
            assert await deferToThread(_read_all, client) == b"+OK bye\r\n"
            assert await joined == Totals(6, 9, "client")

        return self.play(scenario)

    def test_client_resets(self) -> Deferred[None]:
        """A client that breaks off: the backend's connection is closed."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            _reset(client)
            assert await deferToThread(_read_all, backend) == b""
            assert (await joined).closed_by == "client-lost"

        return self.play(scenario)

    def test_backend_resets(self) -> Deferred[None]:
        """A backend that breaks off: the client's connection is closed."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            _reset(backend)
            assert await deferToThread(_read_all, client) == b""
            assert (await joined).closed_by == "backend-lost"

        return self.play(scenario)

    def test_reset_while_stalled(self) -> Deferred[None]:
        """A reader that stalls holds what fits into one pipe, and its reset frees everything."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
            backend.setblocking(False)
            quiet_since = reactor.seconds()
            while reactor.seconds() < quiet_since + 0.5:
                with contextlib.suppress(BlockingIOError):
                    backend.send(bytes(65536))
                    quiet_since = reactor.seconds()
                await deferLater(reactor, 0)
            # Beside the pipe there are the kernel's own buffers of the client's connection.
            assert self.joint.sides[1].octets < 16 * PIPE_OCTETS, self.joint.sides[1].octets
            _reset(client)
            assert (await joined).closed_by == "client-lost"

        return self.play(scenario)

    def test_ended(self) -> Deferred[None]:
        """Ended from inside, both far ends see an orderly end."""

        async def scenario(client: Any, backend: Any, joined: Deferred[Totals]) -> None:
            self.joint.end("shutdown")
            assert await deferToThread(_read_all, client) == b""
            assert await deferToThread(_read_all, backend) == b""
            assert await joined == Totals(0, 0, "shutdown")

        return self.play(scenario)


class PipeTests(SpliceCase, TestCase):
    """Bulk is moved by splice(2)."""

    has_pipes = True


class CopyTests(SpliceCase, TestCase):
    """No pipe is left: everything passes through our memory."""

    has_pipes = False


def _send_all(sock: socket.socket, data: bytes) -> None:
    sock.sendall(data)
    sock.shutdown(socket.SHUT_WR)


def _read_all(sock: socket.socket) -> bytes:
    pieces = []
    with contextlib.suppress(ConnectionResetError):
        while piece := sock.recv(1 << 18):
            pieces.append(piece)
    return b"".join(pieces)


def _reset(sock: socket.socket) -> None:
    """Close with a reset instead of an end."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()
