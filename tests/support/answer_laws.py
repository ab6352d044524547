"""The law of replies: every command, in every state, gets exactly one final reply, in order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from mailroute.errors import Failure, FailureKind
from mailroute.events import Close, Event, Login, Rejected, StartTLS
from mailroute.offer import Policy
from mailroute.sasl.exchange import encode
from mailroute.server_dialogue import ServerDialogue
from tests.support.conversations import NAMES, PROOFS, Run, bounded, every, recognized
from tests.support.dialogues import TLS, written

WRONG = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "private"))
BUSY = Rejected(Failure(FailureKind.LOOKUP_FAILED, "private"))


class AnswerLaws:
    """Mix into a SynchronousTestCase; provide ``make`` and what is below."""

    commands: ClassVar[list[bytes]]
    """Every verb in good and in bad form, each with all that belongs to it."""
    starttls: ClassVar[bytes]
    login: ClassVar[bytes]
    cancelled: ClassVar[bytes]
    """An exchange that the client begins and cancels."""

    authenticate: ClassVar[bytes]
    """What begins an exchange, with ``%b`` for mechanism and for the initial response."""

    opening: ClassVar[bytes] = b""
    """What has to be said before a login."""

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        """A fresh dialogue."""
        raise NotImplementedError

    def numbered(self, number: int, command: bytes) -> bytes:
        """The command, marked where the protocol has marks."""
        return command

    def finals(self, said: bytes) -> list[bytes]:
        """The final replies in what was said, in order."""
        raise NotImplementedError

    def number(self, final: bytes) -> int | None:
        """The mark of the command to which this replies; None where there are no marks."""
        return None

    def _commands(self) -> list[bytes]:
        """All commands, exchanges of every mechanism in good and in bad form among them."""
        messages = [encode(message) for message in PROOFS.values()]
        exchanges = [
            self.authenticate % (name, message)
            for name in (*(name.encode() for name in PROOFS), b"SCRAM-SHA-1-PLUS")
            for message in (*messages, b"!", encode(b"n,,n=,r="), encode(b"bob"))
        ]
        return [*self.commands, *exchanges]

    def _started(self, offered: Policy, secure: bool) -> ServerDialogue:
        dialogue = recognized(self.make(offered, secure), secure)
        dialogue.start()
        dialogue.receive_data(self.opening)
        return dialogue

    def _states(self) -> Iterator[tuple[str, ServerDialogue]]:
        """A fresh dialogue in every state in which commands are read."""
        yield "plain", self._started(every(), False)
        yield "plain, no STARTTLS", self._started(every(starttls=False), False)
        yield "plain, passwords allowed", self._started(every(cleartext=True), False)
        yield "secure", self._started(every(), True)
        yield "secure, no mechanism", self._started(every(mechanisms=()), True)
        dialogue = self._started(every(), False)
        assert isinstance(dialogue.receive_data(self.starttls)[-1], StartTLS)
        dialogue.tls_established(replace(TLS, client_names=NAMES))
        dialogue.receive_data(self.opening)
        yield "upgraded", dialogue
        for verdict in (WRONG, BUSY):
            dialogue = self._started(every(), True)
            assert isinstance(dialogue.receive_data(self.login)[-1], Login)
            dialogue.answer(verdict)
            yield f"after {verdict.failure.kind.value}", dialogue
        dialogue = self._started(every(), True)
        assert len(self.finals(written(dialogue.receive_data(self.cancelled)))) == 1
        yield "after a cancellation", dialogue

    def test_every_state_and_verb(self) -> None:
        """No command is met with silence: a reply, a pause or a farewell."""
        count = sum(1 for _ in self._states())
        for command in [*self._commands(), self.starttls, self.login]:
            for number in range(count):
                name, dialogue = next(s for i, s in enumerate(self._states()) if i == number)
                events = dialogue.receive_data(command)
                self._is_answered(events, (name, command))

    def _is_answered(self, events: list[Event], case: tuple[str, bytes]) -> None:
        assert events, case
        finals = self.finals(written(events))
        if isinstance(events[-1], Login):
            assert finals == [], (case, finals)
        elif not isinstance(events[-1], Close):
            assert len(finals) == 1, (case, written(events))

    def test_one_final_reply_each(self) -> None:
        """Pipelined commands get one final reply each, in order; a farewell is at most one more."""

        @bounded
        @given(
            st.lists(st.sampled_from([*self._commands(), self.login]), max_size=14),
            st.booleans(),
            st.sampled_from((1, 3, 10_000)),
        )
        def law(commands: list[bytes], secure: bool, chunk: int) -> None:
            sent = [self.numbered(number, command) for number, command in enumerate(commands)]
            run = Run(self._started(every(starttls=False), secure), accept=False)
            run.said = b""
            run.feed(b"".join(sent), chunk)
            finals = self.finals(run.said)
            numbers = [number for final in finals if (number := self.number(final)) is not None]
            assert numbers == sorted(set(numbers)), run.said
            if run.over:
                assert len(finals) <= len(commands) + 1, (commands, run.said)
            else:
                assert len(finals) == len(commands), (commands, run.said)

        law()
