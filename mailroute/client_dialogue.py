"""The client's role in every protocol: the backend greets, we log in, one verdict ends it.

The secret is dropped with the verdict.  A connection that ends, a backend that is silent and
one that talks nonsense are rejections like any other, told apart by their kinds.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from typing import ClassVar

from mailroute.dialogue import Dialogue, Phase
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Challenge, Event, Login, Rejected, TLSInfo
from mailroute.route import Announcement
from mailroute.sasl import exchange
from mailroute.sasl.mechanism import BadMessage
from mailroute.wire.framing import LineTooLong

REPLY_LIMIT = 65536
"""Octets of all that a backend says for one of our commands."""
QUOTE_LIMIT = 200
"""Octets of a backend's words that the log quotes."""

COMMON_LIMIT = 8192
"""Octets of base64 that a first message has at most in Dovecot; others take less."""

_BLAMES_THE_BACKEND = frozenset({FailureKind.BACKEND_UNREACHABLE, FailureKind.BACKEND_MISBEHAVED})
_ANSWERS = frozenset({FailureKind.BACKEND_REFUSED, FailureKind.BACKEND_MISBEHAVED})
"""What a protocol may make of the words with which a backend confirms a cancellation."""


class ClientDialogue(Dialogue):
    """We are the client; the backend is outside.  It ends with exactly one verdict."""

    extension: ClassVar[str] = "XCLIENT"
    """By which a backend is told of the client."""
    announcement: Announcement | None = None
    """What the backend is to be told of the client before the login, until it is told."""

    def __init__(self, login: Login, starttls: bool, secure: bool) -> None:
        """``starttls``: upgrade before anything else; ``secure``: the login may leave now."""
        super().__init__()
        self._login: Login | None = login
        self._exchange = exchange.ClientExchange(login)
        self._starttls = starttls
        self._secure = secure
        self._cancelled = False
        self.login_is_used = False
        """Whether the login was begun: from then on another try would be another attempt."""

    def insist(self, mechanism: str) -> None:
        """Log in by this mechanism, whatever else the backend offers."""
        self._exchange.only = mechanism

    def start(self) -> list[Event]:
        """The connection stands; the backend speaks first."""
        return self._advance()

    def respond(self, response: bytes | None) -> list[Event]:
        """Relay the client's response to the last challenge; None cancels the exchange."""
        if self._phase is not Phase.MILESTONE:
            return []  # The verdict was quicker: a backend that timed out meanwhile.
        self._phase = Phase.TALKING
        self._cancelled = response is None
        self._write_response(b"*" if response is None else exchange.encode(response))
        return self._advance()

    def tls_established(self, info: TLSInfo) -> list[Event]:
        """The handshake has succeeded: nothing that was read before it counts."""
        self._starttls = False
        self._secure = True
        return super().tls_established(info)

    def timed_out(self) -> list[Event]:
        """The backend did not answer in time."""
        self._fail(FailureKind.BACKEND_TIMED_OUT, f"no answer {self._waiting_for()}")
        return self._advance()

    def ended(self, failure: Failure) -> list[Event]:
        """The connection ended before a verdict, for this reason."""
        self._fail(failure.kind, f"{failure.reason} {self._waiting_for()}")
        return self._advance()

    @property
    def is_untold(self) -> bool:
        """Whether the login has begun, and the backend does not offer to be told of the client."""
        return self.announcement is not None and self.login_is_used

    @abstractmethod
    def _waiting_for(self) -> str:
        """What the backend owes us, for the log: ``while ...``."""

    @abstractmethod
    def _write_response(self, text: bytes) -> None:
        """Write a line of the SASL exchange."""

    def _cleartext_after_starttls(self) -> None:
        self._fail(
            FailureKind.BACKEND_UNTRUSTED,
            "bytes in the clear followed the backend's consent to STARTTLS: possible injection",
        )

    def _take_reply_line(self, limit: int) -> bytes | None:
        try:
            return self._buffer.take_line(limit)
        except LineTooLong:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"reply longer than {limit} octets")
            return None

    def _quote(self, said: bytes) -> str:
        """What the backend said, shortened for a reason in the log.

        A backend that repeats our command repeats the credentials: then none of it is quoted.
        """
        folded = said.lower()
        if any(trace.lower() in folded for trace in self._exchange.traces()):
            return "(withheld: it repeats the credentials)"
        text = said[:QUOTE_LIMIT].decode("utf-8", "backslashreplace")
        return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in text)

    def _require_login(self) -> Login:
        if self._login is None:
            raise RuntimeError("the login is only dropped with the verdict")
        self.login_is_used = True
        return self._login

    def _fits_password_command(self, login: Login) -> bool:
        """The protocol's own commands carry one name, so none on behalf of another."""
        is_password = login.mechanism == "PLAIN" and not login.identity.authzid
        return is_password and self._exchange.only is None

    def _incapable(self, offers: Callable[[str], bool]) -> None:
        """The backend has no way in for this login."""
        mechanism, only = self._require_login().mechanism, self._exchange.only
        reason = f"backend offers no way to log in by {mechanism}"
        if only is not None and offers(only) and only != mechanism:
            reason = f"the row's mech is {only}, which cannot be made of a login by {mechanism}"
        elif only is not None and not offers(only):
            reason = f"the row's mech is {only}, which the backend does not offer"
        elif self._exchange.is_downgraded(offers):
            reason = (
                f"backend offers {mechanism}-PLUS, which we cannot; a client that could use it "
                "takes that for an attack: take it from the backend's mechanisms"
            )
        self._fail(FailureKind.BACKEND_INCAPABLE, reason)

    def _challenged(self, text: bytes) -> None:
        """Answer a challenge ourselves where it asks for what we have to say, else pass it up."""
        own = self._exchange.challenged(text)
        if own is not None:
            self._write_response(own)
            return
        if self._require_login().mechanism == "PLAIN":
            # RFC 4616 knows none, and a client of a password command could not answer it.
            self._fail(FailureKind.BACKEND_MISBEHAVED, "a challenge behind the whole of PLAIN")
            return
        try:
            challenge = Challenge(exchange.decode(text))
        except BadMessage:
            self._fail(FailureKind.BACKEND_MISBEHAVED, "a challenge is not base64")
            return
        self._phase = Phase.MILESTONE
        self._events.append(challenge)

    def _accept(self, verdict: Accepted) -> None:
        self._drop_login()
        self._phase = Phase.JOINED
        self._events.append(verdict)

    def _reject(
        self, failure: Failure, words: tuple[bytes, ...] = (), untagged: tuple[bytes, ...] = ()
    ) -> None:
        """End with a rejection; ``words`` and ``untagged`` are the backend's own."""
        if self._phase in (Phase.CLOSED, Phase.JOINED):
            return
        if self._cancelled and failure.kind in _ANSWERS:
            # Whatever the backend says to "*": it was the client that gave up.
            reason = f"the client cancelled the exchange; {failure.reason}"
            failure = Failure(FailureKind.CREDENTIALS_REJECTED, reason)
        elif self._exchange.octets > COMMON_LIMIT and self._exchange.complete:
            failure = self._too_long(failure)
        self._drop_login()
        self._shut()
        self._events.append(Rejected(failure, words, untagged))

    def _too_long(self, failure: Failure) -> Failure:
        """The failure behind a first message that many servers find too long.

        Some just close the connection: that says nothing about their health.
        """
        kind = failure.kind
        if kind is FailureKind.CREDENTIALS_REJECTED:
            return failure
        if kind in _BLAMES_THE_BACKEND:
            kind = FailureKind.BACKEND_INCAPABLE
        size = f"the first message has {self._exchange.octets} octets of base64"
        return Failure(
            kind, f"{failure.reason}; {size}, which may be more than the backend's limit"
        )

    def _fail(self, kind: FailureKind, reason: str) -> None:
        self._reject(Failure(kind, reason))

    def _drop_login(self) -> None:
        """Forget the secret: it is not needed beyond the verdict."""
        self._login = None
        self._exchange.forget()
