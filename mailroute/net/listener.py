"""Accepted connections become sessions.

The listener makes the dialogue, the peer and the session of each connection, starts the
session's coroutine, and is the one place where its end is seen: normal, cancelled because the
client left, or a defect of ours.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IAddress
from twisted.internet.protocol import Factory, Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure as Caught

from mailroute.errors import Failure, FailureKind
from mailroute.events import Rejected
from mailroute.journal import Journal
from mailroute.net.client_peer import ClientPeer
from mailroute.net.header_peer import HeaderPeer, Headers, Proxies
from mailroute.net.networks import Networks
from mailroute.net.tls import TLSSide
from mailroute.net.transport import Clock, Transport
from mailroute.route import Origin, TLSMode, ip_of
from mailroute.server_dialogue import ServerDialogue
from mailroute.session import Session, Surroundings, Totals

CALM_SECONDS = 600.0
"""Refusals after so long a time without any are told from the first one on, as if never before."""


class Room:
    """How many sessions the process has room for, all listeners together."""

    def __init__(self, sessions: int) -> None:
        self.left = sessions

    @property
    def is_full(self) -> bool:
        """Whether there is room for nobody."""
        return self.left <= 0

    def enter(self) -> None:
        """A session begins."""
        self.left -= 1

    def leave(self) -> None:
        """A session has ended."""
        self.left += 1


@dataclass(frozen=True, slots=True)
class Terms:
    """What one listener serves, and to whom."""

    protocol: str
    tls_mode: TLSMode
    tls: TLSSide | None
    make_dialogue: Callable[[], ServerDialogue]
    full: bytes
    """What a client hears when there is no room."""
    max_connections: int
    preauth_seconds: float
    is_verbose: bool = False
    """Whether events of the debug level are wanted."""
    proxies: Proxies | None = None
    """Who is in front of us; None: nobody whose word counts."""


class Listener(Factory):
    """Makes sessions out of connections."""

    noisy = False

    def __init__(
        self, terms: Terms, around: Surroundings, clock: Clock, room: Room, log: Logger
    ) -> None:
        self._terms = terms
        self._around = around
        self._clock = clock
        self._room = room
        self._log = log
        self._strangers: set[ClientPeer] = set()
        """Those whose streams are not joined yet."""
        self._announced: set[HeaderPeer] = set()
        """Connections whose PROXY header is to come."""
        self._sessions = 0
        self._refused = 0
        self._refused_at = 0.0

    def __len__(self) -> int:
        """How many sessions there are."""
        return self._sessions + len(self._announced)

    @property
    def has_strangers(self) -> bool:
        """Whether there is somebody who may still log in."""
        return bool(self._strangers or self._announced)

    def buildProtocol(self, addr: IAddress | None) -> Protocol:
        """A session, or a polite refusal."""
        terms = self._terms
        if len(self) >= terms.max_connections or self._room.is_full:
            self._note_refusal()
            # Where TLS comes first there is nobody to understand words.
            return _Refusal(b"" if terms.tls_mode is TLSMode.IMPLICIT else terms.full)
        is_implicit = terms.tls_mode is TLSMode.IMPLICIT
        peer = ClientPeer(
            terms.make_dialogue(), terms.tls, is_implicit, self._clock, terms.preauth_seconds
        )
        if terms.proxies is None:
            peer.when_made = self._begin
            return peer
        return self._behind_proxy(peer, terms.proxies, addr)

    def shut_down(self) -> None:
        """Say goodbye to every client that is not joined yet."""
        for peer in list(self._strangers):
            peer.shut_down()
        for announced in list(self._announced):
            announced.transport.loseConnection()

    def _behind_proxy(self, peer: ClientPeer, proxies: Proxies, addr: IAddress | None) -> Protocol:
        """The session of a listener that somebody may be in front of."""
        is_trusted = proxies.trusted.has(addr)
        # Who is believed is told by the header, too: a stranger behind a proxy is a stranger.
        peer.when_made = lambda made: self._begin(made, proxies.trusted)
        is_required = proxies.headers is Headers.REQUIRED
        if not is_required and (not is_trusted or proxies.headers is Headers.OFF):
            return peer
        announced = HeaderPeer(peer, is_required, self._clock, self._header_ended)
        announced.is_expected = is_trusted
        self._announced.add(announced)
        self._room.enter()
        return announced

    def _header_ended(self, announced: HeaderPeer) -> None:
        """The peer takes over, or the connection is over."""
        self._announced.discard(announced)
        self._room.leave()
        if announced.refusal:
            origin = _origin(self._terms.protocol, announced.transport)
            journal = Journal(origin, self._clock, self._log, self._terms.is_verbose)
            journal.ended("proxy-header", detail=announced.refusal)

    def _begin(self, peer: ClientPeer, trusted: Networks | None = None) -> None:
        try:
            origin = _origin(self._terms.protocol, peer.transport, trusted)
        except OSError:
            # Gone before it was here.
            peer.transport.abortConnection()
            return
        journal = Journal(origin, self._clock, self._log, self._terms.is_verbose)
        session = Session(peer, origin, self._around, journal)
        self._strangers.add(peer)
        self._sessions += 1
        self._room.enter()
        stay = _Stay(journal, self)
        running: Deferred[None] = Deferred.fromCoroutine(session.run(stay))
        peer.when_lost = running.cancel
        running.addErrback(self._stopped, peer, journal)
        running.addBoth(self._admitted, peer)

    def _stopped(self, caught: Caught, peer: ClientPeer, journal: Journal) -> None:
        """The coroutine did not run to its end."""
        journal.encrypted(peer.tls_info)
        # A client that left cancels its session; whatever else cancels it is a defect as well.
        if peer.is_connected or not caught.check(CancelledError):
            self._log.failure("a session failed", failure=caught)
            journal.broke("session")
            self._apologize(peer)
        journal.ended(peer.closed_because or "closed-by-peer", detail=peer.closed_detail)
        # Its frames hold the login, and each other.
        caught.cleanFailure()
        self.left()

    def _apologize(self, peer: ClientPeer) -> None:
        try:
            peer.answer(Rejected(Failure(FailureKind.INTERNAL, "see the log")))
        except Exception:
            self._log.failure("a client could not be told that its session failed")
        finally:
            peer.closed_because = peer.closed_because or "internal-error"
            if peer.is_connected:
                peer.close("internal-error")

    def _admitted(self, result: object, peer: ClientPeer) -> None:
        """The streams are joined, or will never be."""
        self._strangers.discard(peer)

    def left(self) -> None:
        """A session has ended."""
        self._sessions -= 1
        self._room.leave()

    def _note_refusal(self) -> None:
        now = self._clock.seconds()
        if now - self._refused_at > CALM_SECONDS:
            self._refused = 0
        self._refused += 1
        self._refused_at = now
        if self._refused & (self._refused - 1) == 0:
            self._log.warn(
                "{protocol}: no room for another session ({count} refused so far):"
                " raise max_connections or LimitNOFILE",
                protocol=self._terms.protocol,
                count=self._refused,
            )


class _Stay:
    """What is left of a session while its streams are joined."""

    __slots__ = ("_journal", "_listener")

    def __init__(self, journal: Journal, listener: Listener) -> None:
        self._journal = journal
        self._listener = listener

    def __call__(self, totals: Totals) -> None:
        """The joined streams have ended: tell the log, and make room."""
        self._journal.ended(totals.closed_by, totals.from_client, totals.from_backend)
        self._listener.left()


class _Refusal(Protocol):
    """Says that there is no room, and closes."""

    transport: Transport  # type: ignore[assignment]

    def __init__(self, words: bytes) -> None:
        self._words = words

    def connectionMade(self) -> None:
        """Refuse."""
        self.transport.write(self._words)
        self.transport.loseConnection()


# Unique among all processes of all nodes for as long as logs are kept.
_PROCESS = os.urandom(6).hex()
_numbers = itertools.count(1)


def _origin(protocol: str, transport: Transport, trusted: Networks | None = None) -> Origin:
    client, server = transport.getPeer(), transport.getHost()
    return Origin(
        session_id=f"{_PROCESS}{next(_numbers):05x}",
        protocol=protocol,
        client_ip=_ip(client),
        client_port=getattr(client, "port", 0),
        server_ip=_ip(server),
        server_port=getattr(server, "port", 0),
        is_trusted=trusted is not None and trusted.has(client),
    )


def _ip(address: object) -> str:
    """The IP address, by one name in the log, for bans and for look-ups."""
    ip: str = getattr(address, "host", "unix")
    # A socket that takes both families, and some proxies, show IPv4 as a part of IPv6.
    return str(ip_of(ip) or ip) if ip.startswith("::ffff:") else ip
