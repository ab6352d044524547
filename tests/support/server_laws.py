"""The laws of every server dialogue."""

from __future__ import annotations

import base64
from itertools import product
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from mailroute.dialogue import PAUSED_LIMIT
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Login, Rejected
from mailroute.offer import Policy
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue
from tests.support.conversations import (
    PROOFS,
    SECRET,
    Run,
    bounded,
    conversations,
    every,
    holdings,
    octets_held,
    policy,
    recognized,
)
from tests.support.dialogues import describe, written

ACCEPTED = Accepted((b"Logged in",))
HELD_BOUND = 2 * SASL_LINE_LIMIT + 4 * COMMAND_LIMIT + PAUSED_LIMIT
"""Octets: a SASL line as received and as a command, literals twice, and what waits behind."""


class ServerLaws:
    """Mix into a SynchronousTestCase; provide ``make``, ``fragments`` and what is below."""

    fragments: ClassVar[list[bytes]]
    login_commands: ClassVar[list[bytes]]
    """Conversations that end in a Login with the password SECRET, one for each way."""
    proofs: ClassVar[list[bytes]]
    """Those that end in a Login without a secret, one for each of PROOFS, in their order."""

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        """A fresh dialogue."""
        raise NotImplementedError

    def _fresh(self, policy: Policy, secure: bool) -> ServerDialogue:
        """A fresh dialogue with a client who has a certificate."""
        return recognized(self.make(policy, secure), secure)

    @property
    def _ways(self) -> list[bytes]:
        return [*self.login_commands, *self.proofs]

    def test_any_bytes_however_chunked(self) -> None:
        """No exception on any bytes; chunking does not matter; milestones come last."""

        @bounded
        @given(
            conversations([*self.fragments, *self._ways]),
            st.integers(1, 9),
            st.tuples(st.booleans(), st.booleans(), st.booleans()),
        )
        def law(data: bytes, chunk: int, how: tuple[bool, bool, bool]) -> None:
            secure, accept, challenge = how
            whole = Run(self._fresh(every(), secure), accept, challenge)
            whole.feed(data, max(len(data), 1))
            drip = Run(self._fresh(every(), secure), accept, challenge)
            drip.feed(data, chunk)
            if "Close cleartext-after-starttls" in whole.story or "StartTLS" in whole.story:
                return  # What follows STARTTLS goes to the handshake, not to the dialogue.
            assert whole.said == drip.said, (whole.said, drip.said)
            assert whole.story == drip.story

        law()

    def test_bounded_memory(self) -> None:
        """All that is kept has its bound, literals and paused bytes too, in whichever phase."""
        octets = (b"x", b"\r\n", b"\x00")
        for prefix in (b"", *self.fragments, *self._ways):
            self._flood(prefix, octets)
        for filler in self.fragments:
            self._flood(b"", (filler,))

    def _flood(self, prefix: bytes, fillers: tuple[bytes, ...]) -> None:
        for filler in fillers:
            dialogue = self._fresh(every(), True)
            dialogue.start()
            events = dialogue.receive_data(prefix)
            for _ in range(2 * HELD_BOUND // 1024):
                if dialogue.full or any(isinstance(event, Close) for event in events):
                    break
                events = dialogue.receive_data((filler * 1024)[:1024])
                assert octets_held(dialogue) <= HELD_BOUND, (prefix, filler)

    def test_silence_while_paused(self) -> None:
        """Behind a login nothing is answered, consumed or lost, until it is decided."""
        sent = b"".join(fragment for fragment in self.fragments)
        for conversation in self._ways:
            for verdict in (None, ACCEPTED):
                dialogue = self._fresh(every(), True)
                dialogue.start()
                assert isinstance(dialogue.receive_data(conversation)[-1], Login)
                if verdict is not None:
                    assert isinstance(written(dialogue.answer(verdict)), bytes)
                for fragment in self.fragments:
                    assert dialogue.receive_data(fragment) == [], (conversation, fragment)
                assert dialogue.trailing_data == sent, conversation

    def test_login_ends_what_was_gathered(self) -> None:
        """Once the login is reported the dialogue keeps neither the password nor the line."""
        for conversation in self.login_commands:
            dialogue = self._fresh(every(), True)
            dialogue.start()
            assert isinstance(dialogue.receive_data(conversation)[-1], Login)
            for kept in holdings(dialogue):
                assert SECRET not in kept, (conversation, kept)
                assert base64.b64encode(SECRET)[:12] not in kept, (conversation, kept)

    def test_nothing_after_close(self) -> None:
        """A closed dialogue is silent for ever."""
        dialogue = self._fresh(every(), True)
        dialogue.start()
        closing = dialogue.shut_down()
        assert isinstance(closing[-1], Close), closing
        for fragment in self.fragments:
            assert dialogue.receive_data(fragment) == []
        assert dialogue.timed_out() == []
        assert dialogue.shut_down() == []

    def test_no_secret_is_shown(self) -> None:
        """The password is in no write to the client and in no repr of an event."""
        for conversation in self.login_commands:
            dialogue = self._fresh(every(), True)
            events = dialogue.start()
            events += dialogue.receive_data(conversation)
            assert isinstance(events[-1], Login), (conversation, events)
            assert SECRET in (events[-1].initial_response or b"")
            assert SECRET not in written(events)
            assert SECRET.decode() not in repr(events), conversation
            dialogue = self._fresh(every(), True)
            dialogue.start()
            for octet in conversation:
                dialogue.receive_data(bytes([octet]))
                assert SECRET.decode() not in repr(vars(dialogue)), conversation

    def test_cleartext_login_needs_leave(self) -> None:
        """One predicate: where secrets may not cross, no way of logging in is accepted."""
        for conversation in self.login_commands:
            dialogue = self._fresh(every(starttls=True, cleartext=False), False)
            dialogue.start()
            events = dialogue.receive_data(conversation)
            assert not any(isinstance(event, Login) for event in events), conversation
            dialogue = self._fresh(every(starttls=False, cleartext=True), False)
            dialogue.start()
            events = dialogue.receive_data(conversation)
            assert isinstance(events[-1], Login), conversation

    def test_proofs_are_accepted_where_they_can_be(self) -> None:
        """SCRAM needs no TLS, since who reads it learns no password; EXTERNAL is TLS's own."""
        for conversation, mechanism in zip(self.proofs, PROOFS, strict=True):
            for secure in (False, True):
                dialogue = self._fresh(every(starttls=True, cleartext=False), secure)
                dialogue.start()
                event = dialogue.receive_data(conversation)[-1]
                if not secure and mechanism == "EXTERNAL":
                    assert not isinstance(event, Login), event
                    continue
                assert isinstance(event, Login), (conversation, secure)
                assert event.mechanism == mechanism
                assert event.initial_response == PROOFS[mechanism], event.initial_response

    def test_proofs_without_an_offer(self) -> None:
        """What was not asked for, or is not a certificate's, is no way in."""
        for conversation in self.proofs:
            dialogue = self.make(policy(), True)
            dialogue.start()
            events = dialogue.receive_data(conversation)
            assert not any(isinstance(event, Login) for event in events), conversation

    def test_certificate_of_another(self) -> None:
        """A name that the certificate has not is an attempt, and reads like a wrong password."""
        wrong = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, ""))
        known, *_, proof = self.proofs
        dialogue = self._fresh(every(), True)
        dialogue.start()
        dialogue.receive_data(known)
        refusal = written(dialogue.answer(wrong))
        own = base64.b64encode(PROOFS["EXTERNAL"])
        stranger = proof.replace(own, base64.b64encode(b"bob"))
        assert stranger != proof
        for attempt in (2, 3):
            events = dialogue.receive_data(stranger)
            assert refusal in written(events), (attempt, events)
            assert not any(isinstance(event, Login) for event in events)
        assert describe(events[-1]) == "Close too-many-login-attempts", events

    def test_attempts_are_limited(self) -> None:
        """After the last attempt we say goodbye; temporary failures spend none."""
        for conversation in self._ways:
            self._is_limited(conversation)

    def _is_limited(self, conversation: bytes) -> None:
        dialogue = self._fresh(every(), True)
        dialogue.start()
        busy = Rejected(Failure(FailureKind.LOOKUP_FAILED, "down"))
        wrong = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "no"))
        for verdict in (busy, busy, busy, busy, wrong, wrong, wrong):
            events = dialogue.receive_data(conversation)
            assert isinstance(events[-1], Login), events
            events = dialogue.answer(verdict)
        assert describe(events[-1]) == "Close too-many-login-attempts", events

    def test_every_failure_kind_is_worded(self) -> None:
        """The reply-table law: each kind is answered, and no private reason leaks."""
        for kind, conversation in product(FailureKind, self._ways):
            dialogue = self._fresh(every(), True)
            dialogue.start()
            dialogue.receive_data(conversation)
            said = written(dialogue.answer(Rejected(Failure(kind, "private-reason"))))
            assert b"private-reason" not in said, said
            assert said.endswith(b"\r\n"), said
            assert self.is_temporary(said) == kind.temporary, (kind, said)

    def is_temporary(self, said: bytes) -> bool:
        """Whether this reply tells the client to try again later."""
        raise NotImplementedError

    def test_unknown_account_reads_like_wrong_password(self) -> None:
        """An unknown account cannot be told from a wrong password."""
        for conversation in self._ways:
            said = set()
            for kind in (FailureKind.ACCOUNT_UNKNOWN, FailureKind.CREDENTIALS_REJECTED):
                dialogue = self._fresh(every(), True)
                dialogue.start()
                dialogue.receive_data(conversation)
                said.add(written(dialogue.answer(Rejected(Failure(kind, "")))))
            assert len(said) == 1, said
