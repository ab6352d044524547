"""A connection through a proxy in front of us, until its PROXY header is read.

Nothing is said before (a mail server speaks first, and would speak to the wrong one), and not a
byte behind the header is taken from the socket: TLS may begin there.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure as Caught

from mailroute.net import proxyheader
from mailroute.net.allowance import Allowance
from mailroute.net.networks import Networks
from mailroute.net.proxyheader import BadHeader, NoHeader, Parties
from mailroute.net.stream import Stream
from mailroute.net.transport import Clock

REQUIRED_SECONDS = 5.0
"""For a proxy to send its header, which is the first thing that it does."""
OPTIONAL_SECONDS = 2.0
"""For a client that may send one: it gets its greeting so much later."""


class Headers(Enum):
    """Whether connections to a listener begin with a header; the configuration's words."""

    OFF = "off"
    OPTIONAL = "optional"
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Proxies:
    """Who is in front of a listener."""

    headers: Headers
    trusted: Networks
    """Whose headers are read, and whose word about its clients is believed."""


class HeaderPeer(Protocol):
    """Reads the header, then hands the connection to the peer that it is for."""

    transport: Stream  # type: ignore[assignment]

    def __init__(
        self,
        peer: Protocol,
        is_required: bool,
        clock: Clock,
        when_done: Callable[[HeaderPeer], None],
    ) -> None:
        """``when_done`` is called once: the peer takes over, or ``refusal`` says why not."""
        self._peer = peer
        self._is_required = is_required
        self._when_done = when_done
        seconds = REQUIRED_SECONDS if is_required else OPTIONAL_SECONDS
        self._allowance = Allowance(clock, seconds, self._out_of_time)
        self._has_begun = False
        """Whether the beginning of a header has come."""
        self.is_expected = True
        """Whether the connection comes from one of the proxies."""
        self.refusal = ""

    def connectionMade(self) -> None:
        """Wait for the header."""
        if not self.is_expected:
            self._refuse("it does not come from one of proxy_trusted")
            return
        self.transport.on_chunk = self._look
        self._allowance.run()

    def connectionLost(self, reason: Caught = connectionDone) -> None:
        """The connection is gone before its header was complete."""
        self._allowance.hold()
        self.refusal = self.refusal or "the connection ended before the header was complete"
        self._when_done(self)

    def _look(self) -> None:
        """See what has come, and take the header alone."""
        sock = self.transport.getHandle()
        try:
            seen = sock.recv(proxyheader.V2_LIMIT, socket.MSG_PEEK)
        except BlockingIOError:
            self.transport.is_readable = False
            return
        except OSError:
            seen = b""
        if not seen:
            self.transport.loseConnection()
            return
        try:
            self._read(sock, seen)
        except BadHeader as bad:
            self._refuse(str(bad))

    def _read(self, sock: socket.socket, seen: bytes) -> None:
        try:
            length = proxyheader.length_of(seen)
        except NoHeader:
            if self._is_required:
                raise
            self._hand_over(None)
            return
        if length is None:
            self._has_begun = True
            # The rest comes with an edge of its own.
            self.transport.is_readable = False
            return
        self._hand_over(proxyheader.parse(sock.recv(length)))

    def _hand_over(self, parties: Parties | None) -> None:
        self._allowance.hold()
        stream = self.transport
        stream.on_chunk = None
        if parties is not None:
            stream.addresses = (_address(*parties.source), _address(*parties.destination))
        self._when_done(self)
        stream.open(self._peer)
        stream.resumeProducing()

    def _out_of_time(self) -> None:
        if self._is_required or self._has_begun:
            self._refuse("no whole header came in time")
        else:
            self._hand_over(None)

    def _refuse(self, why: str) -> None:
        self.refusal = why
        self.transport.loseConnection()


def _address(ip: str, port: int) -> IPv4Address | IPv6Address:
    return IPv6Address("TCP", ip, port) if ":" in ip else IPv4Address("TCP", ip, port)
