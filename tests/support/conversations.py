"""Conversations that hypothesis makes up, the session that plays them, and what a dialogue holds.

The laws of ``tests.support.laws`` are written with these.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from mailroute.client_dialogue import ClientDialogue
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
from mailroute.sasl.registry import MECHANISMS, ON_REQUEST
from mailroute.server_dialogue import ServerDialogue
from tests.support.dialogues import describe, written

SECRET = b"s3cr3t-0f-alice"
EVERY: tuple[Mechanism, ...] = (*MECHANISMS, *ON_REQUEST)
"""Every mechanism that a client without a certificate can be offered."""
WORDS = (*(mechanism.name.encode() for mechanism in EVERY), b"EXTERNAL")
"""The names of all."""
NAMES = ("alice", "alice@example.org")
"""Of the client's certificate."""
PROOFS = {
    "SCRAM-SHA-1": b"n,,n=alice,r=fyko+d2lbbFgONRv9qkxdawL",
    "SCRAM-SHA-256": b"y,a=bob,n=al=2Cice,r=rOprNGfwEbeRWgbNEkqO",
    "EXTERNAL": b"alice@example.org",
}
"""First messages that hold no secret, by mechanism."""
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


def every(
    starttls: bool = True, cleartext: bool = False, mechanisms: tuple[Mechanism, ...] = EVERY
) -> Policy:
    """A listener's policy with all that can be asked for, certificates of clients included."""
    return Policy(mechanisms, starttls, cleartext, external=True)


S = TypeVar("S", bound=ServerDialogue)


def recognized(dialogue: S, secure: bool) -> S:
    """The dialogue with a client who has shown a certificate, where there is TLS."""
    if secure:
        dialogue.recognize(NAMES)
    return dialogue


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

    def __init__(
        self, dialogue: ServerDialogue | ClientDialogue, accept: bool, challenge: bool = False
    ) -> None:
        """``accept``: every login succeeds; ``challenge``: each is challenged once before.

        Of a backend's challenges the same says whether they are answered, or the exchange
        cancelled.
        """
        self.dialogue = dialogue
        self.accept = accept
        self.challenge = challenge
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
            if self.challenge and isinstance(event, Login):
                return dialogue.challenge(b"challenge")
            if self.accept:
                self.over = True
                return dialogue.answer(Accepted((b"Logged in",)))
            failure = Failure(FailureKind.CREDENTIALS_REJECTED, "no")
            return dialogue.answer(Rejected(failure))
        if isinstance(dialogue, ClientDialogue) and isinstance(event, Challenge):
            return dialogue.respond(b"proof" if self.challenge else None)
        return []


def holdings(thing: object) -> Iterator[bytes]:
    """Every byte string that a dialogue of ours holds, however deep."""
    seen: set[int] = set()
    waiting = [thing]
    while waiting:
        found = waiting.pop()
        if id(found) in seen:
            continue
        seen.add(id(found))
        if isinstance(found, (bytes, bytearray)):
            yield bytes(found)
        elif isinstance(found, str):
            yield found.encode("utf-8", "replace")
        elif isinstance(found, dict):
            waiting += [*found.keys(), *found.values()]
        elif isinstance(found, (list, tuple, set, frozenset)):
            waiting += found
        elif type(found).__module__.partition(".")[0] == "mailroute":
            names = [*getattr(found, "__dict__", ()), *getattr(found, "__slots__", ())]
            waiting += [getattr(found, name) for name in names]


def octets_held(dialogue: object) -> int:
    """How much a dialogue keeps in all."""
    return sum(map(len, holdings(dialogue)))
