"""IMAP towards the client: from the greeting to the login (RFC 9051 sections 3.1, 6.1, 6.2).

Beyond the RFC's own commands it knows ID (RFC 2971), SASL-IR (RFC 4959) and, within the bounds
of LITERAL- (RFC 7888), non-synchronizing literals.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from mailroute.events import Accepted, Rejected
from mailroute.imap import identity, replies, syntax
from mailroute.offer import Offer, Policy
from mailroute.route import Introduction
from mailroute.sasl.mechanism import BadMessage
from mailroute.sasl.plain import password_login
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue
from mailroute.wire.framing import CommandFraming, LineTooLong
from mailroute.wire.strings import BadSyntax, Command, LiteralHead

DEFAULT_ADVERTISE = ("IMAP4rev1", "SASL-IR", "LITERAL-", "ID")
_REVISIONS = frozenset({"IMAP4REV1", "IMAP4REV2"})
NON_SYNCHRONIZING_LIMIT = 4096
"""RFC 7888 section 5: what LITERAL- allows."""


@dataclass(frozen=True)
class Greeting:
    """What an operator may say about this server."""

    banner: bytes = replies.DEFAULT_BANNER
    advertise: tuple[str, ...] = DEFAULT_ADVERTISE

    @cached_property
    def extensions(self) -> frozenset[str]:
        """What is advertised, in upper case: the gates ask it too."""
        return frozenset(name.upper() for name in self.advertise)


@dataclass(frozen=True, slots=True)
class _Verb:
    run: Callable[[ImapServer, Command], None]
    allowed: Callable[[ImapServer], bytes | None]
    """None when the command may be used now, else the refusal behind the tag."""
    has_literals: bool = False


class ImapServer(ServerDialogue):
    """The server's side of IMAP until the streams are joined."""

    _id_fields: tuple[tuple[bytes, bytes | None], ...] = ()

    def __init__(self, policy: Policy, secure: bool, max_attempts: int, greeting: Greeting) -> None:
        super().__init__(policy, secure, max_attempts)
        self._greeting = greeting
        self._extensions = greeting.extensions
        self._framing = CommandFraming(self._buffer)
        self._tag = b"*"

    @property
    def introduction(self) -> Introduction:
        """The client's ID, the latest if it gave several."""
        return identity.introduction(self._id_fields)

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        if self._exchange is not None:
            return self._exchange_line(self._exchange)
        if not self._framing.started and self._is_foreign():
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
        else:
            self._command(unit)
        return True

    def _limit(self) -> int:
        """AUTHENTICATE may carry a whole token; everything else is a short command."""
        return SASL_LINE_LIMIT if syntax.is_authenticate(self._peek()) else COMMAND_LIMIT

    def _peek(self) -> bytes:
        source = self._framing if self._framing.started else self._buffer
        return source.peek(syntax.START_OCTETS)

    def _literal(self, head: LiteralHead) -> None:
        """Decide on a literal by its announced size, before an octet of it is read."""
        start = syntax.start_of(self._peek())
        verb = _VERBS.get(start.verb)
        fits = self._framing.gathered + head.size < COMMAND_LIMIT
        if not head.synchronizing:
            self._non_synchronizing(head, fits)
            return
        refusal = verb.allowed(self) if verb else None
        if start.tag and verb and verb.has_literals and fits and refusal is None:
            self._framing.accept(head)
            self._write(b"+ OK\r\n")
            return
        self._framing.forget()
        self._tag = start.tag or b"*"
        if refusal is not None:
            self._refuse(refusal)
        else:
            self._bad(b"Literal too long." if verb and verb.has_literals else b"No literal here.")

    def _non_synchronizing(self, head: LiteralHead, fits: bool) -> None:
        """Its octets come in any case: they are gathered, or the connection ends."""
        bounded = "LITERAL-" in self._extensions and head.size <= NON_SYNCHRONIZING_LIMIT
        if fits and (bounded or "LITERAL+" in self._extensions):
            self._framing.accept(head)
        else:
            self._end("literal-too-long")

    def _command(self, command: Command) -> None:
        start = syntax.start_of(command.text)
        self._tag = start.tag or b"*"
        verb = _VERBS.get(start.verb)
        if not start.tag:
            self._bad(b"Invalid tag.")
        elif verb is None:
            self._bad(b"Unknown command, or one that needs a login first.")
        elif (refusal := verb.allowed(self)) is not None:
            self._refuse(refusal)
        else:
            self._run(verb, syntax.arguments_of(command))

    def _run(self, verb: _Verb, command: Command) -> None:
        try:
            verb.run(self, command)
        except BadSyntax as bad:
            self._bad(str(bad).encode() + b".")

    # -- commands ------------------------------------------------------------------------

    def _capability(self, command: Command) -> None:
        command.end()
        self._write(b"* CAPABILITY " + self._capabilities() + b"\r\n")
        self._reply(b"OK Capability completed.")

    def _noop(self, command: Command) -> None:
        command.end()
        self._reply(b"OK NOOP completed.")

    def _logout(self, command: Command) -> None:
        command.end()
        self._write(replies.LOGOUT_BYE)
        self._reply(b"OK Logout completed.")
        self._close("logout")

    def _id(self, command: Command) -> None:
        self._id_fields = syntax.id_fields(command)
        self._write(b"* ID NIL\r\n")
        self._reply(b"OK ID completed.")

    def _starttls(self, command: Command) -> None:
        command.end()
        self._start_tls(self._tag + b" OK Begin TLS negotiation now.\r\n")

    def _login(self, command: Command) -> None:
        command.space()
        name = command.astring()
        command.space()
        secret = command.astring()
        command.end()
        try:
            self._ask_for_login(password_login(name, secret))
        except BadMessage as bad:
            self._bad(str(bad).encode() + b".")

    def _authenticate(self, command: Command) -> None:
        command.space()
        name = command.atom()
        initial = None
        if not command.at_end():
            if "SASL-IR" not in self._extensions:
                raise BadSyntax("Initial response is not supported")
            command.space()
            initial = command.text[command.position :]
            if not initial:
                raise BadSyntax("Empty initial response is written as =")
        mechanism = self._offer.mechanism(name.decode("ascii"))
        if mechanism is not None:
            self._begin_exchange(mechanism, initial)
        elif self._offer.needs_tls:
            self._refuse(_NEEDS_TLS)
        else:
            self._refuse(b"NO [CANNOT] Unsupported authentication mechanism.")

    # -- gates: the same answers that the capability list gives ----------------------------

    def _always(self) -> bytes | None:
        return None

    def _id_offered(self) -> bytes | None:
        return None if "ID" in self._extensions else b"BAD ID is not supported."

    def _starttls_offered(self) -> bytes | None:
        return None if self._offer.starttls else b"BAD STARTTLS is not available now."

    def _login_offered(self) -> bytes | None:
        if self._offer.passwords:
            return None
        return _NEEDS_TLS if self._offer.needs_tls else b"NO [CANNOT] LOGIN is disabled."

    def _capabilities(self) -> bytes:
        return _capability_list(self._greeting, self._offer)

    # -- replies -------------------------------------------------------------------------

    def _greet(self) -> None:
        capabilities = b"[CAPABILITY " + self._capabilities() + b"] "
        self._write(b"* OK " + capabilities + self._greeting.banner + b"\r\n")

    def _goodbye(self, why: str) -> None:
        self._write(replies.goodbye(why))

    def _reply(self, words: bytes) -> None:
        self._write(self._tag + b" " + words + b"\r\n")

    def _bad(self, words: bytes) -> None:
        self._refuse(b"BAD " + words)

    def _refuse(self, words: bytes) -> None:
        self._reply(words)
        self._count_bad_command()

    def _write_challenge(self, text: bytes) -> None:
        self._write(b"+ " + text + b"\r\n")

    def _write_sasl_error(self, reason: str) -> None:
        self._reply(b"BAD " + reason.encode() + b".")

    def _write_sasl_cancelled(self) -> None:
        self._reply(b"BAD Authentication cancelled.")

    def _write_accepted(self, verdict: Accepted) -> None:
        for line in verdict.untagged:
            self._write(line + b"\r\n")
        words = verdict.words[0] if verdict.words else b"Logged in"
        self._reply(b"OK " + words)

    def _write_rejected(self, verdict: Rejected) -> None:
        for line in verdict.untagged:
            self._write(line + b"\r\n")
        if verdict.words and verdict.words[0][:7].upper() == b"[ALERT]":
            # The user has to see it (RFC 9051 section 7.1); the tagged reply has a code of ours.
            self._write(b"* NO " + verdict.words[0] + b"\r\n")
        self._reply(b"NO " + replies.rejection(verdict))

    def _forget(self) -> None:
        self._framing.forget()
        self._exchange = None
        self._id_fields = ()


@lru_cache(maxsize=64)
def _capability_list(greeting: Greeting, offer: Offer) -> bytes:
    """Made once for each listener, before and after the handshake."""
    names = list(greeting.advertise)
    if not greeting.extensions & _REVISIONS:
        # RFC 3501 section 7.2.1: it must be there, and clients hang up where it is not.
        names.insert(0, "IMAP4rev1")
    if offer.starttls:
        names.append("STARTTLS")
    if not offer.passwords:
        names.append("LOGINDISABLED")
    names += [f"AUTH={mechanism.name}" for mechanism in offer.mechanisms]
    return " ".join(names).encode("ascii")


_NEEDS_TLS = b"NO [PRIVACYREQUIRED] Use STARTTLS first."

_VERBS: dict[str, _Verb] = {
    "CAPABILITY": _Verb(ImapServer._capability, ImapServer._always),
    "NOOP": _Verb(ImapServer._noop, ImapServer._always),
    "LOGOUT": _Verb(ImapServer._logout, ImapServer._always),
    "ID": _Verb(ImapServer._id, ImapServer._id_offered, has_literals=True),
    "STARTTLS": _Verb(ImapServer._starttls, ImapServer._starttls_offered),
    "LOGIN": _Verb(ImapServer._login, ImapServer._login_offered, has_literals=True),
    "AUTHENTICATE": _Verb(ImapServer._authenticate, ImapServer._always),
}
