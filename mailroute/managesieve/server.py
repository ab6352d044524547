"""ManageSieve towards the client: from the greeting to the login (RFC 5804 sections 1.7, 2).

The capabilities are said three times: as the greeting, as the answer to CAPABILITY, and without
being asked behind the handshake of STARTTLS (section 2.2).  Behind a login they are not (section
2.1 wants that only of a security layer): who asks then asks the backend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from mailroute.events import Accepted, Rejected
from mailroute.managesieve import replies, syntax
from mailroute.managesieve.syntax import string
from mailroute.offer import Offer, Policy
from mailroute.sasl.exchange import ServerExchange
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue
from mailroute.wire.framing import CommandFraming, LineTooLong
from mailroute.wire.strings import BadSyntax, Command, LiteralHead

DEFAULT_IMPLEMENTATION = "mailroute"
DEFAULT_SIEVE = (
    "fileinto",
    "envelope",
    "vacation",
    "imap4flags",
    "subaddress",
    "relational",
    "copy",
    "body",
    "variables",
)
"""Extensions of Sieve that the servers in use have; behind a login the backend says its own."""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What an operator may say about this server."""

    banner: bytes = replies.DEFAULT_BANNER
    implementation: str = DEFAULT_IMPLEMENTATION
    sieve: tuple[str, ...] = DEFAULT_SIEVE


@dataclass(frozen=True, slots=True)
class _Verb:
    run: Callable[[ManageSieveServer, Command], None]
    allowed: Callable[[ManageSieveServer], bytes | None]
    """None when the command may be used now, else the whole refusal."""


class ManageSieveServer(ServerDialogue):
    """The server's side of ManageSieve until the streams are joined."""

    def __init__(self, policy: Policy, secure: bool, max_attempts: int, greeting: Greeting) -> None:
        super().__init__(policy, secure, max_attempts)
        self._greeting = greeting
        self._framing = CommandFraming(self._buffer)

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        if self._exchange is None and not self._framing.started and self._is_foreign():
            return False
        try:
            unit = self._framing.next(self._limit())
        except LineTooLong:
            self._end("line-too-long")
            return False
        if unit is None:
            return False
        if isinstance(unit, LiteralHead):
            self._literal(unit)
        elif self._exchange is not None:
            self._response(self._exchange, unit)
        else:
            self._command(unit)
        return True

    def _limit(self) -> int:
        """AUTHENTICATE and a response may carry a whole token; the rest are short commands."""
        if self._exchange is not None:
            return SASL_LINE_LIMIT
        source = self._framing if self._framing.started else self._buffer
        is_long = syntax.is_authenticate(source.peek(syntax.START_OCTETS))
        return SASL_LINE_LIMIT if is_long else COMMAND_LIMIT

    def _literal(self, head: LiteralHead) -> None:
        """Decide on a literal by its announced size; its octets come in any case.

        So they are gathered, whatever the command, or the connection ends: they must never be
        read as commands.
        """
        if head.synchronizing:
            self._end("synchronizing-literal")
        elif self._framing.gathered + head.size < self._limit():
            self._framing.accept(head)
        else:
            self._end("literal-too-long")

    def _response(self, running: ServerExchange, line: Command) -> None:
        try:
            text = syntax.only_string(line)
        except BadSyntax as bad:
            self._malformed_response(running, str(bad))
        else:
            self._exchange_text(running, text)

    def _command(self, command: Command) -> None:
        verb = _VERBS.get(syntax.verb_of(command))
        if verb is None:
            self._bad(b"Unknown command, or one that needs a login first.")
        elif (refusal := verb.allowed(self)) is not None:
            self._refuse(refusal)
        else:
            self._run(verb, command)

    def _run(self, verb: _Verb, command: Command) -> None:
        try:
            verb.run(self, command)
        except BadSyntax as bad:
            self._bad(str(bad).encode() + b".")

    # -- commands ------------------------------------------------------------------------

    def _capability(self, command: Command) -> None:
        command.end()
        self._capabilities(b"Capability completed.")

    def _noop(self, command: Command) -> None:
        """Section 2.13: the client's string comes back, so that it can tell where it is."""
        code = b""
        if not command.at_end():
            command.space()
            code = b"TAG " + string(command.string())
        command.end()
        self._ok(b"Done.", code)

    def _logout(self, command: Command) -> None:
        command.end()
        self._ok(b"Logout completed.")
        self._close("logout")

    def _starttls(self, command: Command) -> None:
        command.end()
        self._start_tls(replies.line(b"OK", b"Begin TLS negotiation now."))

    def _authenticate(self, command: Command) -> None:
        command.space()
        name = command.string()
        initial = None
        if not command.at_end():
            command.space()
            initial = command.string()
        command.end()
        mechanism = self._offer.mechanism(name.decode("ascii", "replace"))
        if mechanism is not None:
            self._begin_exchange(mechanism, initial)
        elif self._offer.needs_tls:
            self._refuse(_NEEDS_TLS)
        else:
            self._bad(b"Unsupported authentication mechanism.")

    # -- gates: the same answers that the capability list gives ----------------------------

    def _always(self) -> bytes | None:
        return None

    def _starttls_offered(self) -> bytes | None:
        return None if self._offer.starttls else _NO_STARTTLS

    # -- replies -------------------------------------------------------------------------

    def _greet(self) -> None:
        self._capabilities(self._greeting.banner)

    def _capabilities(self, words: bytes) -> None:
        self._write(_capability_list(self._greeting, self._offer))
        self._ok(words)

    def _goodbye(self, why: str) -> None:
        self._write(replies.goodbye(why))

    def _ok(self, words: bytes, code: bytes = b"") -> None:
        self._write(replies.line(b"OK", words, code))

    def _bad(self, words: bytes) -> None:
        self._refuse(replies.line(b"NO", words))

    def _refuse(self, reply: bytes) -> None:
        self._write(reply)
        self._count_bad_command()

    def _write_challenge(self, text: bytes) -> None:
        self._write(string(text) + b"\r\n")

    def _write_sasl_error(self, reason: str) -> None:
        self._write(replies.line(b"NO", reason.encode() + b"."))

    def _write_sasl_cancelled(self) -> None:
        self._write(replies.line(b"NO", b"Authentication cancelled."))

    def _write_accepted(self, verdict: Accepted) -> None:
        self._write(replies.acceptance(verdict))

    def _write_rejected(self, verdict: Rejected) -> None:
        self._write(replies.rejection(verdict))

    def _forget(self) -> None:
        """Section 2.2: behind the handshake the capabilities are said anew, unasked."""
        self._exchange = None
        self._capabilities(b"TLS negotiation successful.")


@lru_cache(maxsize=64)
def _capability_list(greeting: Greeting, offer: Offer) -> bytes:
    """Made once for each listener, before and after the handshake (section 1.7)."""
    values = {
        "IMPLEMENTATION": greeting.implementation,
        "SASL": " ".join(mechanism.name for mechanism in offer.mechanisms),
        "SIEVE": " ".join(greeting.sieve),
    }
    lines = [b'"%s" %s\r\n' % (n.encode(), string(v.encode())) for n, v in values.items()]
    if offer.starttls:
        lines.append(b'"STARTTLS"\r\n')
    return b"".join([*lines, b'"VERSION" "1.0"\r\n'])


_NEEDS_TLS = replies.line(b"NO", b"Use STARTTLS first.", b"ENCRYPT-NEEDED")
_NO_STARTTLS = replies.line(b"NO", b"STARTTLS is not available now.")

_VERBS: dict[str, _Verb] = {
    "CAPABILITY": _Verb(ManageSieveServer._capability, ManageSieveServer._always),
    "NOOP": _Verb(ManageSieveServer._noop, ManageSieveServer._always),
    "LOGOUT": _Verb(ManageSieveServer._logout, ManageSieveServer._always),
    "STARTTLS": _Verb(ManageSieveServer._starttls, ManageSieveServer._starttls_offered),
    "AUTHENTICATE": _Verb(ManageSieveServer._authenticate, ManageSieveServer._always),
}
