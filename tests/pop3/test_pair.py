"""Our client plugged into our server: what is sent arrives, or is not sent."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import Accepted, Challenge, Login, Response
from mailroute.pop3.client import Pop3Client
from mailroute.pop3.server import Greeting, Pop3Server
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

ONLY_USER: tuple[Mechanism, ...] = (LoginMechanism(),)
"""A backend that has USER, and no SASL mechanism that we would use."""
WAYS: tuple[tuple[Mechanism, ...], ...] = (
    EVERY,
    ONLY_USER,
    (Plain(),),
    (XOAuth2(), OAuthBearer()),
)


def pairing(
    mechanisms: tuple[Mechanism, ...] = EVERY, starttls: bool = False, chunk: int = 0
) -> Callable[[Login], Pair]:
    """What makes a pair for a login; the backend offers these mechanisms."""

    def make(login: Login) -> Pair:
        secure = not starttls
        server = Pop3Server(policy(mechanisms=offered_to(login, mechanisms)), secure, 3, Greeting())
        return Pair(Pop3Client(login, starttls, secure), server, chunk)

    return make


class PairTests(SynchronousTestCase):
    """The law of the pair."""

    PASSWORDS: ClassVar[list[bytes]] = [
        b"secret", b" leading", b"trailing ", b"  ", b'"quoted"', b"back\\slash", b"\xff\xfe8-bit",
        b"p" * 248, b"{3+}", b"*", b"=", b"tab\t", b"\x01",
    ]  # fmt: skip

    def test_any_login(self) -> None:
        """The same credentials arrive, or nothing of them is written, whatever they hold."""

        @settings(max_examples=100, deadline=None, derandomize=True)
        @given(logins(), st.sampled_from(WAYS), st.booleans(), st.sampled_from((0, 1)))
        def law(
            login: Login, mechanisms: tuple[Mechanism, ...], starttls: bool, chunk: int
        ) -> None:
            assert_pair_law(pairing(mechanisms, starttls, chunk), login)

        law()

    def test_what_must_arrive(self) -> None:
        """Whatever AUTH lists carries any credentials, tokens of 300 octets and more too."""
        for login in (
            *(password("alice", secret) for secret in self.PASSWORDS),
            password("alice", b"line\r\nend"),
            password("al ice", b"x"),
            password("admin", b"secret", "alice@example.org"),
            password("älice", b"p" * 300),
            xoauth2("alice", b"t" * 300),
            oauthbearer("al,i=ce", b"t" * 12288),
            scram("SCRAM-SHA-256", "al,i=ce", "bob"),
            external("alice@example.org", is_named=False),
        ):
            for starttls in (False, True):
                self.assertTrue(assert_pair_law(pairing(starttls=starttls), login), login)

    def test_what_user_and_pass_carry(self) -> None:
        """Any password of one line arrives by PASS; the rest is refused before USER."""
        make = pairing(ONLY_USER)
        for secret in self.PASSWORDS:
            self.assertTrue(assert_pair_law(make, password("älice@example.org", secret)), secret)
        for login in (
            password("alice", b"line\r\nend"),
            password("alice", b"p" * 300),
            password("al ice", b"x"),
            password("a\r\nQUIT", b"x"),
            password("admin", b"x", "alice"),
            xoauth2("alice"),
        ):
            self.assertFalse(assert_pair_law(make, login), login)

    def test_verdicts_survive(self) -> None:
        """Our client understands every rejection of our server, on either way."""
        for mechanisms in WAYS[:3]:
            assert_verdicts_survive(pairing(mechanisms), password("alice", b"x"))

    def test_relay_and_join(self) -> None:
        """A challenge and its response cross verbatim; then both sides are joined."""
        pair = pairing()(xoauth2("alice"))
        self.assertIsInstance(pair.start()[-1], Login)
        data = bytes(range(256))
        self.assertEqual(pair.server_does(pair.server.challenge(data)), [Challenge(data)])
        self.assertEqual(pair.client_does(pair.client.respond(data)), [Response(data)])
        verdict = Accepted((b"2 messages",))
        self.assertEqual(pair.server_does(pair.server.answer(verdict)), [verdict])
        self.assertEqual((pair.client.trailing_data, pair.server.trailing_data), (b"", b""))
