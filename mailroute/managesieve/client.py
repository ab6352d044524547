"""ManageSieve towards the backend: from its greeting to its verdict on the login.

The way is chosen by the list of mechanisms in the backend's greeting, or in the one that it says
unasked behind the handshake (RFC 5804 section 2.2): what stood in the clear is void then.  What
follows the final OK belongs to the client.  A referral is neither followed nor passed on.

Pigeonhole before 2.4 can overlook a command where TLS comes before the greeting, which RFC 5804
does not know: its login process waits for its descriptor to become readable, so octets that it
has read along, while its greeting was being sent, lie in its memory until others follow ("Fix
potential hangs with SSL connections", 2.4.0; then it logs "no auth attempts, method=PLAIN").  A
backend that answers at once, as we do, meets that moment on a loopback once in some hundred
logins.  So there AUTHENTICATE leaves without its initial response, which follows when it is
asked for; or unasked when nothing was heard for a while, which makes the descriptor readable and
is what the backend waits for in either case.  XCLIENT is followed by AUTHENTICATE in this way.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.dialogue import Phase
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Event, Login, Remind
from mailroute.managesieve import syntax
from mailroute.managesieve.syntax import Reply, client_string
from mailroute.sasl import exchange, plain
from mailroute.sasl.mechanism import BadMessage
from mailroute.wire.framing import CommandFraming, LineTooLong
from mailroute.wire.strings import BadSyntax, Command, LiteralHead
from mailroute.xclient import dovecot_command

INITIAL_RESPONSE_ROOM = 8000
"""Octets of an initial response that every server takes in a command; else we wait."""
OVERLOOKED_SECONDS = 0.25
"""For the request for the first message, which takes a backend no lookup."""

_INCAPABLE_CODES = frozenset({b"ENCRYPT-NEEDED"})
"""What blames our channel to the backend, of which the client knows nothing."""
_POLICY_CODES = frozenset({b"AUTH-TOO-WEAK", b"TRANSITION-NEEDED"})
"""What tells the client to take another mechanism: it hears the code itself."""


class State(Enum):
    """What the backend owes us; the value completes the sentence "closed while ..."."""

    GREETING = "waiting for the greeting"
    STARTTLS = "waiting for the answer to STARTTLS"
    CAPABILITIES_AFTER_TLS = "waiting for the capabilities behind the handshake"
    XCLIENT = "waiting for the answer to XCLIENT"
    FIRST_REQUEST = "waiting to be asked for the first message"
    LATE_REQUEST = "waiting for the answer to the first message"
    """It was said unasked: the request for it may still come."""
    LATE_XCLIENT = "waiting for the answers to XCLIENT and AUTHENTICATE"
    SASL_EXCHANGE = "waiting for the answer to AUTHENTICATE"


_LISTING = frozenset({State.GREETING, State.CAPABILITIES_AFTER_TLS})
_EXCHANGE = frozenset({State.FIRST_REQUEST, State.LATE_REQUEST, State.SASL_EXCHANGE})


class ManageSieveClient(ClientDialogue):
    """The client's side of ManageSieve until the streams are joined."""

    def __init__(self, login: Login, starttls: bool, secure: bool) -> None:
        super().__init__(login, starttls, secure)
        self._framing = CommandFraming(self._buffer)
        self._state = State.GREETING
        self._capabilities: dict[bytes, bytes] = {}
        self._list_octets = 0
        self._may_overlook = False
        """Whether a command can be lost on this backend."""

    def reminded(self) -> list[Event]:
        """Nothing was heard of our command: what is due next makes the backend look at it."""
        if self._phase is Phase.TALKING:
            self._go_on_unasked()
        return self._advance()

    def _go_on_unasked(self) -> None:
        if self._state is State.XCLIENT:
            # It tells no secret: that waits for the answer to XCLIENT.
            self._log_in()
            self._state = State.LATE_XCLIENT
        elif self._state is State.FIRST_REQUEST and not self._exchange.complete:
            self._challenged(b"")
            self._state = State.LATE_REQUEST

    def _waiting_for(self) -> str:
        return f"while {self._state.value}"

    # -- consuming -----------------------------------------------------------------------

    def _step(self) -> bool:
        try:
            unit = self._framing.next(REPLY_LIMIT)
        except LineTooLong:
            self._misbehaved(f"a reply is longer than {REPLY_LIMIT} octets")
            return False
        if unit is None:
            return False
        if isinstance(unit, LiteralHead):
            self._literal(unit)
        else:
            self._line(unit)
        return True

    def _literal(self, head: LiteralHead) -> None:
        if self._framing.gathered + head.size >= REPLY_LIMIT:
            self._misbehaved(f"a literal of {head.size} octets")
        else:
            self._framing.accept(head)

    def _line(self, line: Command) -> None:
        try:
            if not syntax.is_string(line):
                self._replied(syntax.reply(line))
            elif self._state in _LISTING:
                self._listed(line)
            elif self._state in _EXCHANGE:
                self._asked(syntax.only_string(line))
            else:
                self._misbehaved(f"a challenge {self._waiting_for()}")
        except BadSyntax as bad:
            said = self._quote(line.raw)
            self._misbehaved(f"unexpected reply {said} {self._waiting_for()}: {bad}")

    def _asked(self, text: bytes) -> None:
        was_late, self._state = self._state is State.LATE_REQUEST, State.SASL_EXCHANGE
        if not was_late:
            self._challenged(text)

    def _listed(self, line: Command) -> None:
        self._list_octets += len(line.raw) + 2
        if self._list_octets > REPLY_LIMIT:
            self._misbehaved(f"a list longer than {REPLY_LIMIT} octets")
            return
        name, value = syntax.capability(line)
        self._capabilities[name] = value

    def _replied(self, reply: Reply) -> None:
        if reply.status == "BYE" or (reply.status == "NO" and self._state in _LISTING):
            # It serves nobody, so this is not about the account.
            busy = reply.code == b"TRYLATER"
            kind = FailureKind.BACKEND_BUSY if busy else FailureKind.BACKEND_UNREACHABLE
            self._fail(kind, self._said(reply))
        elif self._state in _LISTING:
            self._introduced()
        elif self._state is State.STARTTLS:
            self._tls_answered(reply)
        elif self._state in (State.XCLIENT, State.LATE_XCLIENT):
            self._told(reply)
        elif reply.status == "OK":
            self._logged_in(reply)
        else:
            self._refused(reply)

    def _tls_answered(self, reply: Reply) -> None:
        if reply.status == "OK":
            self._start_tls()
        else:
            self._fail(FailureKind.BACKEND_UNTRUSTED, f"STARTTLS refused: {self._said(reply)}")

    def _told(self, reply: Reply) -> None:
        if reply.status == "OK" and self._state is State.LATE_XCLIENT:
            self._state = State.FIRST_REQUEST
        elif reply.status == "OK":
            self._log_in()
        else:
            self._fail(FailureKind.BACKEND_INCAPABLE, f"XCLIENT refused: {self._said(reply)}")

    # -- logging in ----------------------------------------------------------------------

    def _introduced(self) -> None:
        """The capabilities are complete: upgrade, or log in by what they offer."""
        if self._state is State.GREETING:
            self._may_overlook = _pigeonhole_over_tls(self._capabilities)
        if self._starttls and b"STARTTLS" in self._capabilities:
            self._command(State.STARTTLS, b"STARTTLS")
        elif self._starttls:
            self._fail(FailureKind.BACKEND_UNTRUSTED, "backend does not offer STARTTLS")
        elif not self._secure:
            self._fail(
                FailureKind.BACKEND_UNTRUSTED,
                "credentials would leave without TLS: set tls, or allow_plaintext_auth",
            )
        elif self.announcement is not None and b"XCLIENT" in self._capabilities:
            told, self.announcement = self.announcement, None
            self._command(State.XCLIENT, dovecot_command(told))
            if self._may_overlook:
                self._events.append(Remind(OVERLOOKED_SECONDS))
        else:
            self._log_in()

    def _log_in(self) -> None:
        login = self._require_login()
        try:
            if login.mechanism == "PLAIN":
                plain.decode(login.initial_response or b"")
            mechanism = self._exchange.choose(self._offers)
        except BadMessage as bad:
            self._fail(FailureKind.NAME_UNUSABLE, f"credentials cannot be sent: {bad}")
            return
        if mechanism is None:
            self._incapable(self._offers)
        else:
            self._authenticate(mechanism)

    def _offers(self, mechanism: str) -> bool:
        return mechanism.encode() in self._capabilities.get(b"SASL", b"").upper().split()

    def _authenticate(self, mechanism: str) -> None:
        command = b"AUTHENTICATE " + client_string(mechanism.encode())
        room = 0 if self._may_overlook else INITIAL_RESPONSE_ROOM
        initial = self._exchange.initial(room)
        if initial is not None:
            # An empty one is an empty string here; "=" stands for it elsewhere (RFC 4959).
            command += b" " + client_string(b"" if initial == b"=" else initial)
        self._command(State.FIRST_REQUEST if self._may_overlook else State.SASL_EXCHANGE, command)
        if self._may_overlook:
            self._events.append(Remind(OVERLOOKED_SECONDS))

    def _logged_in(self, reply: Reply) -> None:
        if not self._exchange.complete:
            # Nobody's credentials were seen: whose scripts would these be?
            self._misbehaved("OK to an unfinished AUTHENTICATE")
            return
        final = None
        if reply.code == b"SASL" and reply.argument is not None:
            try:
                final = exchange.decode(reply.argument)
            except BadMessage:
                self._misbehaved("the SASL data behind OK is not base64")
                return
        words = (reply.text,) if reply.text and reply.code != b"REFERRAL" else ()
        self._accept(Accepted(words, final=final))

    def _refused(self, reply: Reply) -> None:
        """RFC 5804 section 1.3: only a code tells trouble and policy from wrong credentials."""
        failure = Failure(_kind_of(reply.code), self._said(reply))
        text = reply.text
        if not text or reply.code in _INCAPABLE_CODES or reply.code == b"REFERRAL":
            # The words may tell of hosts and of channels that are none of the client's.
            self._reject(failure)
        elif reply.code in _POLICY_CODES:
            self._reject(failure, (text, reply.code))
        else:
            self._reject(failure, (text,))

    # -- writing -------------------------------------------------------------------------

    def _command(self, state: State, text: bytes) -> None:
        self._state = state
        self._write(text + b"\r\n")

    def _write_response(self, text: bytes) -> None:
        self._write(client_string(text) + b"\r\n")

    def _misbehaved(self, reason: str) -> None:
        self._fail(FailureKind.BACKEND_MISBEHAVED, reason)

    def _said(self, reply: Reply) -> str:
        pieces = (reply.code, reply.argument, reply.text)
        words = b" ".join(piece for piece in pieces if piece)
        return f"backend answered {reply.status} {self._quote(words)}"

    def _forget(self) -> None:
        """The backend says its capabilities anew, unasked."""
        self._capabilities = {}
        self._list_octets = 0
        self._state = State.CAPABILITIES_AFTER_TLS


def _pigeonhole_over_tls(capabilities: Mapping[bytes, bytes]) -> bool:
    """Whether this is the greeting of a Pigeonhole that may overlook a command.

    Over TLS: without, it offers STARTTLS.  Its name does not tell its version.
    """
    name = capabilities.get(b"IMPLEMENTATION", b"")
    return b"Pigeonhole" in name and b"STARTTLS" not in capabilities


def _kind_of(code: bytes) -> FailureKind:
    if code == b"TRYLATER":
        return FailureKind.BACKEND_BUSY
    if code in _INCAPABLE_CODES:
        return FailureKind.BACKEND_INCAPABLE
    if code in _POLICY_CODES or code == b"REFERRAL":
        # The account lives elsewhere: where, is the table's affair, which is asked once more.
        return FailureKind.BACKEND_REFUSED
    return FailureKind.CREDENTIALS_REJECTED
