"""Our client against our server: the same credentials arrive, or none leave."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import Accepted, Login, Response
from mailroute.offer import Policy
from mailroute.sasl.login import LoginMechanism
from mailroute.smtp.client import SmtpClient
from mailroute.smtp.server import Greeting, SmtpServer
from tests.support.laws import EVERY, bounded
from tests.support.pairs import (
    Pair,
    assert_pair_law,
    assert_verdicts_survive,
    logins,
    oauthbearer,
    offered_to,
    password,
    password_logins,
)


def pair_maker(
    offered: Policy, starttls: bool, secure: bool = False, chunk: int = 0
) -> Callable[[Login], Pair]:
    """Pairs over one kind of channel."""

    def make(login: Login) -> Pair:
        client = SmtpClient(login, starttls, secure, b"proxy.example")
        server = SmtpServer(offered, secure, 3, Greeting(b"mail.example"))
        return Pair(client, server, chunk)

    return make


class PairLawTests(SynchronousTestCase):
    """Any credentials, over every channel."""

    def test_every_login_arrives(self) -> None:
        """Where the backend offers everything, every login arrives as it was."""

        @bounded
        @given(logins(), st.booleans(), st.integers(0, 9))
        def law(login: Login, starttls: bool, chunk: int) -> None:
            offered = Policy(offered_to(login), starttls)
            maker = pair_maker(offered, starttls, not starttls, chunk)
            self.assertTrue(assert_pair_law(maker, login))

        law()

    def test_auth_login(self) -> None:
        """Where it offers LOGIN alone, every login by one name and a password arrives."""
        make = pair_maker(Policy((LoginMechanism(),), True), starttls=True)

        @bounded
        @given(password_logins())
        def law(login: Login) -> None:
            self.assertTrue(assert_pair_law(make, login))

        law()

    def test_any_offer(self) -> None:
        """Whatever it offers, the credentials arrive unchanged or not at all."""

        @bounded
        @given(logins(), st.sets(st.sampled_from(range(len(EVERY)))), st.booleans())
        def law(login: Login, chosen: set[int], secure: bool) -> None:
            mechanisms = offered_to(login, tuple(EVERY[number] for number in sorted(chosen)))
            arrived = assert_pair_law(pair_maker(Policy(mechanisms, True), False, secure), login)
            names = {mechanism.name for mechanism in mechanisms}
            if login.mechanism == "PLAIN" and not login.identity.authzid and "LOGIN" in names:
                names.add("PLAIN")
            self.assertEqual(arrived, secure and login.mechanism in names)

        law()

    def test_starttls(self) -> None:
        """The login waits for the handshake; a server without it gets no octet of it."""
        pair = pair_maker(Policy(EVERY, True), starttls=True)(password("alice", b"x"))
        pair.start()
        self.assertTrue(pair.upgraded)
        refusing = pair_maker(Policy(EVERY, False, True), starttls=True)
        self.assertFalse(assert_pair_law(refusing, password("alice", b"x")))

    def test_verdicts_survive(self) -> None:
        """A refusal means the same at both ends of a chain of two."""
        make = pair_maker(Policy(EVERY, False), starttls=False, secure=True)
        assert_verdicts_survive(make, password("alice", b"x"))

    def test_challenge_and_words_pass_through(self) -> None:
        """A second round passes both dialogues, and the last words arrive as they were."""
        make = pair_maker(Policy(EVERY, False), starttls=False, secure=True)
        pair = make(oauthbearer("alice"))
        pair.start()
        (challenge,) = pair.server_does(pair.server.challenge(b"\x00one"))
        self.assertEqual(getattr(challenge, "data", None), b"\x00one")
        self.assertEqual(pair.client_does(pair.client.respond(b"\x01")), [Response(b"\x01")])
        words = (b"235-2.7.0 a", b"235 2.7.0 b")
        self.assertEqual(pair.server_does(pair.server.answer(Accepted(words))), [Accepted(words)])
