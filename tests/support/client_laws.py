"""The laws of every client dialogue."""

from __future__ import annotations

import base64
from typing import ClassVar

from hypothesis import given
from hypothesis import strategies as st

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Challenge, Login, Rejected, StartTLS
from mailroute.sasl.plain import password_login
from mailroute.sasl.scram import Scram
from tests.support.conversations import (
    SECRET,
    Run,
    bounded,
    conversations,
    holdings,
    octets_held,
)
from tests.support.dialogues import TLS, written

ENDS = (Rejected, Accepted, StartTLS)


class ClientLaws:
    """Mix into a SynchronousTestCase; provide ``make`` and what is below."""

    fragments: ClassVar[list[bytes]]
    greeting: ClassVar[bytes]
    offering: ClassVar[bytes]
    """A greeting and all that is said until SCRAM-SHA-1 and SCRAM-SHA-256 are offered."""
    challenge: ClassVar[bytes]
    """The challenge ``x``, as the protocol writes it."""

    def make(self, login: Login, starttls: bool, secure: bool) -> ClientDialogue:
        """A fresh dialogue."""
        raise NotImplementedError

    def login(self) -> Login:
        """A login by name and password."""
        return password_login(b"alice@example.org", SECRET)

    def proofs(self) -> list[Login]:
        """Logins by SCRAM; the nonce is no secret, but tells the message from other text."""
        message = b"n,,n=alice,r=" + SECRET
        return [Scram(name).login([message]) for name in ("SCRAM-SHA-1", "SCRAM-SHA-256")]

    def test_any_bytes_however_chunked(self) -> None:
        """No exception on any bytes; chunking does not matter; at most one verdict.

        No secret is in a repr on the way, and none is kept beyond the verdict.
        """
        self._any_bytes([self.login()], self.greeting)

    def test_any_bytes_to_a_proof(self) -> None:
        """The same of SCRAM, whose exchange is the client's to go on with or to cancel."""
        self._any_bytes(self.proofs(), self.offering)

    def _any_bytes(self, logins: list[Login], greeting: bytes) -> None:
        @bounded
        @given(
            st.sampled_from(logins),
            conversations([*self.fragments, self.challenge]),
            st.integers(1, 9),
            st.tuples(st.booleans(), st.booleans()),
        )
        def law(login: Login, data: bytes, chunk: int, how: tuple[bool, bool]) -> None:
            starttls, answers = how
            runs = []
            for size in (max(len(data), 1), chunk):
                run = Run(self.make(login, starttls, True), True, answers)
                run.feed(greeting + data, size + len(greeting) * (size > chunk))
                verdicts = [s for s in run.story if s.split()[0] in ("Accepted", "Rejected")]
                assert len(verdicts) <= 1, run.story
                assert SECRET.decode() not in repr(vars(run.dialogue))
                if verdicts:
                    self._is_over(run.dialogue)
                runs.append(run)
            whole, drip = runs
            if "StartTLS" in whole.story + drip.story:
                return
            assert whole.said == drip.said
            assert whole.story == drip.story

        law()

    def _is_over(self, dialogue: object) -> None:
        """Silent for ever, and free of the secret."""
        assert isinstance(dialogue, ClientDialogue)
        trailing = dialogue.trailing_data
        for kept in holdings(dialogue):
            if kept != trailing:
                assert SECRET not in kept, kept
                assert base64.b64encode(SECRET)[:12] not in kept, kept
        assert dialogue.receive_data(b"".join(self.fragments)) == []
        assert dialogue.respond(b"x") == []
        assert dialogue.tls_established(TLS) == []
        assert dialogue.timed_out() == []

    def test_proof_is_relayed(self) -> None:
        """The first message is ours to write; every challenge is the client's to answer."""
        for login in self.proofs():
            dialogue = self.make(login, False, True)
            dialogue.start()
            begun = written(dialogue.receive_data(self.offering))
            assert login.mechanism.encode() in begun, begun
            data = self.challenge
            if base64.b64encode(login.initial_response or b"") not in begun:
                # It had no place in the command.
                begun = written(dialogue.receive_data(self.challenge))
                assert base64.b64encode(login.initial_response or b"") in begun, begun
            for response in (b"y", b""):
                assert dialogue.receive_data(data) == [Challenge(b"x")]
                said = written(dialogue.respond(response))
                assert base64.b64encode(response) in said, said
                assert login.initial_response not in said

    def test_silence_and_loss_end_in_a_temporary_rejection(self) -> None:
        """A backend that is silent or goes away is never the user's fault."""
        cases = [(self.login(), b""), (self.login(), self.greeting)]
        cases += [(login, self.offering + self.challenge) for login in self.proofs()]
        for login, data in cases:
            for end in ("timed_out", "ended"):
                dialogue = self.make(login, False, True)
                dialogue.start()
                dialogue.receive_data(data)
                failure = Failure(FailureKind.BACKEND_UNREACHABLE, "lost")
                events = dialogue.timed_out() if end == "timed_out" else dialogue.ended(failure)
                assert isinstance(events[-1], Rejected), events
                assert events[-1].failure.kind.temporary
                assert dialogue.timed_out() == []
                assert dialogue.receive_data(self.greeting) == []

    def test_secret_never_leaves_in_the_clear(self) -> None:
        """Without TLS and without leave for it, not an octet of the secret is written."""

        cases = [(self.login(), self.greeting)]
        cases += [(login, self.offering) for login in self.proofs()]

        @bounded
        @given(st.sampled_from(cases), conversations(self.fragments), st.booleans())
        def law(case: tuple[Login, bytes], data: bytes, starttls: bool) -> None:
            login, greeting = case
            run = Run(self.make(login, starttls, False), True)
            run.feed(greeting + data, 5)
            assert SECRET not in run.said
            assert base64.b64encode(SECRET)[:12] not in run.said
            assert base64.b64encode(b"\0alice")[:6] not in run.said

        law()

    def test_no_secret_is_shown(self) -> None:
        """The secret is in no repr, and is dropped with the verdict."""
        dialogue = self.make(self.login(), False, True)
        events = dialogue.start()
        events += dialogue.receive_data(self.greeting)
        assert SECRET.decode() not in repr(events) + repr(vars(dialogue))
        dialogue.timed_out()
        held = [value for value in vars(dialogue).values() if SECRET in repr(value).encode()]
        assert held == []
        assert getattr(dialogue, "_login") is None  # noqa: B009

    def test_endless_reply(self) -> None:
        """What never becomes a verdict ends in a temporary rejection, within bounded memory."""
        for filler in (b"x", b"* OK x\r\n", b"250-x\r\n", b"x\r\n", *self.fragments):
            for starttls in (False, True):
                dialogue = self.make(self.login(), starttls, True)
                events = dialogue.start() + dialogue.receive_data(self.greeting)
                for _ in range(8 * REPLY_LIMIT // 1024):
                    if dialogue.full or any(isinstance(event, ENDS) for event in events):
                        break
                    events = dialogue.receive_data(filler * (1024 // len(filler)))
                    assert octets_held(dialogue) <= 4 * REPLY_LIMIT, filler
                else:
                    raise AssertionError(f"reads {filler!r} for ever")

    def test_cleartext_behind_starttls_consent(self) -> None:
        """Bytes that follow the backend's consent in the clear are an attack (NO STARTTLS)."""
        dialogue = self.make(self.login(), True, False)
        dialogue.start()
        dialogue.receive_data(self.greeting)
        events = dialogue.receive_data(self.consent(dialogue) + b"injected\r\n")
        assert isinstance(events[-1], Rejected), events
        assert events[-1].failure.kind is FailureKind.BACKEND_UNTRUSTED
        assert not any(isinstance(event, StartTLS) for event in events)

    def consent(self, dialogue: ClientDialogue) -> bytes:
        """What the backend says to STARTTLS, preceded by what must come before it."""
        raise NotImplementedError

    def test_starttls_refused(self) -> None:
        """STARTTLS that is configured and refused fails: nothing falls back to clear text."""
        dialogue = self.make(self.login(), True, False)
        dialogue.start()
        dialogue.receive_data(self.greeting)
        events = dialogue.receive_data(self.refusal(dialogue))
        assert isinstance(events[-1], Rejected), events
        assert events[-1].failure.kind is FailureKind.BACKEND_UNTRUSTED

    def refusal(self, dialogue: ClientDialogue) -> bytes:
        """What the backend says when it does not do STARTTLS."""
        raise NotImplementedError

    def test_starts_tls_before_anything_else(self) -> None:
        """With starttls the login waits for the handshake, and old capabilities are void."""
        dialogue = self.make(self.login(), True, False)
        dialogue.start()
        dialogue.receive_data(self.greeting)
        events = dialogue.receive_data(self.consent(dialogue))
        assert isinstance(events[-1], StartTLS), events
        after = written(dialogue.tls_established(TLS))
        assert b"AUTH" not in after.upper().replace(b"AUTHENTICATE", b"AUTH"), after
