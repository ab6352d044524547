"""What can go wrong, as a value: a kind, whether it is temporary, and a private reason.

No wire text lives here: each protocol's ``replies`` words a kind for its own clients, and the
log prints the reason.  A reason may name hosts, queries and certificates; it never holds a
secret and is never shown to a client.
"""

from __future__ import annotations

from enum import Enum


class FailureKind(Enum):
    """Every way in which a login can end without a joined stream.

    The value is the stable word that the log uses (``reason=...``).
    """

    CREDENTIALS_REJECTED = "credentials-rejected"
    """The backend's verdict on name and password."""
    ACCOUNT_UNKNOWN = "account-unknown"
    """The table has no such account and the policy is to reject."""
    ACCOUNT_DENIED = "account-denied"
    """The row says that this account may not log in."""
    NAME_UNUSABLE = "name-unusable"
    """The account's name cannot be looked up or written safely (controls, not UTF-8, too long)."""
    BACKEND_REFUSED = "backend-refused"
    """The backend refused this login for good, for a reason other than the credentials."""
    ACCOUNT_TEMPFAIL = "account-tempfail"
    """The table has no such account and the policy is a temporary failure."""
    LOOKUP_FAILED = "lookup-failed"
    """The table could not answer."""
    DESTINATION_UNKNOWN = "destination-unknown"
    """The table names a destination that is not configured, or one without this protocol."""
    BACKEND_UNREACHABLE = "backend-unreachable"
    """No connection, or none that lasted until the backend's greeting."""
    BACKEND_UNTRUSTED = "backend-untrusted"
    """The backend's certificate or its TLS does not satisfy the configuration."""
    BACKEND_BUSY = "backend-busy"
    """The backend itself answered with a temporary refusal."""
    BACKEND_TIMED_OUT = "backend-timed-out"
    """The backend did not answer within its time."""
    BACKEND_MISBEHAVED = "backend-misbehaved"
    """The backend answered something that the protocol does not allow here."""
    BACKEND_INCAPABLE = "backend-incapable"
    """The backend offers no way to make this login (mechanism, encryption)."""
    SHUTTING_DOWN = "shutting-down"
    """mailroute is being stopped."""
    INTERNAL = "internal-error"
    """A defect of mailroute: the log has the details."""

    @property
    def temporary(self) -> bool:
        """Whether the same login may work later without anybody changing the account."""
        return self not in _PERMANENT

    @property
    def counts_as_attempt(self) -> bool:
        """Whether the client spent one of its attempts: only where name or password is at fault."""
        return self in _PERMANENT


_PERMANENT = frozenset(
    {
        FailureKind.CREDENTIALS_REJECTED,
        FailureKind.ACCOUNT_UNKNOWN,
        FailureKind.ACCOUNT_DENIED,
        FailureKind.NAME_UNUSABLE,
        FailureKind.BACKEND_REFUSED,
    }
)


class Failure(Exception):
    """A login failed: ``kind`` for the client's reply, ``reason`` for the operator's log."""

    def __init__(self, kind: FailureKind, reason: str) -> None:
        super().__init__(kind, reason)
        self.kind = kind
        self.reason = reason

    def __str__(self) -> str:
        return f"{self.kind.value}: {self.reason}"


class LookupFailed(Failure):
    """A table could not answer.  Never raised for an absent key."""

    def __init__(self, reason: str) -> None:
        super().__init__(FailureKind.LOOKUP_FAILED, reason)


class CannotListen(OSError):
    """A place of a listener cannot be had; nothing else is wrong with the configuration."""

    def __init__(self, listener: str, place: object, error: OSError) -> None:
        words = f"listener.{listener}: cannot listen at {place}: {error.strerror}"
        super().__init__(error.errno, words)

    def __str__(self) -> str:
        return str(self.strerror)


class ConfigurationError(Exception):
    """The configuration cannot be served.  ``complaints`` are whole sentences, one per fault."""

    def __init__(self, complaints: list[str]) -> None:
        super().__init__("\n".join(complaints))
        self.complaints = complaints
