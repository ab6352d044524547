"""The server's role in every protocol: we greet, the client commands, until it may join.

Three rules that no protocol writes again: the SASL exchange, the budget of a client that sends
nonsense, and the attempts of one that guesses passwords.
"""

from __future__ import annotations

from abc import abstractmethod

from mailroute.dialogue import Dialogue, Phase
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Event, Login, Rejected, Response, TLSInfo, Verdict
from mailroute.offer import Offer, Policy, offer
from mailroute.route import NO_INTRODUCTION, Introduction
from mailroute.sasl import exchange
from mailroute.sasl.mechanism import BadMessage, Mechanism, NotAllowed
from mailroute.wire.foreign import foreign_protocol
from mailroute.wire.framing import LineTooLong

COMMAND_LIMIT = 8192
"""Octets of one command before the login, its literals included."""
SASL_LINE_LIMIT = 65536
"""Octets of a line that carries a SASL message: tokens outgrow every RFC's old limits."""
BAD_COMMAND_BUDGET = 10
"""Commands that are none, or not now, before the client is sent away."""


class ServerDialogue(Dialogue):
    """We are the server; the client is outside."""

    def __init__(self, policy: Policy, secure: bool, max_attempts: int) -> None:
        """``secure``: whether TLS was there before the greeting."""
        super().__init__()
        self._offer = offer(policy, secure)
        self._policy = policy
        self._exchange: exchange.ServerExchange | None = None
        self._bad_commands = 0
        self._attempts_left = max_attempts

    # -- what the peer and the session call ----------------------------------------------

    def start(self) -> list[Event]:
        """Greet the client."""
        self._greet()
        return self._advance()

    def tls_established(self, info: TLSInfo) -> list[Event]:
        """The handshake has succeeded: what may be offered is asked anew."""
        self._offer = offer(self._policy, True)
        if info.client_names:
            self.recognize(info.client_names)
        return super().tls_established(info)

    def recognize(self, names: tuple[str, ...]) -> None:
        """See Dialogue: such a client may log in without a secret."""
        self._offer = Offer(self._policy.for_holder(names), True)

    def timed_out(self) -> list[Event]:
        """The client was silent for too long before its login."""
        return self._leave("timeout")

    def shut_down(self) -> list[Event]:
        """mailroute is being stopped and this client is not joined yet."""
        return self._leave("shutting-down")

    def challenge(self, data: bytes) -> list[Event]:
        """Relay the backend's challenge to the client.

        Where the client gave name and password to a command there is no exchange in which it
        could answer: the challenge is cancelled in its name, with ``Response(None)``.
        """
        if self._phase is Phase.CLOSED:
            return []
        if self._exchange is None:
            self._events.append(Response(None))
            return self._advance()
        self._phase = Phase.TALKING
        self._write_challenge(exchange.encode(data))
        return self._advance()

    def answer(self, verdict: Verdict) -> list[Event]:
        """Tell the client how its login ended."""
        if self._phase is Phase.CLOSED:
            return []
        cancelled = self._exchange is not None and self._exchange.cancelled
        self._exchange = None
        if isinstance(verdict, Accepted):
            self._phase = Phase.JOINED
            self._write_accepted(verdict)
            return self._advance()
        self._phase = Phase.TALKING
        if cancelled:
            self._write_sasl_cancelled()
        else:
            self._write_rejected(verdict)
        if verdict.failure.kind.counts_as_attempt:
            self._spend_attempt()
        return self._advance()

    @property
    def introduction(self) -> Introduction:
        """What the client has said of itself."""
        return NO_INTRODUCTION

    # -- what a protocol provides --------------------------------------------------------

    @abstractmethod
    def _greet(self) -> None:
        """Write the greeting."""

    @abstractmethod
    def _goodbye(self, why: str) -> None:
        """Write the last line before the connection is closed for this reason, if there is one."""

    @abstractmethod
    def _write_challenge(self, text: bytes) -> None:
        """Write a continuation with this base64 text."""

    @abstractmethod
    def _write_sasl_error(self, reason: str) -> None:
        """Answer the authentication command: its exchange was malformed."""

    @abstractmethod
    def _write_sasl_cancelled(self) -> None:
        """Answer the authentication command: the client cancelled it."""

    @abstractmethod
    def _write_accepted(self, verdict: Accepted) -> None:
        """Word the acceptance under the command that asked for it."""

    @abstractmethod
    def _write_rejected(self, verdict: Rejected) -> None:
        """Word the rejection under the command that asked for it."""

    # -- shared rules --------------------------------------------------------------------

    def _cleartext_after_starttls(self) -> None:
        self._end("cleartext-after-starttls")

    def _leave(self, why: str) -> list[Event]:
        self._end(why)
        return self._advance()

    def _end(self, why: str) -> None:
        """Say goodbye and close; nothing more is said or read."""
        if self._phase in (Phase.CLOSED, Phase.JOINED):
            return
        if self._phase is not Phase.TLS_HANDSHAKE:
            self._goodbye(why)
        self._close(why)

    def _take_line(self, limit: int) -> bytes | None:
        """A line within its limit; a longer one ends the session."""
        try:
            return self._buffer.take_line(limit)
        except LineTooLong:
            self._end("line-too-long")
            return None

    def _is_foreign(self) -> bool:
        """Ends the session when what comes next is another protocol."""
        why = foreign_protocol(self._buffer.peek(128))
        if why is not None:
            self._close(why)
        return why is not None

    def _count_bad_command(self) -> None:
        self._bad_commands += 1
        if self._bad_commands >= BAD_COMMAND_BUDGET:
            self._end("too-many-bad-commands")

    def _spend_attempt(self) -> None:
        self._attempts_left -= 1
        if self._attempts_left <= 0:
            self._end("too-many-login-attempts")

    def _ask_for_login(self, login: Login) -> None:
        self._phase = Phase.MILESTONE
        self._events.append(login)

    def _begin_exchange(self, mechanism: Mechanism, initial: bytes | None) -> None:
        self._exchange = exchange.ServerExchange(mechanism)
        try:
            self._continue_exchange(self._exchange.begin(initial))
        except BadMessage as bad:
            self._abandon_exchange(str(bad))
        except NotAllowed as wrong:
            self._refuse_identity(str(wrong))

    def _exchange_line(self, running: exchange.ServerExchange) -> bool:
        line = self._take_line(SASL_LINE_LIMIT)
        if line is None:
            return False
        self._exchange_text(running, line)
        return True

    def _exchange_text(self, running: exchange.ServerExchange, text: bytes) -> None:
        """Take the base64 text of a response, out of whatever the protocol puts around it."""
        try:
            self._continue_exchange(running.receive(text))
        except exchange.Cancelled:
            self._exchange = None
            self._write_sasl_cancelled()
            self._count_bad_command()
        except BadMessage as bad:
            self._malformed_response(running, str(bad))
        except NotAllowed as wrong:
            self._refuse_identity(str(wrong))

    def _refuse_identity(self, reason: str) -> None:
        """What the client has proved does not give it this account: an attempt like another."""
        self._exchange = None
        self._write_rejected(Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, reason)))
        self._spend_attempt()

    def _malformed_response(self, running: exchange.ServerExchange, reason: str) -> None:
        if running.relaying:
            # The backend waits for an answer: it gets a cancellation, and its verdict ends this.
            self._continue_exchange(running.cancel())
        else:
            self._abandon_exchange(reason)

    def _continue_exchange(self, step: bytes | Login | Response) -> None:
        if isinstance(step, bytes):
            self._write_challenge(step)
        elif isinstance(step, Login):
            self._ask_for_login(step)
        else:
            self._phase = Phase.MILESTONE
            self._events.append(step)

    def _abandon_exchange(self, reason: str) -> None:
        self._exchange = None
        self._write_sasl_error(reason)
        self._count_bad_command()
