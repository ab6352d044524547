"""Our client plugged into our server: what is sent arrives, or is not sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Challenge, Login, Rejected, Response
from mailroute.managesieve.client import ManageSieveClient
from mailroute.managesieve.server import Greeting, ManageSieveServer
from mailroute.offer import Policy
from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import Mechanism
from mailroute.sasl.oauthbearer import OAuthBearer
from mailroute.sasl.plain import Plain
from mailroute.sasl.xoauth2 import XOAuth2
from tests.support.laws import EVERY, policy
from tests.support.pairs import (
    Pair,
    assert_pair_law,
    assert_verdicts_survive,
    external,
    logins,
    oauthbearer,
    offered_to,
    password,
    scram,
    xoauth2,
)
from tests.support.toy import Relayed, Toy, ToyVerifier, relay, toy_login

ONLY_LOGIN: tuple[Mechanism, ...] = (LoginMechanism(),)
WAYS: tuple[tuple[Mechanism, ...], ...] = (
    EVERY,
    ONLY_LOGIN,
    (Plain(),),
    (XOAuth2(), OAuthBearer()),
)
WELCOME = Accepted((b"Welcome",), final=b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=")


def pairing(
    mechanisms: tuple[Mechanism, ...] = EVERY, starttls: bool = False, chunk: int = 0
) -> Callable[[Login], Pair]:
    """What makes a pair for a login; the backend offers these mechanisms."""

    def make(login: Login) -> Pair:
        secure = not starttls
        server = ManageSieveServer(
            policy(mechanisms=offered_to(login, mechanisms)), secure, 3, Greeting()
        )
        return Pair(ManageSieveClient(login, starttls, secure), server, chunk)

    return make


class PairTests(SynchronousTestCase):
    """The law of the pair."""

    PASSWORDS: ClassVar[list[bytes]] = [
        b"secret", b" leading", b"trailing ", b'"quoted"', b"back\\slash", b"\xff\xfe8-bit",
        b"p" * 1000, b"{3+}", b"*", b"=", b"line\r\nend", b"\x01",
    ]  # fmt: skip

    def test_any_login(self) -> None:
        """The same credentials arrive, or nothing of them is written, whatever they hold."""

        @settings(max_examples=100, deadline=None, derandomize=True)
        @given(logins(), st.sampled_from(WAYS), st.booleans(), st.sampled_from((0, 1)))
        def law(
            login: Login, mechanisms: tuple[Mechanism, ...], starttls: bool, chunk: int
        ) -> None:
            arrived = assert_pair_law(pairing(mechanisms, starttls, chunk), login)
            self.assertTrue(arrived or mechanisms is not EVERY, login)

        law()

    def test_what_must_arrive(self) -> None:
        """Any password by PLAIN or by LOGIN; tokens of 12 KiB, in a literal of their own."""
        for starttls in (False, True):
            for secret in self.PASSWORDS:
                for mechanisms in (EVERY, ONLY_LOGIN):
                    login = password("älice@example.org", secret)
                    self.assertTrue(assert_pair_law(pairing(mechanisms, starttls), login), secret)
            for login in (
                password("admin", b"secret", "alice@example.org"),
                xoauth2("alice", b"t" * 2000),
                oauthbearer("al,i=ce", b"t" * 12288),
                scram("SCRAM-SHA-256", "al,i=ce", "bob"),
                external("alice@example.org", is_named=False),
            ):
                self.assertTrue(assert_pair_law(pairing(starttls=starttls), login), login)

    def test_what_login_cannot_carry_is_not_sent(self) -> None:
        """A name to act for, or a token, is refused before a byte of it is written."""
        for login in (password("bob", b"x", "alice"), xoauth2("bob"), oauthbearer("bob")):
            self.assertFalse(assert_pair_law(pairing(ONLY_LOGIN), login), login)

    def test_verdicts_survive(self) -> None:
        """Our client reads our server's rejections as they were meant."""
        for mechanisms in WAYS[:3]:
            assert_verdicts_survive(pairing(mechanisms), password("alice", b"x"))


class ToyRelayTests(SynchronousTestCase):
    """A mechanism of two rounds passes through both dialogues, whatever its octets."""

    def relay(self, secret: bytes | None, starttls: bool = False, chunk: int = 0) -> Relayed:
        """Log in alice, whose secret is "secret", by X-TOY."""
        verifier = ToyVerifier({"alice": b"secret"}, WELCOME)
        make = pairing((*EVERY, Toy()), starttls, chunk)
        return relay(make, toy_login("alice"), secret, verifier)

    def test_two_rounds(self) -> None:
        """Challenges and responses pass verbatim, and so does the data behind OK (section 2.1)."""
        for starttls in (False, True):
            for chunk in (0, 1):
                relayed = self.relay(b"secret", starttls, chunk)
                self.assertEqual(relayed.outcome, WELCOME)
                self.assertEqual(len(relayed.challenges), 2)
                self.assertTrue(relayed.challenges[0].startswith(bytes(range(256))))
                self.assertIn(b'\r\nOK (SASL "dj1y', relayed.front.server_said)

    def test_wrong_secret(self) -> None:
        """The first proof fails: one challenge, and the backend's rejection."""
        relayed = self.relay(b"guess")
        assert isinstance(relayed.outcome, Rejected)
        self.assertIs(relayed.outcome.failure.kind, FailureKind.CREDENTIALS_REJECTED)
        self.assertEqual(len(relayed.challenges), 1)

    def test_cancelled(self) -> None:
        """The user's "*" reaches the backend, and each side answers NO (section 2.1)."""
        relayed = self.relay(None)
        assert isinstance(relayed.outcome, Rejected)
        self.assertIs(relayed.outcome.failure.kind, FailureKind.CREDENTIALS_REJECTED)
        for pair in (relayed.front, relayed.back):
            self.assertTrue(pair.client_said.endswith(b'\r\n"*"\r\n'))
            self.assertTrue(pair.server_said.endswith(b'\r\nNO "Authentication cancelled."\r\n'))

    def test_offered_without_tls(self) -> None:
        """A mechanism that reveals no secret is offered where passwords are not."""
        offered = Policy((*EVERY, Toy()), starttls=True)
        server = ManageSieveServer(offered, False, 3, Greeting())
        pair = Pair(ManageSieveClient(toy_login("alice"), False, True), server)
        self.assertEqual(pair.start(), [toy_login("alice")])
        self.assertIn(b'\r\n"SASL" "SCRAM-SHA-1 SCRAM-SHA-256 X-TOY"\r\n', pair.server_said)

    def test_relay_and_join(self) -> None:
        """A challenge longer than quotes hold crosses as a literal; then both sides are joined."""
        pair = pairing()(xoauth2("alice"))
        self.assertIsInstance(pair.start()[-1], Login)
        data = bytes(range(256)) * 8
        self.assertEqual(pair.server_does(pair.server.challenge(data)), [Challenge(data)])
        self.assertEqual(pair.client_does(pair.client.respond(data)), [Response(data)])
        verdict = Accepted((b"Hello",))
        self.assertEqual(pair.server_does(pair.server.answer(verdict)), [verdict])
        self.assertEqual((pair.client.trailing_data, pair.server.trailing_data), (b"", b""))
