"""A whole mailroute in memory: listener, sessions, router, connector and splicer, all real.

Around it stand a reactor of the test's own, a table in memory and two houses, east and west.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from typing import Any, cast

from twisted.internet.task import deferLater
from twisted.logger import Logger, eventAsText

from mailroute.client_dialogue import ClientDialogue
from mailroute.destinations import Destination
from mailroute.events import Login
from mailroute.imap import replies
from mailroute.imap.client import ImapClient
from mailroute.imap.server import Greeting, ImapServer
from mailroute.net.connector import Connector, Limits
from mailroute.net.header_peer import Proxies
from mailroute.net.listener import Listener, Room, Terms
from mailroute.net.splice import Splicer
from mailroute.net.stream import Stream
from mailroute.net.tls import TLSSide
from mailroute.offer import Policy
from mailroute.route import Backend, Forwarding, Origin, Route, TLSMode, Trust
from mailroute.routing import Router, RoutingPolicy
from mailroute.sasl.plain import Plain
from mailroute.server_dialogue import ServerDialogue
from mailroute.session import Surroundings
from mailroute.tables.contract import Row
from tests.support.backends import House
from tests.support.local_reactor import LocalReactor, Script
from tests.support.secured import SecureScript, trusting_client
from tests.support.tables import MemoryTable
from tests.support.toy import Toy

EAST, WEST = ("192.0.2.1", 143), ("192.0.2.2", 143)
SECRET = b"correct-horse-battery"
DELAY_SECONDS = 2.0
BACKEND_SECONDS = 10.0
PREAUTH_SECONDS = 30.0
IDLE_SECONDS = 1860.0

POLICY = RoutingPolicy(lookup_timeout_seconds=5.0)


def plain_message(name: str, secret: bytes = SECRET) -> bytes:
    """The base64 of a PLAIN message."""
    return base64.b64encode(b"\0" + name.encode() + b"\0" + secret)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a test may want otherwise."""

    hide_auth_errors: bool = False
    password: str | None = None
    """The destinations' own, in place of any client's."""
    east_hosts: tuple[str, ...] = (EAST[0],)
    front: TLSSide | None = None
    """Our certificate towards clients: then TLS comes before the greeting."""
    trust: Trust | None = None
    """Then the houses are reached over TLS."""
    retries: int = 0
    max_connections: int = 10
    max_attempts: int = 3
    policy: RoutingPolicy = POLICY
    proxies: Proxies | None = None
    forwarding: Forwarding = Forwarding.NONE


class World:
    """See the module."""

    def __init__(self, reactor: LocalReactor, settings: Settings = Settings()) -> None:
        self.reactor = reactor
        self.settings = settings
        self.east, self.west = House({"alice": SECRET}), House({"bob": SECRET})
        reactor.listening[EAST] = self.east.accept
        reactor.listening[WEST] = self.west.accept
        self.table: Any = MemoryTable({"alice": Row("east"), "bob": Row("west")})
        self.events: list[Any] = []
        self.origins: list[Origin] = []
        """What the makers of client dialogues were told of the client."""
        self.room = Room(100)
        self.splicer = Splicer(reactor, IDLE_SECONDS)
        self.listener = self.make_listener()

    def make_listener(self) -> Listener:
        """A listener whose table is the present one."""
        log = Logger(namespace="mailroute", observer=self.events.append)  # type: ignore[arg-type]
        return Listener(self._terms(), self._surroundings(), self.reactor, self.room, log)

    def use_table(self, table: Any) -> None:
        """Serve from another table."""
        self.table = table
        self.listener = self.make_listener()

    def connect(self) -> tuple[Script, Stream]:
        """A client that has heard the greeting, and its session's transport."""
        client = SecureScript(trusting_client()) if self.settings.front else Script()
        _, accepted = self.reactor.join(client, self.listener.buildProtocol(None))
        self.reactor.settle()
        assert client.take().startswith(b"* OK "), "no greeting"
        return client, accepted

    def log_in(self, name: str = "alice", secret: bytes = SECRET) -> tuple[Script, Stream]:
        """A client that has just sent its login by PLAIN."""
        client, transport = self.connect()
        client.say(b"a AUTHENTICATE PLAIN " + plain_message(name, secret) + b"\r\n")
        self.reactor.settle()
        return client, transport

    def lines(self, event: str = "") -> list[str]:
        """The log's lines of this event, or all."""
        texts = [str(eventAsText(e, includeTimestamp=False)) for e in self.events]
        return [text for text in texts if f"{event}: " in text] if event else texts

    def fields(self, event: str) -> dict[str, Any]:
        """The pairs of the only line of this event."""
        found = [e["fields"] for e in self.events if e.get("event") == event]
        assert len(found) == 1, (event, found)
        return dict(found[0])

    # -- parts ---------------------------------------------------------------------------

    def _terms(self) -> Terms:
        policy = Policy((Plain(), Toy()), starttls=False, cleartext_logins=True)

        def make_dialogue() -> ServerDialogue:
            return ImapServer(policy, False, self.settings.max_attempts, Greeting())

        front = self.settings.front
        return Terms(
            protocol="imap",
            tls_mode=TLSMode.IMPLICIT if front else TLSMode.PLAIN,
            tls=front,
            make_dialogue=make_dialogue,
            full=replies.FULL,
            max_connections=self.settings.max_connections,
            preauth_seconds=PREAUTH_SECONDS,
            proxies=self.settings.proxies,
        )

    def _surroundings(self) -> Surroundings:
        async def pause(seconds: float) -> None:
            await deferLater(cast(Any, self.reactor), seconds)

        dial, limits = self.reactor.dialer().dial, Limits(BACKEND_SECONDS, self.settings.retries)
        connector = Connector(self.reactor, dial, self._make_client_dialogue, limits)
        return Surroundings(
            routes=Router(self.table, self._destinations(), self.settings.policy, self.reactor),
            connect=connector.connect,
            splice=self.splicer.splice,  # type: ignore[arg-type]
            seconds=self.reactor.seconds,
            pause=pause,
            auth_failure_delay_seconds=DELAY_SECONDS,
        )

    def _destinations(self) -> dict[str, Destination]:
        hide, trust = self.settings.hide_auth_errors, self.settings.trust
        mode = TLSMode.IMPLICIT if trust else TLSMode.PLAIN
        backend = Backend((WEST[0],), 143, mode, trust or Trust())
        backend = replace(backend, forwarding=self.settings.forwarding)
        return {
            name: Destination(
                name,
                {"imap": replace(backend, hosts=hosts)},
                hide,
                password=self.settings.password,
                replaces_unchecked=self.settings.password is not None,
            )
            for name, hosts in (("east", self.settings.east_hosts), ("west", (WEST[0],)))
        }

    def _make_client_dialogue(self, route: Route, login: Login, origin: Origin) -> ClientDialogue:
        self.origins.append(origin)
        return ImapClient(login, starttls=False, secure=True)
