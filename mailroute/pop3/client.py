"""POP3 towards the backend: from its greeting to its verdict on the login.

The way is chosen by what the backend's CAPA lists: AUTH with the client's own mechanism, with or
without an initial response, else USER and PASS, else AUTH LOGIN.  Nothing is asked before a
handshake, so nothing that was said in the clear counts after it.  What follows the final +OK
belongs to the client.
"""

from __future__ import annotations

from enum import Enum

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login
from mailroute.pop3 import syntax
from mailroute.pop3.syntax import Reply
from mailroute.sasl import plain
from mailroute.xclient import dovecot_command

_TEMPORARY_CODES = (b"SYS/TEMP", b"IN-USE", b"LOGIN-DELAY")
_POLICY_CODES = (b"SYS/PERM",)
_WITHOUT_CAPA = {b"USER": frozenset[bytes]()}
"""RFC 1939 alone: such a backend has USER and PASS, or no way in that we know."""


class State(Enum):
    """What the backend owes us; the value completes the sentence "closed while ..."."""

    GREETING = "waiting for the greeting"
    STLS = "waiting for the answer to STLS"
    CAPA = "waiting for the answer to CAPA"
    XCLIENT = "waiting for the answer to XCLIENT"
    CAPA_LIST = "waiting for the end of the capability list"
    USER = "waiting for the answer to USER"
    PASS = "waiting for the answer to PASS"  # noqa: S105
    SASL_EXCHANGE = "waiting for the answer to AUTH"


class Pop3Client(ClientDialogue):
    """The client's side of POP3 until the streams are joined."""

    def __init__(self, login: Login, starttls: bool, secure: bool) -> None:
        super().__init__(login, starttls, secure)
        self._state = State.GREETING
        self._capabilities: dict[bytes, frozenset[bytes]] = {}
        self._list_octets = 0
        self._takes_xclient = False

    def _waiting_for(self) -> str:
        return f"while {self._state.value}"

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        line = self._take_reply_line(REPLY_LIMIT)
        if line is None:
            return False
        if self._state is State.CAPA_LIST:
            self._listed(line)
        elif (reply := syntax.reply_of(line)) is not None:
            self._replied(reply)
        elif self._state is State.SASL_EXCHANGE and (text := syntax.challenge_in(line)) is not None:
            self._challenged(text)
        else:
            said = f"unexpected reply {self._quote(line)} {self._waiting_for()}"
            self._fail(FailureKind.BACKEND_MISBEHAVED, said)
        return True

    def _listed(self, line: bytes) -> None:
        """Take a line of the capability list, or its end (RFC 2449 section 5)."""
        self._list_octets += len(line) + 2
        if self._list_octets > REPLY_LIMIT:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"a list longer than {REPLY_LIMIT} octets")
        elif line == syntax.LIST_END:
            self._log_in()
        else:
            name, *arguments = syntax.unstuffed(line).upper().split() or [b""]
            self._capabilities[name] = frozenset(arguments)

    def _replied(self, reply: Reply) -> None:
        if self._state is State.GREETING:
            self._greeted(reply)
        elif self._state is State.STLS:
            self._upgrade(reply)
        elif self._state is State.CAPA:
            self._capa_answered(reply)
        elif self._state is State.XCLIENT:
            self._told(reply)
        elif not reply.ok:
            self._refused(reply)
        elif self._state is State.USER:
            self._pass()
        elif self._state is State.SASL_EXCHANGE and not self._exchange.complete:
            # Nobody's credentials were seen: whose mail would this be?
            self._fail(FailureKind.BACKEND_MISBEHAVED, "+OK to an unfinished AUTH")
        else:
            self._accept(Accepted((reply.words,) if reply.words else ()))

    def _greeted(self, reply: Reply) -> None:
        if not reply.ok:
            busy = reply.has_code(*_TEMPORARY_CODES)
            kind = FailureKind.BACKEND_BUSY if busy else FailureKind.BACKEND_UNREACHABLE
            self._fail(kind, f"backend greeted with -ERR {self._quote(reply.words)}")
            return
        # Dovecot says so here only: what is said in the clear decides about nothing but this.
        self._takes_xclient = reply.has_code(b"XCLIENT")
        if self._starttls:
            self._command(State.STLS, b"STLS")
        else:
            self._command(State.CAPA, b"CAPA")

    def _upgrade(self, reply: Reply) -> None:
        if reply.ok:
            self._start_tls()
        else:
            self._fail(FailureKind.BACKEND_UNTRUSTED, f"STLS refused: {self._quote(reply.words)}")

    def _capa_answered(self, reply: Reply) -> None:
        if reply.ok:
            self._state = State.CAPA_LIST
        else:
            self._capabilities = dict(_WITHOUT_CAPA)
            self._log_in()

    def _told(self, reply: Reply) -> None:
        if reply.ok:
            self._log_in()
        else:
            self._fail(
                FailureKind.BACKEND_INCAPABLE, f"XCLIENT refused: {self._quote(reply.words)}"
            )

    # -- logging in ----------------------------------------------------------------------

    def _log_in(self) -> None:
        if self.announcement is not None and self._takes_xclient and self._secure:
            told, self.announcement = self.announcement, None
            self._command(State.XCLIENT, dovecot_command(told))
            return
        login = self._require_login()
        if not self._secure:
            self._fail(
                FailureKind.BACKEND_UNTRUSTED,
                "credentials would leave without TLS: set tls, or allow_plaintext_auth",
            )
            return
        mechanism = self._exchange.choose(self._offers)
        if mechanism != login.mechanism and self._can_use_user(login):
            self._user(login)
        elif mechanism is not None:
            self._authenticate(mechanism)
        else:
            self._incapable(self._offers)

    def _offers(self, mechanism: str) -> bool:
        return mechanism.encode() in self._capabilities.get(b"SASL", ())

    def _can_use_user(self, login: Login) -> bool:
        return self._fits_password_command(login) and b"USER" in self._capabilities

    def _authenticate(self, mechanism: str) -> None:
        command = b"AUTH " + mechanism.encode()
        # RFC 5034 section 4: with the initial response the line keeps RFC 2449's limit.
        initial = self._exchange.initial(syntax.COMMAND_LINE_LIMIT - len(command) - 3)
        if initial is not None:
            command += b" " + initial
        self._command(State.SASL_EXCHANGE, command)

    def _user(self, login: Login) -> None:
        """Check both commands before the first octet of either is written."""
        name, secret = self._commands(login)
        if not syntax.fits_user(login.identity.authcid.encode()):
            self._fail(
                FailureKind.NAME_UNUSABLE,
                "a name with a space or a control cannot be sent in USER",
            )
        elif not (syntax.fits_line(name) and syntax.fits_line(secret)):
            self._fail(
                FailureKind.BACKEND_INCAPABLE,
                f"USER and PASS take {syntax.COMMAND_LINE_LIMIT} octets a line and no line end; "
                "the backend offers no SASL PLAIN",
            )
        else:
            self._command(State.USER, name)

    def _pass(self) -> None:
        _, secret = self._commands(self._require_login())
        self._command(State.PASS, secret)

    def _commands(self, login: Login) -> tuple[bytes, bytes]:
        credentials = plain.decode(login.initial_response or b"")
        return b"USER " + credentials.identity.authcid.encode(), b"PASS " + credentials.secret

    def _refused(self, reply: Reply) -> None:
        """RFC 3206: only a code tells trouble and policy from wrong credentials."""
        kind = FailureKind.CREDENTIALS_REJECTED
        if reply.has_code(*_TEMPORARY_CODES):
            kind = FailureKind.BACKEND_BUSY
        elif reply.has_code(*_POLICY_CODES):
            kind = FailureKind.BACKEND_REFUSED
        failure = Failure(kind, f"backend answered -ERR {self._quote(reply.words)}")
        self._reject(failure, (reply.words,) if reply.words else ())

    # -- writing -------------------------------------------------------------------------

    def _command(self, state: State, text: bytes) -> None:
        self._state = state
        self._write(text + b"\r\n")

    def _write_response(self, text: bytes) -> None:
        self._write(text + b"\r\n")

    def _forget(self) -> None:
        """Nothing was asked before STLS, so there is nothing to drop: begin with CAPA."""
        self._command(State.CAPA, b"CAPA")
