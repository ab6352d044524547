"""The laws that every dialogue keeps, for every protocol and both roles.

A protocol's test mixes one of the classes in, says how to make its dialogue and gives the
fragments out of which hypothesis makes conversations.
"""

from __future__ import annotations

from typing import ClassVar

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.dialogue import PAUSED_LIMIT
from mailroute.errors import Failure, FailureKind
from mailroute.events import (
    Accepted,
    Challenge,
    Close,
    Event,
    Login,
    Rejected,
    Response,
    StartTLS,
    Write,
)
from mailroute.offer import Policy
from mailroute.sasl.mechanism import Mechanism
from mailroute.sasl.registry import MECHANISMS
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT, ServerDialogue
from tests.support.dialogues import TLS, describe, written

SECRET = b"s3cr3t-0f-alice"
bounded = settings(
    max_examples=80,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.differing_executors],
)
PAUSING = (Login, Response, Challenge, Accepted, Rejected, StartTLS)


def policy(
    starttls: bool = True,
    cleartext: bool = False,
    mechanisms: tuple[Mechanism, ...] = MECHANISMS,
) -> Policy:
    """A listener's policy with every mechanism."""
    return Policy(mechanisms, starttls, cleartext)


def check_shape(events: list[Event]) -> None:
    """A pausing event is the last of its list, and nothing follows Close."""
    for event in events[:-1]:
        assert not isinstance(event, (*PAUSING, Close)), events


def conversations(fragments: list[bytes]) -> st.SearchStrategy[bytes]:
    """Byte strings made of a protocol's own pieces and of noise."""
    piece = st.one_of(st.sampled_from(fragments), st.binary(max_size=12))
    return st.lists(piece, max_size=25).map(b"".join)


class Run:
    """Plays the session for a dialogue until it closes, joins or asks for TLS."""

    def __init__(self, dialogue: ServerDialogue | ClientDialogue, accept: bool) -> None:
        self.dialogue = dialogue
        self.accept = accept
        self.said = b""
        self.story: list[str] = []
        self.over = False
        self.take(dialogue.start())

    def feed(self, data: bytes, chunk: int) -> None:
        """Feed the data in chunks of this size."""
        for start in range(0, len(data), chunk):
            if self.over:
                return
            self.take(self.dialogue.receive_data(data[start : start + chunk]))

    def take(self, events: list[Event]) -> None:
        """Check, note and answer."""
        while events:
            check_shape(events)
            self.said += written(events)
            last = events[-1]
            self.story += [describe(event) for event in events if not isinstance(event, Write)]
            self.over = isinstance(last, (Close, StartTLS, Accepted, Rejected))
            events = self.reply(last)

    def reply(self, event: Event) -> list[Event]:
        """Answer a milestone; silence while paused is checked on the way."""
        dialogue = self.dialogue
        if isinstance(dialogue, ServerDialogue) and isinstance(event, (Login, Response)):
            assert dialogue.receive_data(b"") == [], "spoke while paused"
            if self.accept:
                self.over = True
                return dialogue.answer(Accepted((b"Logged in",)))
            failure = Failure(FailureKind.CREDENTIALS_REJECTED, "no")
            return dialogue.answer(Rejected(failure))
        if isinstance(dialogue, ClientDialogue) and isinstance(event, Challenge):
            return dialogue.respond(None)
        return []


class ServerLaws:
    """Mix into a SynchronousTestCase; provide ``make`` and ``fragments``."""

    fragments: ClassVar[list[bytes]]
    login_commands: ClassVar[list[bytes]]
    """Conversations that end in a Login with the password SECRET, one for each way."""

    def make(self, policy: Policy, secure: bool) -> ServerDialogue:
        """A fresh dialogue."""
        raise NotImplementedError

    def test_any_bytes_however_chunked(self) -> None:
        """No exception on any bytes; chunking does not matter; milestones come last."""

        @bounded
        @given(conversations(self.fragments), st.integers(1, 9), st.booleans(), st.booleans())
        def law(data: bytes, chunk: int, secure: bool, accept: bool) -> None:
            whole = Run(self.make(policy(), secure), accept)
            whole.feed(data, max(len(data), 1))
            drip = Run(self.make(policy(), secure), accept)
            drip.feed(data, chunk)
            if "Close cleartext-after-starttls" in whole.story or "StartTLS" in whole.story:
                return  # What follows STARTTLS goes to the handshake, not to the dialogue.
            assert whole.said == drip.said, (whole.said, drip.said)
            assert whole.story == drip.story

        law()

    def test_bounded_buffer(self) -> None:
        """The buffer keeps its bound, whatever is sent and in whichever phase."""
        bound = COMMAND_LIMIT * 3 + SASL_LINE_LIMIT + PAUSED_LIMIT
        for prefix in [b"", *self.fragments, *self.login_commands]:
            dialogue = self.make(policy(), True)
            dialogue.start()
            events = dialogue.receive_data(prefix)
            for octet in (b"x", b"\r\n", b"\x00"):
                for _ in range(200):
                    if dialogue.full or any(isinstance(e, Close) for e in events):
                        break
                    events = dialogue.receive_data(octet * 1024)
                self.assert_held(dialogue, bound)

    def assert_held(self, dialogue: ServerDialogue, bound: int) -> None:
        """How much the dialogue keeps."""
        assert len(dialogue.trailing_data) <= bound, len(dialogue.trailing_data)

    def test_nothing_after_close(self) -> None:
        """A closed dialogue is silent for ever."""
        dialogue = self.make(policy(), True)
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
            dialogue = self.make(policy(), True)
            events = dialogue.start()
            events += dialogue.receive_data(conversation)
            assert isinstance(events[-1], Login), (conversation, events)
            assert SECRET in (events[-1].initial_response or b"")
            assert SECRET not in written(events)
            shown = repr(events) + repr(vars(dialogue))
            assert SECRET.decode() not in shown, conversation

    def test_cleartext_login_needs_leave(self) -> None:
        """One predicate: where secrets may not cross, no way of logging in is accepted."""
        for conversation in self.login_commands:
            dialogue = self.make(policy(starttls=True, cleartext=False), False)
            dialogue.start()
            events = dialogue.receive_data(conversation)
            assert not any(isinstance(event, Login) for event in events), conversation
            dialogue = self.make(policy(starttls=False, cleartext=True), False)
            dialogue.start()
            events = dialogue.receive_data(conversation)
            assert isinstance(events[-1], Login), conversation

    def test_attempts_are_limited(self) -> None:
        """After the last attempt we say goodbye; temporary failures spend none."""
        dialogue = self.make(policy(), True)
        dialogue.start()
        busy = Rejected(Failure(FailureKind.LOOKUP_FAILED, "down"))
        wrong = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "no"))
        for verdict in (busy, busy, busy, busy, wrong, wrong, wrong):
            events = dialogue.receive_data(self.login_commands[0])
            assert isinstance(events[-1], Login), events
            events = dialogue.answer(verdict)
        assert describe(events[-1]) == "Close too-many-login-attempts", events

    def test_every_failure_kind_is_worded(self) -> None:
        """The reply-table law: each kind is answered, and no private reason leaks."""
        for kind in FailureKind:
            dialogue = self.make(policy(), True)
            dialogue.start()
            dialogue.receive_data(self.login_commands[0])
            said = written(dialogue.answer(Rejected(Failure(kind, "private-reason"))))
            assert b"private-reason" not in said, said
            assert said.endswith(b"\r\n"), said
            assert self.is_temporary(said) == kind.temporary, (kind, said)

    def is_temporary(self, said: bytes) -> bool:
        """Whether this reply tells the client to try again later."""
        raise NotImplementedError

    def test_unknown_account_reads_like_wrong_password(self) -> None:
        """An unknown account cannot be told from a wrong password."""
        said = set()
        for kind in (FailureKind.ACCOUNT_UNKNOWN, FailureKind.CREDENTIALS_REJECTED):
            dialogue = self.make(policy(), True)
            dialogue.start()
            dialogue.receive_data(self.login_commands[0])
            said.add(written(dialogue.answer(Rejected(Failure(kind, "")))))
        assert len(said) == 1, said


class ClientLaws:
    """Mix into a SynchronousTestCase; provide ``make``, ``fragments`` and ``greeting``."""

    fragments: ClassVar[list[bytes]]
    greeting: ClassVar[bytes]

    def make(self, login: Login, starttls: bool, secure: bool) -> ClientDialogue:
        """A fresh dialogue."""
        raise NotImplementedError

    def login(self) -> Login:
        """A login by name and password."""
        from mailroute.sasl.plain import password_login

        return password_login(b"alice@example.org", SECRET)

    def test_any_bytes_however_chunked(self) -> None:
        """No exception on any bytes; chunking does not matter; at most one verdict."""

        @bounded
        @given(conversations(self.fragments), st.integers(1, 9), st.booleans())
        def law(data: bytes, chunk: int, starttls: bool) -> None:
            runs = []
            for size in (max(len(data), 1), chunk):
                run = Run(self.make(self.login(), starttls, True), True)
                run.feed(self.greeting + data, size + len(self.greeting) * (size > chunk))
                verdicts = [s for s in run.story if s.split()[0] in ("Accepted", "Rejected")]
                assert len(verdicts) <= 1, run.story
                runs.append(run)
            whole, drip = runs
            if "StartTLS" in whole.story + drip.story:
                return
            assert whole.said == drip.said
            assert whole.story == drip.story

        law()

    def test_silence_and_loss_end_in_a_temporary_rejection(self) -> None:
        """A backend that is silent or goes away is never the user's fault."""
        for data in (b"", self.greeting):
            for end in ("timed_out", "ended"):
                dialogue = self.make(self.login(), False, True)
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
        import base64

        @bounded
        @given(conversations(self.fragments))
        def law(data: bytes) -> None:
            run = Run(self.make(self.login(), False, False), True)
            run.feed(self.greeting + data, 5)
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
        """A reply beyond its bound ends in a temporary rejection."""
        for filler in (b"x", b"* OK x\r\n", b"250-x\r\n", b"x\r\n"):
            dialogue = self.make(self.login(), False, True)
            events = dialogue.start() + dialogue.receive_data(self.greeting)
            for _ in range(8 * REPLY_LIMIT // 1024):
                if any(isinstance(event, Rejected) for event in events):
                    break
                events = dialogue.receive_data(filler * (1024 // len(filler)))
            assert len(dialogue.trailing_data) <= 2 * REPLY_LIMIT

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
