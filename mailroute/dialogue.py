"""The form of every protocol: bytes in, a list of events out.

A dialogue knows no socket, clock, reactor or configuration.  It has a phase, which says whether
bytes are being consumed at all; each protocol adds the steps that its RFC names.  The rule that
both sides of every protocol share lives here: whatever stands in the clear behind STARTTLS (or
behind the backend's consent to it) ends the session, and everything learnt before the handshake
is forgotten (RFC 9051 section 11.1, RFC 3207 section 6, RFC 2595 section 4).

``server_dialogue`` and ``client_dialogue`` are the two roles.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from enum import Enum

from mailroute.events import Close, Event, StartTLS, TLSInfo, Write
from mailroute.wire.framing import ReceiveBuffer

PAUSED_LIMIT = 65536
"""Octets kept of a side that goes on talking while it should wait; then it is not read."""


class Phase(Enum):
    """What happens to received bytes."""

    TALKING = "consumed as commands or replies"
    TLS_HANDSHAKE = "waiting for tls_established"
    MILESTONE = "kept until the session has answered the milestone"
    JOINED = "kept as trailing data for the joined stream"
    CLOSED = "dropped"


class Dialogue(ABC):
    """What both roles share: the buffer, the phase and the list of events."""

    def __init__(self) -> None:
        self._buffer = ReceiveBuffer()
        self._phase = Phase.TALKING
        self._events: list[Event] = []

    def receive_data(self, data: bytes) -> list[Event]:
        """Take bytes from the other side; returns what to do about them."""
        if self._phase is Phase.CLOSED:
            return []
        self._buffer.feed(data)
        if self._phase is Phase.TLS_HANDSHAKE:
            self._cleartext_after_starttls()
        return self._advance()

    @property
    def trailing_data(self) -> bytes:
        """What came behind the login and belongs to the joined stream."""
        return self._buffer.peek(len(self._buffer))

    @property
    def full(self) -> bool:
        """Whether the other side should not be read for now."""
        return self._phase is not Phase.TALKING and len(self._buffer) >= PAUSED_LIMIT

    def tls_established(self, info: TLSInfo) -> list[Event]:
        """The handshake that ``StartTLS`` asked for has succeeded."""
        if self._phase is not Phase.TLS_HANDSHAKE:
            return []  # Closed meanwhile: a late handshake revives nothing.
        self._phase = Phase.TALKING
        self._forget()
        return self._advance()

    def recognize(self, names: tuple[str, ...]) -> None:
        """The other side has proved by its certificate to be called so: before the first word."""
        raise NotImplementedError

    def reminded(self) -> list[Event]:
        """The time that ``Remind`` asked for is over."""
        raise NotImplementedError

    @abstractmethod
    def _step(self) -> bool:
        """Consume one line, literal or block; False when octets are missing."""

    @abstractmethod
    def _forget(self) -> None:
        """Return to the state just after connecting, over TLS."""

    @abstractmethod
    def _cleartext_after_starttls(self) -> None:
        """Bytes in the clear stand where only a handshake may."""

    def _advance(self) -> list[Event]:
        while self._phase is Phase.TALKING and self._step():
            pass
        events, self._events = self._events, []
        return events

    def _write(self, data: bytes) -> None:
        self._events.append(Write(data))

    def _start_tls(self, reply: bytes = b"") -> None:
        """Begin TLS after our reply to the command, or without one after the backend's."""
        if len(self._buffer):
            self._cleartext_after_starttls()
            return
        if reply:
            self._write(reply)
        self._phase = Phase.TLS_HANDSHAKE
        self._events.append(StartTLS())

    def _close(self, why: str) -> None:
        if self._phase is not Phase.CLOSED:
            self._shut()
            self._events.append(Close(why))

    def _shut(self) -> None:
        """Consume nothing any more, and keep nothing."""
        self._phase = Phase.CLOSED
        self._buffer.take_all()
