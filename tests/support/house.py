"""mailroute in memory, from the client's connection to the backend's: only sockets are missing.

Listener, peers, session, router, cache and engine are the real ones.  A test speaks for the
client (``Visit``) and for the backends (``Dialled``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, cast

from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import StringTransport
from twisted.logger import LogEvent, Logger
from twisted.python.failure import Failure as Caught

from mailroute.composition import client_dialogue_maker
from mailroute.destinations import Destination
from mailroute.events import ClientMilestone, Login
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.client_peer import ClientPeer
from mailroute.net.listener import Listener, Room, Terms
from mailroute.net.splice import Splicer
from mailroute.protocols import PROTOCOLS, Appearance
from mailroute.route import Backend, Origin, Route, TLSMode
from mailroute.routing import Router, RoutingPolicy
from mailroute.session import Surroundings
from mailroute.tables.cached import CachedTable, CachePolicy
from mailroute.tables.contract import Row, Table
from tests.support.laws import policy
from tests.support.tables import MemoryTable

DELAY_SECONDS = 2.0
PREAUTH_SECONDS = 30.0
BACKEND_SECONDS = 10.0
HOST_NAME = "mail.example.org"

GREETINGS = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN SASL-IR] ready\r\n",
    "pop3": b"+OK ready\r\n",
    "submission": b"220 backend ESMTP\r\n",
    "managesieve": b'"SASL" "PLAIN"\r\nOK "ready"\r\n',
}


class Wire(StringTransport):
    """A connection whose other end is the test; a close is carried out at once."""

    def __init__(self) -> None:
        super().__init__(lenient=True)
        self.on_close: Callable[[], None] = lambda: None
        self.heir: Any = None

    def hand_over(self, protocol: Any) -> None:
        """Another protocol is called from now on."""
        self.heir = protocol

    def getHandle(self) -> object:
        """No socket, so that the engine in our own memory moves the bytes."""
        return None

    def loseConnection(self) -> None:
        """Close."""
        if not self.disconnecting:
            self.disconnecting = True
            self.on_close()

    def loseWriteConnection(self) -> None:
        """Our half is closed: nothing to be done in memory."""

    def taken(self) -> bytes:
        """What was written since the last time."""
        said = self.value()
        self.clear()
        return bytes(said)


class End:
    """The far end of a connection."""

    def __init__(self, peer: ClientPeer | BackendPeer) -> None:
        self._peer = peer
        self.wire = Wire()
        self.wire.on_close = self.leave
        self.closed = False

    def says(self, data: bytes) -> bytes:
        """Send; returns what came back at once."""
        if not self.closed:
            (self.wire.heir or self._peer).dataReceived(data)
        return self.hears()

    def hears(self) -> bytes:
        """What arrived since the last time."""
        return self.wire.taken()

    def leave(self) -> None:
        """The connection is gone."""
        if not self.closed:
            self.closed = True
            self.wire.disconnecting = True
            (self.wire.heir or self._peer).connectionLost(Caught(ConnectionDone()))


class Visit(End):
    """A client."""

    _peer: ClientPeer


class Dialled(End):
    """A backend, and the route by which mailroute came."""

    _peer: BackendPeer

    def __init__(self, peer: BackendPeer, route: Route) -> None:
        super().__init__(peer)
        self.route = route


class House:
    """One listener, some destinations and a table."""

    def __init__(
        self,
        protocol: str,
        rows: Mapping[str, Row | str],
        table: Table | None = None,
        hide_auth_errors: bool = False,
    ) -> None:
        self.protocol = protocol
        self.clock = Clock()
        self.events: list[LogEvent] = []
        self.dialled: list[Dialled] = []
        self.table = MemoryTable(
            {name: Row(row) if isinstance(row, str) else row for name, row in rows.items()}
        )
        self.connect_fault: Exception | None = None
        self._make_client = client_dialogue_maker(HOST_NAME)
        destinations = {
            name: Destination(name, {protocol: _backend(name)}, hide_auth_errors)
            for name in ("east", "west")
        }
        cache = CachedTable(table or self.table, self.clock, CachePolicy())
        self.router = Router(cache, destinations, RoutingPolicy(), self.clock)
        self._listener = self._make_listener()

    def _make_listener(self) -> Listener:
        around = Surroundings(
            routes=self.router,
            connect=self._connect,
            splice=Splicer(self.clock, 1860).splice,  # type: ignore[arg-type]
            seconds=self.clock.seconds,
            pause=self._pause,
            auth_failure_delay_seconds=DELAY_SECONDS,
        )
        make = PROTOCOLS[self.protocol].make_server(Appearance(HOST_NAME))
        terms = Terms(
            protocol=self.protocol,
            tls_mode=TLSMode.PLAIN,
            tls=None,
            make_dialogue=lambda: make(policy(starttls=False, cleartext=True), False, 3),
            full=b"",
            max_connections=100,
            preauth_seconds=PREAUTH_SECONDS,
        )
        log = Logger(namespace="test", observer=self.events.append)  # type: ignore[arg-type]
        return Listener(terms, around, self.clock, Room(100), log)

    async def _pause(self, seconds: float) -> None:
        await deferLater(cast(IReactorTime, self.clock), seconds)

    async def _connect(
        self, route: Route, login: Login, origin: Origin
    ) -> tuple[BackendPeer, ClientMilestone]:
        if self.connect_fault is not None:
            raise self.connect_fault
        dialogue = self._make_client(route, login, origin)
        peer = BackendPeer(dialogue, None, False, self.clock, BACKEND_SECONDS)
        backend = Dialled(peer, route)
        self.dialled.append(backend)
        peer.makeConnection(backend.wire)
        return peer, await peer.milestone()

    @property
    def sessions(self) -> int:
        """How many sessions there are."""
        return len(self._listener)

    def visit(self) -> Visit:
        """A client connects and has read the greeting."""
        peer = self._listener.buildProtocol(None)
        assert isinstance(peer, ClientPeer)
        visit = Visit(peer)
        peer.makeConnection(visit.wire)
        assert visit.hears(), "no greeting"
        return visit

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.advance(seconds)

    def lines(self) -> list[str]:
        """What the journal wrote."""
        return [str(event["line"]) for event in self.events if "line" in event]


def _backend(name: str) -> Backend:
    return Backend((f"{name}.example.org",), 143, TLSMode.PLAIN, allow_plaintext_auth=True)
