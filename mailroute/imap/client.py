"""IMAP towards the backend: from its greeting to its verdict on the login.

The way is chosen by what the backend advertises: AUTHENTICATE or LOGIN, with or without an
initial response, with quoted strings or the literals that it takes.  Nothing that was read
before a handshake counts after it.  Our tags are used up before the streams are joined, so no
answer to a command of ours can reach the client.
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login, Write
from mailroute.imap import identity, syntax
from mailroute.sasl import plain
from mailroute.wire.framing import CommandFraming, LineTooLong
from mailroute.wire.strings import Command, LiteralHead, quotable, quoted

INITIAL_RESPONSE_ROOM = 8000
"""Octets of an initial response that every server takes in a command line; else we wait."""
NON_SYNCHRONIZING_LIMIT = 4096

_TEMPORARY_CODES = frozenset({b"UNAVAILABLE", b"INUSE", b"LIMIT", b"SERVERBUG", b"CONTACTADMIN"})
_POLICY_CODES = frozenset({b"EXPIRED", b"AUTHORIZATIONFAILED", b"PRIVACYREQUIRED", b"NOPERM"}) | {
    # RFC 2221: the account lives elsewhere; where, is the table's affair, which is asked again.
    b"REFERRAL"
}


class State(Enum):
    """What the backend owes us; the value completes the sentence "closed while ..."."""

    GREETING = "waiting for the greeting"
    STARTTLS = "waiting for the answer to STARTTLS"
    CAPABILITY = "waiting for CAPABILITY"
    ID = "waiting for the answer to ID"
    LOGIN = "waiting for the answer to LOGIN"
    SASL_EXCHANGE = "waiting for the answer to AUTHENTICATE"
    CAPABILITY_AFTER_LOGIN = "waiting for CAPABILITY after the login"


class ImapClient(ClientDialogue):
    """The client's side of IMAP until the streams are joined."""

    extension: ClassVar[str] = "ID"

    def __init__(self, login: Login, starttls: bool, secure: bool) -> None:
        super().__init__(login, starttls, secure)
        self._framing = CommandFraming(self._buffer)
        self._state = State.GREETING
        self._tag_number = 0
        self._capabilities: frozenset[bytes] | None = None
        self._segments: list[Write] = []
        """What follows the literals that the backend has yet to ask for."""
        self._untagged: list[bytes] = []
        self._untagged_octets = 0
        self._accepted_words = b""

    def _waiting_for(self) -> str:
        return f"while {self._state.value}"

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        try:
            unit = self._framing.next(REPLY_LIMIT)
        except LineTooLong:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"a reply is longer than {REPLY_LIMIT}")
            return False
        if unit is None:
            return False
        if isinstance(unit, LiteralHead):
            self._literal(unit)
        else:
            self._reply(unit)
        return True

    def _literal(self, head: LiteralHead) -> None:
        if syntax.is_status(self._framing.peek(syntax.START_OCTETS)):
            self._reply(self._framing.complete())
        elif self._framing.gathered + head.size >= REPLY_LIMIT:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"a literal of {head.size} octets")
        else:
            self._framing.accept(head)

    def _reply(self, reply: Command) -> None:
        line = reply.text
        if self._state is State.GREETING:
            self._greeted(line)
        elif line.startswith(b"+"):
            self._continued(line[1:].strip(b" "))
        elif (tagged := syntax.tagged(line, self._tag)) is not None:
            self._completed(tagged)
        elif line.startswith(b"* "):
            self._untagged_line(line, reply)
        else:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"unexpected reply {self._quote(line)}")

    def _greeted(self, line: bytes) -> None:
        word = line[2:].split(b" ", 1)[0].upper() if line.startswith(b"* ") else b""
        if word == b"BYE":
            self._fail(FailureKind.BACKEND_UNREACHABLE, f"backend said {self._quote(line)}")
        elif word == b"PREAUTH":
            # We would be whoever the backend takes us for (RFC 9051 section 7.1.4).
            self._fail(FailureKind.BACKEND_MISBEHAVED, "backend greeted with PREAUTH")
        elif word != b"OK":
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"greeting is not IMAP: {self._quote(line)}")
        elif self._starttls:
            self._command(State.STARTTLS, b"STARTTLS")
        else:
            self._capabilities = syntax.capabilities_in(line)
            self._log_in_or_ask()

    def _continued(self, text: bytes) -> None:
        if self._state is State.SASL_EXCHANGE:
            self._challenged(text)
        elif self._state is State.LOGIN and self._segments:
            self._events.append(self._segments.pop(0))
        else:
            self._fail(FailureKind.BACKEND_MISBEHAVED, "continuation without a reason")

    def _untagged_line(self, line: bytes, reply: Command) -> None:
        capabilities = syntax.capabilities_in(line)
        if capabilities is not None:
            self._capabilities = capabilities
        self._untagged_octets += len(reply.raw)
        if line[2:6].upper() in (b"BYE", b"BYE "):
            self._fail(FailureKind.BACKEND_UNREACHABLE, f"backend said {self._quote(line)}")
        elif self._untagged_octets > REPLY_LIMIT:
            self._fail(FailureKind.BACKEND_MISBEHAVED, "too many untagged lines")
        elif self._state not in (State.STARTTLS, State.CAPABILITY, State.ID):
            is_list = capabilities is not None
            raw = syntax.without_unauthenticate(reply.raw) if is_list else reply.raw
            self._untagged.append(raw)

    def _completed(self, tagged: syntax.Tagged) -> None:
        ok = tagged.status == "OK"
        if self._state is State.STARTTLS:
            if ok:
                self._start_tls()
            else:
                self._fail(
                    FailureKind.BACKEND_UNTRUSTED, f"STARTTLS refused: {self._quote(tagged.words)}"
                )
        elif self._state is State.CAPABILITY:
            self._capabilities = self._capabilities or frozenset()
            self._log_in_or_ask()
        elif self._state is State.ID:
            # Whatever the backend makes of it: it was told.
            self._log_in_or_ask()
        elif self._state is State.CAPABILITY_AFTER_LOGIN:
            self._finish()
        elif ok:
            self._logged_in(tagged)
        else:
            self._refused(tagged)

    # -- logging in ----------------------------------------------------------------------

    def _log_in_or_ask(self) -> None:
        if self._capabilities is None:
            self._command(State.CAPABILITY, b"CAPABILITY")
        elif not self._secure:
            self._fail(
                FailureKind.BACKEND_UNTRUSTED,
                "credentials would leave without TLS: set tls, or allow_plaintext_auth",
            )
        elif self.announcement is not None and b"ID" in self._capabilities:
            told, self.announcement = self.announcement, None
            self._command(State.ID, b"ID " + identity.arguments(told))
        else:
            self._log_in(self._capabilities)

    def _log_in(self, capabilities: frozenset[bytes]) -> None:
        login = self._require_login()
        self._capabilities = None

        def offers(mechanism: str) -> bool:
            return b"AUTH=" + mechanism.encode() in capabilities

        mechanism = self._exchange.choose(offers)
        if mechanism != login.mechanism and self._can_use_login(login, capabilities):
            self._login_command(login, capabilities)
        elif mechanism is not None:
            self._authenticate(mechanism, b"SASL-IR" in capabilities)
        else:
            self._incapable(offers)

    def _can_use_login(self, login: Login, capabilities: frozenset[bytes]) -> bool:
        return self._fits_password_command(login) and b"LOGINDISABLED" not in capabilities

    def _authenticate(self, mechanism: str, has_initial: bool) -> None:
        command = b"AUTHENTICATE " + mechanism.encode()
        initial = self._exchange.initial(INITIAL_RESPONSE_ROOM) if has_initial else None
        if initial is not None:
            command += b" " + initial
        self._command(State.SASL_EXCHANGE, command)

    def _login_command(self, login: Login, capabilities: frozenset[bytes]) -> None:
        credentials = plain.decode(login.initial_response or b"")
        text = b"LOGIN"
        segments = []
        for value in (credentials.identity.authcid.encode(), credentials.secret):
            text += b" "
            if quotable(value):
                text += quoted(value)
                continue
            fits = b"LITERAL-" in capabilities and len(value) <= NON_SYNCHRONIZING_LIMIT
            if fits or b"LITERAL+" in capabilities:
                text += b"{%d+}\r\n" % len(value) + value
            else:
                segments.append(text + b"{%d}" % len(value))
                text = value
        first, *rest = [*segments, text]
        self._segments = [Write(segment + b"\r\n") for segment in rest]
        self._command(State.LOGIN, first)

    def _logged_in(self, tagged: syntax.Tagged) -> None:
        unfinished = self._state is State.SASL_EXCHANGE and not self._exchange.complete
        if self._segments or unfinished:
            # Nobody's credentials were seen: whose mail would this be?
            self._fail(FailureKind.BACKEND_MISBEHAVED, "OK to an unfinished login")
            return
        is_told = tagged.words and tagged.code != b"REFERRAL"
        self._accepted_words = tagged.words if is_told else b"Logged in"
        listed = syntax.capabilities_in(b"* OK " + tagged.words)
        if listed is not None:
            self._accepted_words = syntax.without_unauthenticate(tagged.words)
        if listed is None and self._capabilities is None:
            # The client may rely on the greeting's list for ever: get it the backend's own.
            self._command(State.CAPABILITY_AFTER_LOGIN, b"CAPABILITY")
        else:
            self._finish()

    def _finish(self) -> None:
        self._accept(Accepted((self._accepted_words,), tuple(self._untagged)))

    def _refused(self, tagged: syntax.Tagged) -> None:
        said = f"backend answered {tagged.status} {self._quote(tagged.words)}"
        if tagged.status == "BAD":
            self._fail(FailureKind.BACKEND_MISBEHAVED, said)
            return
        kind = FailureKind.CREDENTIALS_REJECTED
        if tagged.code in _TEMPORARY_CODES:
            kind = FailureKind.BACKEND_BUSY
        elif tagged.code in _POLICY_CODES:
            kind = FailureKind.BACKEND_REFUSED
        # A referral tells of hosts that are none of the client's.
        words = (tagged.words,) if tagged.words and tagged.code != b"REFERRAL" else ()
        self._reject(Failure(kind, said), words, tuple(self._untagged))

    # -- writing -------------------------------------------------------------------------

    @property
    def _tag(self) -> bytes:
        return b"mr%d" % self._tag_number

    def _command(self, state: State, text: bytes) -> None:
        self._state = state
        self._tag_number += 1
        self._write(self._tag + b" " + text + b"\r\n")

    def _write_response(self, text: bytes) -> None:
        self._write(text + b"\r\n")

    def _forget(self) -> None:
        self._framing.forget()
        self._capabilities = None
        self._command(State.CAPABILITY, b"CAPABILITY")

    def _drop_login(self) -> None:
        super()._drop_login()
        self._segments = []
