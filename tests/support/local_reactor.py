"""A reactor of the test's own: real descriptors, no port, and time that stands still.

It is Twisted's epoll reactor, driven by hand, with a poller of ours in it.  Connections are
pairs of connected sockets; who answers at which address is the test's choice; names resolve as
the test says.  So poller, streams, dialer, TLS, half-close, back-pressure and splice(2) are the
real ones, the other ends are Twisted's, and nothing ever waits.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable, Iterable
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import tcp
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.epollreactor import EPollReactor
from twisted.internet.error import UserError
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHostResolution,
    IOpenSSLClientConnectionCreator,
    IOpenSSLServerConnectionCreator,
)
from twisted.internet.protocol import Protocol
from twisted.protocols import tls
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mailroute.net import dialer
from mailroute.net.dialer import Dialer
from mailroute.net.poller import Poller
from mailroute.net.stream import Stream
from mailroute.net.tls import TLSSide
from tests.support.threads import InlineThreads

HERE = IPv4Address("TCP", "203.0.113.9", 40000)
PATIENCE = 20_000
"""Rounds after which a conversation that does not end is a fault."""
SMALL_BUFFER = 4096
"""Octets asked for as the kernel's own buffer, so that a reader that stalls is felt soon."""


@implementer(IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator)
class _Creator:
    """A side of ours, for Twisted's TLS, which passes through memory."""

    def __init__(self, side: TLSSide) -> None:
        self._side = side

    def clientConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return self._side.connection(None)

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        return self._side.connection(None)


class LocalConnection(tcp.Connection):
    """A TCP transport whose socket is one end of a pair."""

    _tlsClientDefault = True

    def __init__(self, sock: socket.socket, protocol: Any, reactor: Any, places: Any) -> None:
        super().__init__(sock, protocol, reactor)
        self._host, self._peer = places
        self.connected = 1
        self.logstr = "local"

    def getHost(self) -> Any:
        return self._host

    def getPeer(self) -> Any:
        return self._peer

    def startTLS(self, ctx: Any, normal: bool = True) -> None:
        super().startTLS(_Creator(ctx), normal)


class LocalServer(LocalConnection):
    """The accepting end."""

    _tlsClientDefault = False


class LocalSocket(socket.socket):
    """What a dialer gets for a socket: it connects to whom the test has listening."""

    def __init__(self, reactor: LocalReactor) -> None:
        near, self._far = socket.socketpair()
        super().__init__(fileno=near.detach())
        for sock in (self, self._far):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        self._reactor = reactor
        self._is_refused = False

    def connect_ex(self, address: Any) -> int:
        place = address[:2]
        self._reactor.attempts.append(place)
        accept = self._reactor.listening.get(place)
        if accept is not None:
            self._reactor.accept(self._far, accept(), place)
        elif place in self._reactor.silent:
            _fill(self)
        else:
            self._is_refused = True
        return errno.EINPROGRESS

    def getsockopt(self, *args: Any) -> Any:
        if self._is_refused and args == (socket.SOL_SOCKET, socket.SO_ERROR):
            return errno.ECONNREFUSED
        return super().getsockopt(*args)

    def close(self) -> None:
        if self._far.fileno() not in self._reactor.accepted:
            self._far.close()
        super().close()


def _fill(sock: socket.socket) -> None:
    """As long as nobody answers there is no room to write, and nothing to read."""
    with contextlib.suppress(BlockingIOError):
        while True:
            sock.send(bytes(64))


class LocalReactor(EPollReactor):
    """See the module."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()
        self.attempts: list[tuple[str, int]] = []
        """Where it was tried to connect."""
        self.listening: dict[tuple[str, int], Callable[[], Any]] = {}
        self.silent: set[tuple[str, int]] = set()
        """Addresses that never answer; any other that does not listen refuses at once."""
        self.names: dict[str, list[str]] = {}
        self.resolutions: list[Callable[[], None]] = []
        self.resolves_at_once = True
        self.transports: list[LocalConnection] = []
        """The ends that are Twisted's; ours are watched by the poller."""
        self.accepted: set[int] = set()
        self.poller = Poller(self)
        self.poller.start()
        self.installNameResolver(cast(Any, self))

    def seconds(self) -> float:
        return self.now

    def wakeUp(self) -> None:
        """Nobody sleeps here."""

    def getThreadPool(self) -> Any:
        """There is one thread."""
        return InlineThreads()

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        """In the next round; a round may be within another."""
        self.callLater(0, callable, *args)

    # -- connections ---------------------------------------------------------------------

    def dialer(self) -> Dialer:
        """A dialer of ours, whose clock stands still like everything here."""
        return Dialer(self, self, self.poller)

    def accept(self, sock: socket.socket, server: Any, place: tuple[str, int]) -> None:
        """The far end of a connection that is being made."""
        self.accepted.add(sock.fileno())
        transport = LocalServer(sock, server, self, (_address(*place), HERE))
        self.transports.append(transport)
        transport.startReading()
        server.makeConnection(transport)

    def join(
        self, client: Any, server: Any, place: tuple[str, int] = ("192.0.2.1", 143)
    ) -> tuple[Any, Any]:
        """Connect two protocols; the server is told first, as a kernel does it.

        What mailroute made has a stream of ours, what a test made a transport of Twisted's.
        """
        near, far = socket.socketpair()
        for sock in (near, far):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SMALL_BUFFER)
        there = _address(*place)
        accepted = self._carry(LocalServer, far, server, (there, HERE))
        connected = self._carry(LocalConnection, near, client, (HERE, there))
        for transport, protocol in ((accepted, server), (connected, client)):
            if isinstance(transport, Stream):
                transport.open(protocol)
            else:
                protocol.makeConnection(transport)
        return connected, accepted

    def _carry(
        self, kind: type[LocalConnection], sock: socket.socket, protocol: Any, places: Any
    ) -> Stream | LocalConnection:
        here, there = places
        if type(protocol).__module__.startswith("mailroute.net"):
            stream = Stream(self.poller, sock, (there, here))
            self.poller.watch(sock.fileno(), stream)
            return stream
        transport = kind(sock, protocol, self, places)
        self.transports.append(transport)
        transport.startReading()
        return transport

    # -- names ---------------------------------------------------------------------------

    def resolveHostName(
        self, receiver: Any, hostName: str, portNumber: int = 0, *args: Any, **kwargs: Any
    ) -> Any:
        resolution = _Resolution(hostName)
        receiver.resolutionBegan(resolution)

        def finish() -> None:
            for host in self.names.get(hostName, [hostName] if hostName[-1:].isdigit() else []):
                receiver.addressResolved(_address(host, portNumber))
            receiver.resolutionComplete()

        if self.resolves_at_once:
            finish()
        else:
            self.resolutions.append(finish)
        return resolution

    # -- by hand -------------------------------------------------------------------------

    def settle(self) -> None:
        """Let everything happen that happens without time passing."""
        for _ in range(PATIENCE):
            if not self._round():
                return
        raise AssertionError("the reactor is never quiet")

    def advance(self, seconds: float) -> None:
        """Let time pass, stopping at each call on the way."""
        until = self.now + seconds
        self.settle()
        while (due := self._next_call()) is not None and due <= until:
            self.now = max(self.now, due)
            self.settle()
        self.now = until
        self.settle()

    def _next_call(self) -> float | None:
        times = [cast(Any, call).getTime() for call in self.getDelayedCalls()]
        return min(times) if times else None

    def _round(self) -> bool:
        due = self._next_call()
        has_calls = due is not None and due <= self.now
        self.runUntilCurrent()
        events = self._poller.poll(0, max(len(self._selectables), 1))
        for fd, event in events:
            selectable = self._selectables.get(fd)
            if selectable is not None:
                self._doReadOrWrite(selectable, fd, event)
        return bool(events) or has_calls

    def close(self) -> None:
        """Give every descriptor back."""
        for reader in list(self._internalReaders):
            self._internalReaders.discard(reader)
            self.removeReader(reader)
            reader.connectionLost(None)
        for transport in self.transports:
            if hasattr(transport, "socket"):
                transport.socket.close()
        self.poller.close()
        self._poller.close()


class _Resolution:
    def __init__(self, name: str) -> None:
        self.name = name

    def cancel(self) -> None:
        raise NotImplementedError


implementer(IHostResolution)(_Resolution)


def _address(host: str, port: int) -> IPv4Address | IPv6Address:
    return IPv6Address("TCP", host, port) if ":" in host else IPv4Address("TCP", host, port)


@implementer(IHalfCloseableProtocol)
class Script(Protocol):
    """The other end, by hand: remembers what it hears, says what the test says."""

    transport: Any

    def __init__(self, greeting: bytes = b"", replies: Iterable[tuple[bytes, bytes]] = ()) -> None:
        """``replies``: what to say once what was heard ends with this."""
        self._greeting = greeting
        self._replies = list(replies)
        self.heard = b""
        self.lost: Failure | None = None
        self.stays = False
        """Goes on speaking after the other side has finished, where the transport can."""
        self.has_heard_the_end = False

    def connectionMade(self) -> None:
        if self._greeting:
            self.say(self._greeting)

    def dataReceived(self, data: bytes) -> None:
        self.heard += data
        while self._replies and self.heard.endswith(self._replies[0][0]):
            self.say(self._replies.pop(0)[1])

    def connectionLost(self, reason: Failure = Failure(UserError())) -> None:  # noqa: B008
        self.lost = reason

    def readConnectionLost(self) -> None:
        self.has_heard_the_end = True
        if not self.stays:
            self.leave()

    def writeConnectionLost(self) -> None:
        """Our own half is closed."""

    def say(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)

    def take(self) -> bytes:
        """What was heard since the last time."""
        heard, self.heard = self.heard, b""
        return heard

    def leave(self) -> None:
        """Close, as a program that ends does."""
        self.transport.loseConnection()

    def reset(self) -> None:
        """Break the connection."""
        self.transport.abortConnection()


class LocalCase(SynchronousTestCase):
    """A test with a reactor of its own; nothing may be left of it at the end."""

    def setUp(self) -> None:
        self.descriptors = open_descriptors()
        self.reactor = LocalReactor()
        self.addCleanup(self.reactor.close)
        # TLS gathers small writes until the reactor's next round: let it be ours.
        self.patch(tls, "_get_default_clock", lambda: self.reactor)
        self.patch(dialer, "_new_socket", lambda is_v6: LocalSocket(self.reactor))

    def settle(self) -> None:
        """See LocalReactor."""
        self.reactor.settle()

    def advance(self, seconds: float) -> None:
        """See LocalReactor."""
        self.reactor.advance(seconds)

    def assert_quiet(self) -> None:
        """No call is planned and no descriptor is watched or open."""
        self.settle()
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.assertEqual(_watched(self.reactor), [])
        self.assertEqual(self.reactor.poller.watched, [])
        still = [t for t in self.reactor.transports if hasattr(t, "socket")]
        self.assertEqual(still, [])


def is_read(stream: Stream) -> bool:
    """Whether a stream of ours takes what comes in."""
    return not stream._is_paused


def _watched(reactor: LocalReactor) -> list[Any]:
    internal = {*reactor._internalReaders, reactor.poller}
    return [r for r in (*reactor.getReaders(), *reactor.getWriters()) if r not in internal]


def open_descriptors() -> set[int]:
    """The descriptors that this process has open."""
    with os.scandir("/proc/self/fd") as entries:
        found = {int(entry.name) for entry in entries}
    return {fd for fd in found if os.path.exists(f"/proc/self/fd/{fd}")}
