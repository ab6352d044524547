"""Submission towards the client: from the greeting to AUTH (RFC 5321, RFC 6409, RFC 4954).

What needs a login is refused with 530 before it, also where the client has pipelined it
(RFC 2920).  The octets of a premature BDAT come in any case (RFC 3030 section 4.2): they are
counted and dropped, so that none of them is taken for a command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from mailroute.events import Accepted, Rejected
from mailroute.offer import Policy
from mailroute.route import Introduction
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue
from mailroute.smtp import replies, syntax
from mailroute.smtp.syntax import Command
from mailroute.wire.strings import BadSyntax

DEFAULT_EHLO = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE")
CHUNK_LIMIT = 64 * 1024 * 1024
"""Octets of a premature BDAT that are read in order to be dropped."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an operator may say about this server."""

    hostname: bytes
    banner: bytes = replies.DEFAULT_BANNER
    ehlo: tuple[str, ...] = DEFAULT_EHLO


class State(Enum):
    """How the client has introduced itself (RFC 5321 section 4.1.4)."""

    CONNECTED = "not yet, or only before the handshake"
    HELO = "without extensions: AUTH is one"
    EHLO = "with extensions"


@dataclass(frozen=True, slots=True)
class _Verb:
    run: Callable[[SmtpServer, Command], None]
    allowed: Callable[[SmtpServer], bytes | None]
    """None when the command may be used now, else the reply that refuses it."""


class SmtpServer(ServerDialogue):
    """The server's side of submission until the streams are joined."""

    _client_name = b""

    def __init__(self, policy: Policy, secure: bool, max_attempts: int, greeting: Greeting) -> None:
        super().__init__(policy, secure, max_attempts)
        self._greeting = greeting
        self._state = State.CONNECTED
        self._chunk_octets: int | None = None

    @property
    def introduction(self) -> Introduction:
        """The name that the client gave itself."""
        return Introduction(name=self._client_name)

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        if self._exchange is not None:
            return self._exchange_line(self._exchange)
        if self._chunk_octets is not None:
            return self._drop_chunk(self._chunk_octets)
        if self._is_foreign():
            return False
        line = self._take_line(self._line_limit())
        if line is None:
            return False
        self._command(syntax.command(line))
        return True

    def _line_limit(self) -> int:
        """AUTH may carry a whole token (RFC 4954 section 4.5); the rest are short commands."""
        is_sasl = self._buffer.peek(5).upper() == b"AUTH "
        return SASL_LINE_LIMIT if is_sasl else COMMAND_LIMIT

    def _drop_chunk(self, octets: int) -> bool:
        """Drop what is there of a chunk and answer its BDAT at the end; False to wait for more."""
        octets -= self._buffer.skip(octets)
        self._chunk_octets = octets or None
        if octets:
            return False
        self._refuse(self._login_first())
        return True

    def _command(self, command: Command) -> None:
        verb = _VERBS.get(command.verb)
        if verb is None:
            self._refuse(replies.UNKNOWN_COMMAND)
        elif (refusal := verb.allowed(self)) is not None:
            self._refuse(refusal)
        else:
            try:
                verb.run(self, command)
            except BadSyntax as bad:
                self._refuse(replies.BAD_ARGUMENT + str(bad).encode())

    # -- commands ------------------------------------------------------------------------

    def _ehlo(self, command: Command) -> None:
        command.some_argument()
        self._state = State.EHLO
        self._client_name = command.argument
        self._write(replies.greeting_lines(self._greeting.hostname, self._keywords()))

    def _helo(self, command: Command) -> None:
        command.some_argument()
        self._state = State.HELO
        self._write(replies.greeting_lines(self._greeting.hostname, ()))

    def _starttls(self, command: Command) -> None:
        command.no_argument()
        self._start_tls(replies.READY_FOR_TLS + b"\r\n")

    def _auth(self, command: Command) -> None:
        name, initial = syntax.auth_arguments(command.argument)
        mechanism = self._offer.mechanism(name)
        if mechanism is not None:
            self._begin_exchange(mechanism, initial)
        elif self._offer.needs_tls:
            self._refuse(replies.STARTTLS_FIRST)
        elif any(known.name == name.upper() for known in self._policy.mechanisms):
            self._refuse(replies.MECHANISM_NEEDS_TLS)
        else:
            self._refuse(replies.UNKNOWN_MECHANISM)

    def _noop(self, command: Command) -> None:
        self._reply(replies.OK)

    def _rset(self, command: Command) -> None:
        command.no_argument()
        self._reply(replies.OK)

    def _vrfy(self, command: Command) -> None:
        command.some_argument()
        self._reply(replies.CANNOT_VERIFY)

    def _help(self, command: Command) -> None:
        self._reply(replies.HELP)

    def _quit(self, command: Command) -> None:
        command.no_argument()
        self._reply(replies.BYE)
        self._close("logout")

    def _needs_login(self, command: Command) -> None:
        self._refuse(self._login_first())

    def _bdat(self, command: Command) -> None:
        octets = syntax.chunk_octets(command.argument)
        if octets is None or octets > CHUNK_LIMIT:
            # Where the next command starts is unknown, or too far away.
            self._end("bad-chunk-size")
        else:
            self._chunk_octets = octets

    # -- gates: the same answers that EHLO gives -------------------------------------------

    def _always(self) -> bytes | None:
        return None

    def _starttls_offered(self) -> bytes | None:
        if self._offer.starttls:
            return None
        return replies.TLS_ACTIVE if self._offer.secure else replies.NO_STARTTLS

    def _ehlo_said(self) -> bytes | None:
        return None if self._state is State.EHLO else replies.EHLO_FIRST

    def _login_first(self) -> bytes:
        return replies.STARTTLS_FIRST if self._offer.needs_tls else replies.LOGIN_FIRST

    def _keywords(self) -> tuple[bytes, ...]:
        keywords = list(self._greeting.ehlo)
        if self._offer.starttls:
            keywords.append("STARTTLS")
        if self._offer.mechanisms:
            keywords.append(" ".join(["AUTH", *(m.name for m in self._offer.mechanisms)]))
        return tuple(keyword.encode("ascii") for keyword in keywords)

    # -- replies -------------------------------------------------------------------------

    def _greet(self) -> None:
        self._reply(b"220 " + self._greeting.hostname + b" ESMTP " + self._greeting.banner)

    def _goodbye(self, why: str) -> None:
        self._write(replies.goodbye(why, self._greeting.hostname))

    def _reply(self, line: bytes) -> None:
        self._write(line + b"\r\n")

    def _refuse(self, line: bytes) -> None:
        self._reply(line)
        self._count_bad_command()

    def _write_challenge(self, text: bytes) -> None:
        self._reply(b"334 " + text)

    def _write_sasl_error(self, reason: str) -> None:
        self._reply(replies.BAD_SASL + reason.encode())

    def _write_sasl_cancelled(self) -> None:
        self._reply(replies.CANCELLED)

    def _write_accepted(self, verdict: Accepted) -> None:
        self._write(replies.acceptance(verdict))

    def _write_rejected(self, verdict: Rejected) -> None:
        self._write(replies.rejection(verdict))

    def _forget(self) -> None:
        self._state = State.CONNECTED
        self._exchange = None
        self._client_name = b""


_VERBS: dict[str, _Verb] = {
    "EHLO": _Verb(SmtpServer._ehlo, SmtpServer._always),
    "HELO": _Verb(SmtpServer._helo, SmtpServer._always),
    "STARTTLS": _Verb(SmtpServer._starttls, SmtpServer._starttls_offered),
    "AUTH": _Verb(SmtpServer._auth, SmtpServer._ehlo_said),
    "NOOP": _Verb(SmtpServer._noop, SmtpServer._always),
    "RSET": _Verb(SmtpServer._rset, SmtpServer._always),
    "VRFY": _Verb(SmtpServer._vrfy, SmtpServer._always),
    "HELP": _Verb(SmtpServer._help, SmtpServer._always),
    "QUIT": _Verb(SmtpServer._quit, SmtpServer._always),
    "BDAT": _Verb(SmtpServer._bdat, SmtpServer._always),
    "BURL": _Verb(SmtpServer._needs_login, SmtpServer._always),
    "DATA": _Verb(SmtpServer._needs_login, SmtpServer._always),
    "ETRN": _Verb(SmtpServer._needs_login, SmtpServer._always),
    "EXPN": _Verb(SmtpServer._needs_login, SmtpServer._always),
    "MAIL": _Verb(SmtpServer._needs_login, SmtpServer._always),
    "RCPT": _Verb(SmtpServer._needs_login, SmtpServer._always),
}
