"""Submission towards the backend: from its greeting to its verdict on the login.

The way is chosen by what the backend's EHLO advertises: the client's own mechanism, or AUTH LOGIN
for a name and a password.  Nothing that was read before a handshake counts after it (RFC 3207
section 4.2).  Every command of ours is answered before the streams are joined.
"""

from __future__ import annotations

from enum import Enum

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Login
from mailroute.sasl import plain
from mailroute.sasl.mechanism import BadMessage
from mailroute.smtp import syntax
from mailroute.smtp.syntax import Reply, ReplyLine
from mailroute.xclient import COMMAND_OCTETS, is_helo, smtp_commands

_INCAPABLE_CODES = frozenset({500, 502, 503, 504, 530, 538})
"""Replies to AUTH that blame its form, its mechanism or the channel, not the account."""


class State(Enum):
    """What the backend owes us; the value completes the sentence "closed while ..."."""

    GREETING = "waiting for the greeting"
    EHLO = "waiting for the answer to EHLO"
    STARTTLS = "waiting for the answer to STARTTLS"
    XCLIENT = "waiting for the answer to XCLIENT"
    SASL_EXCHANGE = "waiting for the answer to AUTH"


_BEFORE_LOGIN = frozenset({State.GREETING, State.EHLO, State.STARTTLS, State.XCLIENT})


class SmtpClient(ClientDialogue):
    """The client's side of submission until the streams are joined."""

    def __init__(self, login: Login, starttls: bool, secure: bool, hostname: bytes) -> None:
        """``hostname``: what we call ourselves in EHLO."""
        super().__init__(login, starttls, secure)
        self._hostname = hostname
        self._state = State.GREETING
        self._lines: list[ReplyLine] = []
        self._octets = 0
        self._xclient: list[bytes] = []
        """The commands that are left to say."""

    def _waiting_for(self) -> str:
        return f"while {self._state.value}"

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        line = self._take_reply_line(REPLY_LIMIT)
        if line is None:
            return False
        parsed = syntax.reply_line(line)
        self._octets += len(line) + 2
        if parsed is None or (self._lines and self._lines[0].code != parsed.code):
            self._misbehaved(f"not a line of a reply: {self._quote(line)}")
        elif self._octets > REPLY_LIMIT:
            self._misbehaved(f"a reply is longer than {REPLY_LIMIT} octets")
        else:
            self._lines.append(parsed)
            if parsed.is_last:
                self._replied(self._take_reply())
        return True

    def _take_reply(self) -> Reply:
        lines, self._lines, self._octets = self._lines, [], 0
        return Reply(lines[0].code, tuple(line.text for line in lines))

    def _replied(self, reply: Reply) -> None:
        if self._state in _BEFORE_LOGIN and reply.code == 421:
            self._fail(FailureKind.BACKEND_UNREACHABLE, self._said(reply))
        elif self._state is State.GREETING:
            self._greeted(reply)
        elif self._state is State.EHLO:
            self._introduced(reply)
        elif self._state is State.STARTTLS:
            self._tls_answered(reply)
        elif self._state is State.XCLIENT:
            self._told(reply)
        elif reply.code == 334 and len(reply.texts) == 1:
            self._challenged(reply.texts[0].strip(b" "))
        elif reply.code == 235 and self._exchange.complete:
            self._accept(Accepted(reply.lines))
        else:
            self._refused(reply)

    def _greeted(self, reply: Reply) -> None:
        if reply.code == 220:
            self._introduce()
        elif reply.code >= 400:
            # RFC 5321 section 3.1: the backend serves nobody, so this is not about the account.
            self._fail(FailureKind.BACKEND_UNREACHABLE, self._said(reply))
        else:
            self._misbehaved(self._said(reply))

    def _introduced(self, reply: Reply) -> None:
        if reply.code == 250:
            self._choose(syntax.extensions(reply))
        else:
            # HELO would be understood, but AUTH is an extension.
            self._not_done(reply, self._said(reply))

    def _told(self, reply: Reply) -> None:
        if reply.code == 220:
            # The session begins anew, as the client's.
            self._introduce()
        else:
            self._not_done(reply, f"XCLIENT refused: {self._said(reply)}")

    def _not_done(self, reply: Reply, reason: str) -> None:
        if reply.code >= 500:
            self._fail(FailureKind.BACKEND_INCAPABLE, reason)
        elif reply.code >= 400:
            self._fail(FailureKind.BACKEND_BUSY, reason)
        else:
            self._misbehaved(reason)

    def _tls_answered(self, reply: Reply) -> None:
        if reply.code == 220:
            self._start_tls()
        else:
            self._fail(FailureKind.BACKEND_UNTRUSTED, f"STARTTLS refused: {self._said(reply)}")

    # -- logging in ----------------------------------------------------------------------

    def _choose(self, offered: syntax.Extensions) -> None:
        if self._starttls and offered.starttls:
            self._command(State.STARTTLS, b"STARTTLS")
        elif self._starttls:
            self._fail(FailureKind.BACKEND_UNTRUSTED, "backend does not offer STARTTLS")
        elif not self._secure:
            self._fail(
                FailureKind.BACKEND_UNTRUSTED,
                "credentials would leave without TLS: set tls, or allow_plaintext_auth",
            )
        elif not self._tells(offered.xclient):
            self._log_in(offered.mechanisms)

    def _tells(self, offered: frozenset[bytes]) -> bool:
        """Say the next XCLIENT, if there is one."""
        told = self.announcement
        if told is not None and (commands := smtp_commands(told, offered)):
            self._xclient, self.announcement = commands, None
            name = told.origin.introduction.name
            if b"HELO" in offered and is_helo(name):
                # Else the next EHLO would undo what XCLIENT has said.
                self._hostname = name
        if not self._xclient:
            return False
        self._command(State.XCLIENT, self._xclient.pop(0))
        return True

    def _log_in(self, mechanisms: frozenset[str]) -> None:
        login = self._require_login()
        try:
            if login.mechanism == "PLAIN":
                plain.decode(login.initial_response or b"")
            mechanism = self._exchange.choose(mechanisms.__contains__)
        except BadMessage as bad:
            self._fail(FailureKind.NAME_UNUSABLE, f"credentials cannot be sent: {bad}")
            return
        if mechanism is None:
            self._incapable(mechanisms.__contains__)
        else:
            self._authenticate(mechanism)

    def _authenticate(self, mechanism: str) -> None:
        command = b"AUTH " + mechanism.encode()
        initial = self._exchange.initial(COMMAND_OCTETS - len(command) - len(b" \r\n"))
        if initial is not None:
            command += b" " + initial
        self._command(State.SASL_EXCHANGE, command)

    def _refused(self, reply: Reply) -> None:
        if reply.code < 400:
            self._misbehaved(self._said(reply))
            return
        kind = FailureKind.BACKEND_REFUSED
        if reply.code == 535:
            kind = FailureKind.CREDENTIALS_REJECTED
        elif reply.code in _INCAPABLE_CODES:
            kind = FailureKind.BACKEND_INCAPABLE
        elif reply.code < 500:
            kind = FailureKind.BACKEND_BUSY
        self._reject(Failure(kind, self._said(reply)), reply.lines)

    # -- writing -------------------------------------------------------------------------

    def _introduce(self) -> None:
        self._command(State.EHLO, b"EHLO " + self._hostname)

    def _command(self, state: State, text: bytes) -> None:
        self._state = state
        self._write(text + b"\r\n")

    def _write_response(self, text: bytes) -> None:
        self._write(text + b"\r\n")

    def _misbehaved(self, reason: str) -> None:
        self._fail(FailureKind.BACKEND_MISBEHAVED, reason)

    def _said(self, reply: Reply) -> str:
        return f"backend answered {reply.code} {self._quote(reply.texts[-1])}"

    def _forget(self) -> None:
        self._introduce()
