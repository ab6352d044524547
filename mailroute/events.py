"""What a dialogue asks for (actions) and what it reports (milestones).

A dialogue takes bytes and returns a list of these.  Actions are carried out by the peer at
once; a milestone goes up to the session.  ``StartTLS`` and every milestone pause the dialogue
and are therefore always the last of their list.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mailroute.credentials import Identity
from mailroute.errors import Failure


@dataclass(frozen=True, slots=True)
class Write:
    """Send these bytes to the other side."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class StartTLS:
    """Begin the handshake now; the dialogue waits for ``tls_established``."""


@dataclass(frozen=True, slots=True)
class Close:
    """End the connection in an orderly way, after what was written.

    ``why`` is a stable word for the log, e.g. ``logout`` or ``too-many-bad-commands``.
    """

    why: str


@dataclass(frozen=True, slots=True)
class Remind:
    """Call ``reminded`` after so many seconds, once; what was asked for last counts."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Login:
    """The client wants to log in: the server dialogue waits for an answer.

    ``initial_response`` is the mechanism's first message, decoded; it may hold a password.
    """

    identity: Identity
    mechanism: str
    initial_response: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Response:
    """The client's response to a relayed challenge; None: it cancelled the exchange."""

    data: bytes | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The backend's challenge, decoded, to be relayed to the client."""

    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """The backend accepted the login.

    ``words`` are the lines of its final reply without tag and status; ``untagged`` the lines
    that the client has to see before it; ``final`` is the mechanism's last data for protocols
    that carry it inside the reply.
    """

    words: tuple[bytes, ...] = ()
    untagged: tuple[bytes, ...] = ()
    final: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Rejected:
    """The login failed.  ``words`` and ``untagged`` are the backend's own, empty if it had none."""

    failure: Failure
    words: tuple[bytes, ...] = ()
    untagged: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class TLSInfo:
    """What is known of a connection after its handshake."""

    version: str
    cipher: str = ""
    server_name: str | None = None
    client_names: tuple[str, ...] = ()
    """Who the other side has proved to be by a certificate, the most important name first."""


Action = Write | StartTLS | Close | Remind
ServerMilestone = Login | Response
ClientMilestone = Challenge | Accepted | Rejected
Milestone = ServerMilestone | ClientMilestone
Verdict = Accepted | Rejected
Event = Action | Milestone
