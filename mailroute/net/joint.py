"""Two joined connections: how they end, whatever moves the bytes.

Nothing of ours is ever written into a joined stream; it ends by close_notify and FIN alone.
The end of one direction is passed on where the transport can (RFC 9293 half-close), and the
other direction then has a bounded time without a byte.  TLS cannot close one half in a way that
mail programs understand: there a backend simply goes on for that time, and a client is closed.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure as Caught

from mailroute.net.flow import Flow
from mailroute.net.peer import Peer
from mailroute.net.pipes import PipePool
from mailroute.net.transport import Clock, DelayedCall

HALF_CLOSED_SECONDS = 60.0
"""Without a byte, after one side has finished speaking."""
FLUSH_SECONDS = 30.0
"""For what was written to a side to reach it, once the other is gone."""
CHECKS_PER_IDLE_LIMIT = 4
"""The idle limit is looked at this often, so that no chunk pays for a clock."""


@dataclass(frozen=True, slots=True)
class Totals:
    """How a joined session ended."""

    from_client: int
    """Octets from the client to the backend."""
    from_backend: int
    closed_by: str
    """client, backend, idle, shutdown or error."""


class Side:
    """One of the two connections, as a Relay for its peer."""

    def __init__(self, joint: Joint, peer: Peer, name: str) -> None:
        self.joint = joint
        self.peer = peer
        self.name = name
        self.other = self
        self.octets = 0
        """Received from this side."""
        self.has_finished = False
        """Whether this side will say no more."""

    @property
    def can_half_close(self) -> bool:
        """Whether the end of the other side's speech can be passed on to this one."""
        return self.peer.tls_info is None

    def received(self, data: bytes) -> None:
        """Bytes for the other side."""
        if self.joint.is_ending:
            return
        self.octets += len(data)
        self.other.peer.transport.write(data)

    def read_ended(self) -> None:
        """This side has finished speaking."""
        self.joint.half_closed(self)

    def lost(self, reason: Caught) -> None:
        """The connection is gone."""
        self.joint.side_lost(self, reason)


class Joint:
    """Two joined peers; ``finished`` fires with the Totals when both connections are gone."""

    def __init__(
        self, client: Peer, backend: Peer, clock: Clock, idle_seconds: float, pool: PipePool
    ) -> None:
        self.client = Side(self, client, "client")
        self.backend = Side(self, backend, "backend")
        self.client.other, self.backend.other = self.backend, self.client
        self.finished: Deferred[Totals] = Deferred()
        self.is_ending = False
        """Whether no more bytes are moved."""
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._idle_call: DelayedCall | None = None
        self._flush_call: DelayedCall | None = None
        self._quiet_checks = 0
        self._octets_seen = -1
        self._closed_by = ""
        pipes = pool if client.has_plain_socket and backend.has_plain_socket else None
        self._flows = tuple(
            Flow(side, side.peer.stream, side.other.peer.stream, pipes)
            for side in (self.client, self.backend)
        )

    def start(self) -> None:
        """Join: what each side said behind the login goes first, in order."""
        from_client = self.client.peer.join(self.client)
        was_open = self.client.peer.is_open and self.backend.peer.is_open
        from_backend = self.backend.peer.join(self.backend)
        if not was_open:
            # A connection that ended a moment before the verdict is not to be joined.
            self.end(self.client.peer.closed_because or "backend")
            return
        if from_backend:
            self.backend.received(from_backend)
        if from_client:
            self.client.received(from_client)
        self._watch()
        for flow in self._flows:
            flow.start()

    def end(self, why: str) -> None:
        """Close both connections: orderly, without a word."""
        self._closed_by = self._closed_by or why
        self._stop()
        for side in (self.client, self.backend):
            self._close(side)
        if not (self.client.peer.is_connected or self.backend.peer.is_connected):
            self._finish()
        self._bound_flushing()

    # -- ends ----------------------------------------------------------------------------

    def half_closed(self, side: Side) -> None:
        """This side has finished speaking; the other may go on."""
        if side.has_finished or self.is_ending:
            return
        side.has_finished = True
        self._closed_by = self._closed_by or side.name
        if side.other.has_finished:
            self.end(side.name)
            return
        if side.other.can_half_close:
            side.other.peer.transport.loseWriteConnection()
        elif side is self.backend:
            # A server that has said its last word waits for none, and a client behind TLS can
            # only be told by closing.
            self.end(side.name)
            return
        self._idle_seconds = min(self._idle_seconds, HALF_CLOSED_SECONDS)
        self._quiet_checks = 0
        self._watch()

    def side_lost(self, side: Side, reason: Caught) -> None:
        """This connection is gone: end the other, or report."""
        by = side.name if reason.check(ConnectionDone) else side.name + "-lost"
        self._closed_by = self._closed_by or by
        if side.other.peer.is_connected:
            self._stop()
            self._close(side.other)
            self._bound_flushing()
        else:
            self._finish()

    def _stop(self) -> None:
        self.is_ending = True
        for flow in self._flows:
            flow.stop()

    def _close(self, side: Side) -> None:
        if side.peer.is_connected:
            side.peer.transport.loseConnection()

    def _bound_flushing(self) -> None:
        if self._flush_call is None and not self.finished.called:
            self._flush_call = self._clock.callLater(FLUSH_SECONDS, self._abort)

    def _abort(self) -> None:
        self._flush_call = None
        for side in (self.client, self.backend):
            if side.peer.is_connected:
                side.peer.transport.abortConnection()

    def _finish(self) -> None:
        for call in (self._idle_call, self._flush_call):
            if call is not None:
                call.cancel()
        self._idle_call = self._flush_call = None
        if not self.finished.called:
            totals = Totals(self.client.octets, self.backend.octets, self._closed_by)
            self.finished.callback(totals)

    # -- idle ----------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._idle_call is not None:
            self._idle_call.cancel()
        interval = self._idle_seconds / CHECKS_PER_IDLE_LIMIT
        self._idle_call = self._clock.callLater(interval, self._look)

    def _look(self) -> None:
        self._idle_call = None
        octets = self.client.octets + self.backend.octets
        self._quiet_checks = self._quiet_checks + 1 if octets == self._octets_seen else 0
        self._octets_seen = octets
        if self._quiet_checks >= CHECKS_PER_IDLE_LIMIT:
            self.end("idle")
        else:
            self._watch()
