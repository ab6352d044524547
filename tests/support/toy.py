"""A mechanism of two rounds, so that the relay is tested beyond PLAIN, in any protocol.

The client's first message is ``n=NAME``; then the verifier challenges twice, and each response
is the challenge's HMAC under the user's secret, which itself never travels.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Challenge, Login, Milestone, Rejected, Response, Verdict
from mailroute.sasl.mechanism import BadMessage, identity
from tests.support.pairs import Pair

M = TypeVar("M", Login, Challenge, Response)
ROUNDS = 2


class Toy:
    """The mechanism X-TOY."""

    name = "X-TOY"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = False

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        if not answers[0].startswith(b"n="):
            raise BadMessage("Malformed X-TOY message")
        return Login(identity(answers[0][2:]), self.name, answers[0])


def toy_login(name: str) -> Login:
    """What a server dialogue reports when this user begins."""
    return Toy().login([b"n=" + name.encode()])


def proof(challenge: bytes, secret: bytes) -> bytes:
    """The user's response to a challenge."""
    return hmac.digest(secret, challenge, hashlib.sha256)


class ToyVerifier:
    """The script of a backend: takes each message, returns the next challenge or its verdict."""

    def __init__(self, secrets: Mapping[str, bytes], accepted: Accepted) -> None:
        self._secrets = secrets
        self._accepted = accepted
        self._proofs: list[bytes] = []
        self._challenge = b""
        self._secret = b""

    def begin(self, login: Login) -> bytes | Verdict:
        """Take the first message."""
        self._secret = self._secrets.get(login.identity.account, b"nobody has this secret")
        return self._next(login.identity.account)

    def receive(self, response: bytes | None) -> bytes | Verdict:
        """Take a response; None: the client cancelled."""
        if response is None:
            return self._wrong()
        if not hmac.compare_digest(response, proof(self._challenge, self._secret)):
            return self._wrong()
        self._proofs.append(response)
        if len(self._proofs) < ROUNDS:
            return self._next("again")
        return self._accepted

    def _next(self, about: str) -> bytes:
        # Every octet value, so that nothing on the way is text by accident.
        self._challenge = bytes(range(256)) + f"{len(self._proofs)}:{about}".encode()
        return self._challenge

    def _wrong(self) -> Verdict:
        return Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "wrong proof"))


@dataclass(frozen=True, slots=True)
class Relayed:
    """A login through two pairs, and how it ended for the user."""

    outcome: Verdict
    challenges: tuple[bytes, ...]
    """Those that reached the user."""
    front: Pair
    back: Pair


def relay(
    make: Callable[[Login], Pair],
    login: Login,
    secret: bytes | None,
    verifier: ToyVerifier,
) -> Relayed:
    """Log in through a proxy: user <-> our server, and our client <-> the backend's server.

    ``make`` makes either pair for a login; ``secret`` None: the user cancels when challenged.
    """
    front = make(login)
    back = make(_only(front.start(), Login))
    step = verifier.begin(_only(back.start(), Login))
    seen: list[bytes] = []
    while isinstance(step, bytes):
        challenge = _only(back.server_does(back.server.challenge(step)), Challenge)
        shown = _only(front.server_does(front.server.challenge(challenge.data)), Challenge)
        seen.append(shown.data)
        answer = None if secret is None else proof(shown.data, secret)
        response = _only(front.client_does(front.client.respond(answer)), Response)
        arrived = _only(back.client_does(back.client.respond(response.data)), Response)
        step = verifier.receive(arrived.data)
    verdict = _verdict(back.server_does(back.server.answer(step)))
    outcome = _verdict(front.server_does(front.server.answer(verdict)))
    return Relayed(outcome, tuple(seen), front, back)


def _only(milestones: list[Milestone], kind: type[M]) -> M:
    assert len(milestones) == 1, milestones
    found = milestones[0]
    assert isinstance(found, kind), milestones
    return found


def _verdict(milestones: list[Milestone]) -> Verdict:
    assert len(milestones) == 1, milestones
    found = milestones[0]
    assert isinstance(found, (Accepted, Rejected)), milestones
    return found
