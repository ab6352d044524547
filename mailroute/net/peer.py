"""A connection and the dialogue it carries, until the streams are joined.

The peer carries out what the dialogue asks for (write, TLS, close) and hands milestones to
whoever awaits them.  It knows the transport and the time; it knows no protocol.
"""

from __future__ import annotations

import socket
from dataclasses import replace
from typing import cast

from OpenSSL import SSL
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure as Caught
from zope.interface import implementer

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure
from mailroute.events import (
    Close,
    Event,
    Milestone,
    Remind,
    StartTLS,
    TLSInfo,
    Write,
)
from mailroute.net.allowance import Allowance
from mailroute.net.stream import Stream
from mailroute.net.tls import TLSSide, tls_info
from mailroute.net.transport import Clock, DelayedCall, Transport
from mailroute.server_dialogue import ServerDialogue

WRITTEN_LIMIT = 262144
"""Octets we say before the streams are joined: no login needs more, a flood would."""
LINGER_SECONDS = 10.0
"""For the other side to close after we have: one that never does would keep the descriptor."""


@implementer(IHandshakeListener, IHalfCloseableProtocol)
class Peer(Protocol):
    """What both sides of a session share."""

    transport: Transport  # type: ignore[assignment]

    def __init__(self, tls: TLSSide | None, tls_first: bool, clock: Clock) -> None:
        """``tls``: how to begin a handshake; ``tls_first``: before anything is said."""
        self._tls = tls
        self._tls_first = tls_first
        self._milestones: list[Milestone] = []
        self._waiting: Deferred[Milestone] | None = None
        self._reading_paused = False
        self._written = 0
        self._clock = clock
        self._linger: DelayedCall | None = None
        self._reminder: DelayedCall | None = None
        self._is_lost = False
        self.tls_info: TLSInfo | None = None
        self.closed_because = ""
        self.is_connected = False

    # -- for subclasses ------------------------------------------------------------------

    _dialogue: ServerDialogue | ClientDialogue | None
    _allowance: Allowance

    def _end_of_dialogue(self, reason: Caught) -> None:
        """The connection ended while the dialogue was alive."""
        raise NotImplementedError

    def _milestone_reached(self) -> None:
        """A milestone was handed up: the next word is not this side's."""
        self._allowance.hold()

    # -- the transport's side ------------------------------------------------------------

    def connectionMade(self) -> None:
        """Begin: with the handshake, or with the dialogue."""
        self.is_connected = True
        self._allowance.run()
        if self._tls_first:
            self._start_tls()
        elif self._dialogue is not None:
            self.perform(self._dialogue.start())

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the dialogue."""
        dialogue = self._dialogue
        if dialogue is None or self.closed_because:
            return
        self.perform(dialogue.receive_data(data))
        if dialogue.full and not self._reading_paused:
            self._reading_paused = True
            self.pause_reading()

    def handshakeCompleted(self) -> None:
        """Check who the other side is; only then may a word be said over this channel."""
        if self._tls is None or self._dialogue is None:
            return
        connection = cast(SSL.Connection, self.transport.getHandle())
        try:
            names = self._tls.verify(connection)
        except Failure as failure:
            self._distrust(failure)
            return
        self.tls_info = tls_info(connection)
        if names:
            self.tls_info = replace(self.tls_info, client_names=names)
        if self._tls_first:
            self._tls_first = False
            if names:
                self._dialogue.recognize(names)
            self.perform(self._dialogue.start())
        else:
            self.perform(self._dialogue.tls_established(self.tls_info))

    def readConnectionLost(self) -> None:
        """The other side has finished speaking."""
        # Before the join a client that says no more cannot log in any more either.
        self.close("closed-by-peer")

    def writeConnectionLost(self) -> None:
        """Our own half-close is done."""

    def connectionLost(self, reason: Caught = connectionDone) -> None:
        """The connection is gone."""
        self.is_connected = False
        self._is_lost = True
        self._stop_time()
        if self._dialogue is not None:
            self._end_of_dialogue(reason)
            self._dialogue = None

    # -- the session's side --------------------------------------------------------------

    def perform(self, events: list[Event]) -> None:
        """Carry out what the dialogue asks for; what it writes at once is sent at once."""
        if not events:
            return
        data = b"".join([event.data for event in events if type(event) is Write])
        if data:
            self._write(data)
        # Only writes may stand before the last event of a list, and a reminder that they outdid.
        last = events[-1]
        if isinstance(last, StartTLS):
            self._start_tls()
        elif isinstance(last, Close):
            self.close(last.why)
        elif isinstance(last, Remind):
            self._forget_reminder()
            self._reminder = self._clock.callLater(last.seconds, self._remind)
        elif not isinstance(last, Write):
            self._milestone_reached()
            self._deliver(last)

    def close(self, why: str) -> None:
        """End the connection in an orderly way, after what was written, in bounded time."""
        self.closed_because = self.closed_because or why
        self._leave()

    def hand_over(self, heir: object) -> bytes:
        """Give the connection away: its events are the heir's; returns the trailing data.

        From here on neither a dialogue nor a secret is alive on this side.
        """
        trailing = self._dialogue.trailing_data if self._dialogue is not None else b""
        self._stop_time()
        self._dialogue = None
        self._tls = None
        self.is_connected = False
        self.stream.hand_over(heir)
        return trailing

    @property
    def is_open(self) -> bool:
        """Whether there is a connection, and nobody has begun to close it."""
        return self.is_connected and not self.closed_because

    @property
    def stream(self) -> Stream:
        """The transport as what it is outside of tests."""
        return cast(Stream, self.transport)

    @property
    def has_plain_socket(self) -> bool:
        """Whether the kernel itself could move this connection's bytes."""
        return self.tls_info is None and isinstance(self.transport.getHandle(), socket.socket)

    def pause_reading(self) -> None:
        """Stop reading from the transport."""
        self.transport.pauseProducing()

    def resume_reading(self) -> None:
        """Read on."""
        self.transport.resumeProducing()

    # -- internal ------------------------------------------------------------------------

    async def _next_milestone(self) -> Milestone:
        if self._milestones:
            return self._milestones.pop(0)
        if self._is_lost:
            # Whoever still asks has not noticed: nobody is there to say more.
            raise CancelledError
        self._waiting = Deferred()
        return await self._waiting

    def _deliver(self, milestone: Milestone) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(milestone)
        else:
            self._milestones.append(milestone)

    def _leave(self) -> None:
        if self._linger is None:
            self._linger = self._clock.callLater(LINGER_SECONDS, self._cut)
        self.transport.loseConnection()

    def _stop_time(self) -> None:
        """No time-out of this side's will come any more."""
        self._allowance.end()
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        self._forget_reminder()

    def _forget_reminder(self) -> None:
        if self._reminder is not None:
            self._reminder.cancel()
            self._reminder = None

    def _remind(self) -> None:
        self._reminder = None
        if self._dialogue is not None:
            self.perform(self._dialogue.reminded())

    def _cut(self) -> None:
        self._linger = None
        self._abort()

    def _abort(self) -> None:
        self.transport.abortConnection()

    def _write(self, data: bytes) -> None:
        self._written += len(data)
        if self._written > WRITTEN_LIMIT:
            self.close("too-much-chatter")
            return
        self.transport.write(data)

    def _start_tls(self) -> None:
        if self._tls is None:
            raise RuntimeError("a dialogue asked for TLS where none is configured")
        self.transport.startTLS(self._tls)

    def _distrust(self, failure: Failure) -> None:
        self.closed_because = failure.reason
        self.transport.abortConnection()

    def _resume_if_drained(self) -> None:
        if self._reading_paused and self._dialogue is not None and not self._dialogue.full:
            self._reading_paused = False
            self.resume_reading()


def why_lost(reason: Caught) -> str:
    """A connection's end in a word or two, for the log."""
    if reason.check(ConnectionDone):
        return "closed-by-peer"
    return "tls-failed" if reason.check(SSL.Error) else "connection-lost"
