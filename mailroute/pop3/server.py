"""POP3 towards the client: from the greeting to the login (RFC 1939 section 4).

Beyond the RFC's own commands it knows CAPA (RFC 2449), STLS (RFC 2595) and AUTH (RFC 5034), and
answers NOOP, which some clients send before they log in.  APOP and UTF8 are no commands here:
the first is a proof to one server's banner, the second a mode that the backend would not know of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailroute.events import Accepted, Rejected
from mailroute.offer import Policy
from mailroute.pop3 import replies, syntax
from mailroute.pop3.syntax import BadSyntax, Request
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.plain import password_login
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue

CAPABILITIES = (b"TOP", b"UIDL", b"RESP-CODES", b"AUTH-RESP-CODE", b"PIPELINING")
"""What is true on every channel.  TOP and UIDL are the backend's, and every backend has them;
RFC 2449 section 6 wants them announced before the login too, and clients ask only then."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an operator may say about this server."""

    banner: bytes = replies.DEFAULT_BANNER
    capabilities: tuple[bytes, ...] = CAPABILITIES
    """Those that do not depend on the channel."""


@dataclass(frozen=True, slots=True)
class _Verb:
    run: Callable[[Pop3Server, Request], None]
    allowed: Callable[[Pop3Server], bytes | None]
    """None when the command may be used now, else the refusal behind -ERR."""


class Pop3Server(ServerDialogue):
    """The server's side of POP3's AUTHORIZATION state."""

    def __init__(self, policy: Policy, secure: bool, max_attempts: int, greeting: Greeting) -> None:
        super().__init__(policy, secure, max_attempts)
        self._greeting = greeting
        self._name: bytes | None = None
        """What the last USER said, until a PASS, an AUTH or a handshake."""

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        if self._exchange is not None:
            return self._exchange_line(self._exchange)
        if self._is_foreign():
            return False
        line = self._take_line(self._line_limit())
        if line is None:
            return False
        self._request(syntax.request_of(line))
        return True

    def _line_limit(self) -> int:
        """AUTH may carry a whole token; everything else is a short command."""
        return SASL_LINE_LIMIT if self._buffer.peek(5).upper() == b"AUTH " else COMMAND_LIMIT

    def _request(self, request: Request) -> None:
        verb = _VERBS.get(request.verb)
        if verb is None:
            self._bad(b"Unknown command, or one that needs a login first.")
        elif (refusal := verb.allowed(self)) is not None:
            self._bad(refusal)
        else:
            self._run(verb, request)

    def _run(self, verb: _Verb, request: Request) -> None:
        try:
            verb.run(self, request)
        except (BadSyntax, BadMessage) as bad:
            self._bad(str(bad).encode() + b".")

    # -- commands ------------------------------------------------------------------------

    def _capa(self, request: Request) -> None:
        request.end()
        self._list(b"Capability list follows.", self._capabilities())

    def _noop(self, request: Request) -> None:
        request.end()
        self._ok(b"Nothing done.")

    def _quit(self, request: Request) -> None:
        request.end()
        self._ok(b"Bye.")
        self._close("logout")

    def _stls(self, request: Request) -> None:
        request.end()
        self._start_tls(b"+OK Begin TLS negotiation now.\r\n")

    def _user(self, request: Request) -> None:
        """Any name is welcome: only the password's answer tells, and tells little."""
        if not request.argument:
            raise BadSyntax("Missing argument")
        self._name = request.argument
        self._ok(b"Send your password.")

    def _pass(self, request: Request) -> None:
        name, self._name = self._name, None
        if name is None:
            raise BadSyntax("Send USER first")
        self._ask_for_login(password_login(name, request.argument))

    def _auth(self, request: Request) -> None:
        words = request.words(most=2)
        if not words:
            self._list(b"Mechanisms follow.", self._mechanisms())
            return
        mechanism = self._offer.mechanism(words[0].decode("ascii", "replace"))
        if mechanism is not None:
            self._name = None
            self._begin_exchange(mechanism, words[1] if len(words) > 1 else None)
        elif self._offer.needs_tls:
            self._bad(_NEEDS_TLS)
        else:
            self._bad(b"[SYS/PERM] Unsupported authentication mechanism.")

    # -- gates: the same answers that CAPA gives -------------------------------------------

    def _always(self) -> bytes | None:
        return None

    def _stls_offered(self) -> bytes | None:
        return None if self._offer.starttls else b"STLS is not available now."

    def _passwords_offered(self) -> bytes | None:
        if self._offer.passwords:
            return None
        return _NEEDS_TLS if self._offer.needs_tls else b"[SYS/PERM] USER is disabled."

    def _capabilities(self) -> list[bytes]:
        names = list(self._greeting.capabilities)
        if self._offer.starttls:
            names.append(b"STLS")
        if self._offer.passwords:
            names.append(b"USER")
        if self._offer.mechanisms:
            names.append(b" ".join([b"SASL", *self._mechanisms()]))
        return names

    def _mechanisms(self) -> list[bytes]:
        return [mechanism.name.encode("ascii") for mechanism in self._offer.mechanisms]

    # -- replies -------------------------------------------------------------------------

    def _greet(self) -> None:
        self._ok(replies.greeting(self._greeting.banner))

    def _goodbye(self, why: str) -> None:
        self._write(replies.goodbye(why))

    def _ok(self, words: bytes) -> None:
        self._write(b"+OK " + words + b"\r\n")

    def _list(self, words: bytes, lines: list[bytes]) -> None:
        """A multi-line reply; none of our lines begins with a dot."""
        self._ok(words)
        self._write(b"".join(line + b"\r\n" for line in [*lines, syntax.LIST_END]))

    def _error(self, words: bytes) -> None:
        self._write(b"-ERR " + words + b"\r\n")

    def _bad(self, words: bytes) -> None:
        self._error(words)
        self._count_bad_command()

    def _write_challenge(self, text: bytes) -> None:
        self._write(b"+ " + text + b"\r\n")

    def _write_sasl_error(self, reason: str) -> None:
        self._error(reason.encode() + b".")

    def _write_sasl_cancelled(self) -> None:
        self._error(b"Authentication cancelled.")

    def _write_accepted(self, verdict: Accepted) -> None:
        self._ok(replies.acceptance(verdict))

    def _write_rejected(self, verdict: Rejected) -> None:
        self._error(replies.rejection(verdict))

    def _forget(self) -> None:
        self._exchange = None
        self._name = None


_NEEDS_TLS = b"[SYS/PERM] Use STLS first."

_VERBS: dict[bytes, _Verb] = {
    b"CAPA": _Verb(Pop3Server._capa, Pop3Server._always),
    b"NOOP": _Verb(Pop3Server._noop, Pop3Server._always),
    b"QUIT": _Verb(Pop3Server._quit, Pop3Server._always),
    b"STLS": _Verb(Pop3Server._stls, Pop3Server._stls_offered),
    b"USER": _Verb(Pop3Server._user, Pop3Server._passwords_offered),
    b"PASS": _Verb(Pop3Server._pass, Pop3Server._passwords_offered),
    b"AUTH": _Verb(Pop3Server._auth, Pop3Server._always),
}
