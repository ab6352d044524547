"""Two joined connections: how they end, whatever moves the bytes.

Nothing of ours is ever written into a joined stream; it ends by close_notify and FIN alone.
The end of one direction is passed on where the transport can (RFC 9293 half-close), and the
other direction then has a bounded time without a byte.  TLS cannot close one half in a way that
mail programs and servers understand: there a client is closed, and a backend gets a moment for its
last answer and is closed, too, since most clients that say no more do not listen any more either,
and a session that nobody reads keeps its mailbox locked.

A node holds tens of thousands of joined sessions that say nothing.  Nothing of a login outlives
the join: the streams tell the sides of their joint themselves, and no coroutine waits.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure as Caught

from mailroute.net.flow import Flow
from mailroute.net.peer import Peer
from mailroute.net.pipes import PipePool
from mailroute.net.transport import Clock, DelayedCall

HALF_CLOSED_SECONDS = 60.0
"""Without a byte, after one side has finished speaking."""
LAST_ANSWER_SECONDS = 4.0
"""The same, where the side that may go on cannot be told."""
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


@dataclass(frozen=True, slots=True)
class Joints:
    """The joints that are alive, and what they share."""

    clock: Clock
    idle_seconds: float
    pool: PipePool
    alive: set[Joint] = field(default_factory=set)


class Side(Flow):
    """One of the two connections, as its stream's protocol; its bytes flow to the other one."""

    __slots__ = ("_is_secure", "has_finished", "is_connected", "joint", "name")

    def __init__(self, joint: Joint, name: str, peers: tuple[Peer, Peer], pool: PipePool | None):
        """``peers``: this side's and the other's."""
        peer, other = peers
        super().__init__(peer.stream, other.stream, pool)
        self.joint = joint
        self.name = name
        self.is_connected = peer.is_connected
        self.has_finished = False
        """Whether this side will say no more."""
        self._is_secure = peer.tls_info is not None

    @property
    def can_half_close(self) -> bool:
        """Whether the end of the other side's speech can be passed on to this one."""
        return not self._is_secure

    def dataReceived(self, data: bytes) -> None:
        """Bytes for the other side."""
        if not self.joint.is_ending:
            self.octets += len(data)
            self.sink.write(data)

    def readConnectionLost(self) -> None:
        """This side has finished speaking."""
        self.joint.half_closed(self)

    def connectionLost(self, reason: Caught) -> None:
        """The connection is gone."""
        self.is_connected = False
        self.joint.side_lost(self, reason)

    def close(self) -> None:
        """Close the connection, after what was written to it."""
        if self.is_connected:
            self.source.loseConnection()

    def abort(self) -> None:
        """Close the connection at once."""
        if self.is_connected:
            self.source.abortConnection()


class Joint:
    """Two joined connections; ``ended`` is called with the Totals when both are gone."""

    __slots__ = (
        "_closed_by",
        "_ended",
        "_flush_call",
        "_idle_call",
        "_idle_seconds",
        "_joints",
        "_octets_seen",
        "_quiet_checks",
        "is_ending",
        "sides",
    )

    def __init__(
        self, client: Peer, backend: Peer, joints: Joints, ended: Callable[[Totals], None]
    ) -> None:
        is_plain = client.has_plain_socket and backend.has_plain_socket
        pool = joints.pool if is_plain else None
        self.sides: tuple[Side, ...] = (
            Side(self, "client", (client, backend), pool),
            Side(self, "backend", (backend, client), pool),
        )
        """The client's and the backend's; none when both are gone."""
        self.is_ending = False
        """Whether no more bytes are moved."""
        self._joints = joints
        self._ended = ended
        self._idle_seconds = joints.idle_seconds
        self._idle_call: DelayedCall | None = None
        self._flush_call: DelayedCall | None = None
        self._quiet_checks = 0
        self._octets_seen = -1
        self._closed_by = ""

    def start(self, client: Peer, backend: Peer) -> None:
        """Join: what each side said behind the login goes first, in order."""
        self._joints.alive.add(self)
        side_of_client, side_of_backend = self.sides
        was_open = client.is_open and backend.is_open
        from_client = client.hand_over(side_of_client)
        from_backend = backend.hand_over(side_of_backend)
        if not was_open:
            # A connection that ended a moment before the verdict is not to be joined.
            self.end(client.closed_because or "backend")
            return
        if from_backend:
            side_of_backend.dataReceived(from_backend)
        if from_client:
            side_of_client.dataReceived(from_client)
        self._watch()
        for side in self.sides:
            side.start()

    def fail(self) -> None:
        """It could not begin: close both connections, and report to nobody."""
        self._ended = _nobody
        self.end("internal-error")

    def end(self, why: str) -> None:
        """Close both connections: orderly, without a word."""
        self._closed_by = self._closed_by or why
        self._stop()
        for side in self.sides:
            side.close()
        if not any(side.is_connected for side in self.sides):
            self._finish()
        self._bound_flushing()

    # -- ends ----------------------------------------------------------------------------

    def half_closed(self, side: Side) -> None:
        """This side has finished speaking; the other may go on."""
        if side.has_finished or self.is_ending:
            return
        side.has_finished = True
        self._closed_by = self._closed_by or side.name
        other = self._other(side)
        if other.has_finished:
            self.end(side.name)
            return
        seconds = HALF_CLOSED_SECONDS
        if other.can_half_close:
            side.sink.loseWriteConnection()
        elif side.name == "backend":
            # A server that has said its last word waits for none, and a client behind TLS can
            # only be told by closing.
            self.end(side.name)
            return
        else:
            seconds = LAST_ANSWER_SECONDS
        self._idle_seconds = min(self._idle_seconds, seconds)
        self._quiet_checks, self._octets_seen = 0, self._octets()
        self._watch()

    def side_lost(self, side: Side, reason: Caught) -> None:
        """This connection is gone: end the other, or report."""
        by = side.name if reason.check(ConnectionDone) else side.name + "-lost"
        self._closed_by = self._closed_by or by
        other = self._other(side)
        if other.is_connected:
            self._stop()
            other.close()
            self._bound_flushing()
        else:
            self._finish()

    def _other(self, side: Side) -> Side:
        client, backend = self.sides
        return backend if side is client else client

    def _stop(self) -> None:
        self.is_ending = True
        for side in self.sides:
            side.stop()

    def _bound_flushing(self) -> None:
        if self._flush_call is None and self.sides:
            self._flush_call = self._joints.clock.callLater(FLUSH_SECONDS, self._abort)

    def _abort(self) -> None:
        self._flush_call = None
        for side in self.sides:
            side.abort()

    def _finish(self) -> None:
        for call in (self._idle_call, self._flush_call):
            if call is not None:
                call.cancel()
        self._idle_call = self._flush_call = None
        if self.sides:
            client, backend = self.sides
            # They know us and we them: without this only the collector would free us.
            self.sides = ()
            self._joints.alive.discard(self)
            self._ended(Totals(client.octets, backend.octets, self._closed_by))

    # -- idle ----------------------------------------------------------------------------

    def _watch(self) -> None:
        if self._idle_call is not None:
            self._idle_call.cancel()
        interval = self._idle_seconds / CHECKS_PER_IDLE_LIMIT
        self._idle_call = self._joints.clock.callLater(interval, self._look)

    def _octets(self) -> int:
        return sum(side.octets for side in self.sides)

    def _look(self) -> None:
        self._idle_call = None
        octets = self._octets()
        self._quiet_checks = self._quiet_checks + 1 if octets == self._octets_seen else 0
        self._octets_seen = octets
        if self._quiet_checks >= CHECKS_PER_IDLE_LIMIT:
            self.end("idle")
        else:
            self._watch()


def _nobody(totals: Totals) -> None:
    """Whoever joined the streams has been told otherwise."""
