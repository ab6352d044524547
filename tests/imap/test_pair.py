"""Our IMAP client plugged into our IMAP server: what is sent arrives, or is not sent."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Challenge, Login, Rejected, Response
from mailroute.imap.client import ImapClient
from mailroute.imap.server import Greeting, ImapServer
from mailroute.offer import Policy
from mailroute.sasl.login import LoginMechanism
from mailroute.sasl.mechanism import Mechanism
from tests.support.laws import EVERY, policy
from tests.support.pairs import (
    Pair,
    assert_pair_law,
    assert_verdicts_survive,
    logins,
    oauthbearer,
    offered_to,
    password,
    password_logins,
    scram,
    xoauth2,
)
from tests.support.toy import Relayed, Toy, ToyVerifier, relay, toy_login

ONLY_LOGIN: tuple[Mechanism, ...] = (LoginMechanism(),)
"""A backend on which PLAIN can be used by the LOGIN command alone."""
LISTS = (
    ("IMAP4rev1",),
    ("IMAP4rev1", "SASL-IR"),
    ("IMAP4rev1", "LITERAL-"),
    ("IMAP4rev1", "LITERAL+", "SASL-IR"),
)
WELCOME = Accepted((b"[CAPABILITY IMAP4rev1 IDLE] Logged in",))
bounded = settings(max_examples=60, deadline=None, derandomize=True)


def pairing(
    mechanisms: tuple[Mechanism, ...] = EVERY,
    advertise: tuple[str, ...] = LISTS[0],
    starttls: bool = False,
    chunk: int = 0,
) -> Callable[[Login], Pair]:
    """What makes a pair for a login; the backend offers these mechanisms and extensions."""

    def make(login: Login) -> Pair:
        offered = policy(mechanisms=offered_to(login, mechanisms))
        server = ImapServer(offered, not starttls, 3, Greeting(advertise=advertise))
        return Pair(ImapClient(login, starttls, not starttls), server, chunk)

    return make


class PairTests(SynchronousTestCase):
    """The law of the pair."""

    def test_any_credentials(self) -> None:
        """The same credentials arrive, or not a byte of them is written."""

        @bounded
        @given(logins(), st.sampled_from(LISTS), st.booleans(), st.sampled_from((0, 1, 5)))
        def law(login: Login, advertise: tuple[str, ...], starttls: bool, chunk: int) -> None:
            for mechanisms in (EVERY, ONLY_LOGIN):
                make = pairing(mechanisms, advertise, starttls, chunk)
                arrived = assert_pair_law(make, login)
                self.assertTrue(arrived or mechanisms is ONLY_LOGIN, login)

        law()

    def test_any_password_by_login_command(self) -> None:
        """LOGIN carries any name and password: what quotes cannot hold goes as a literal."""

        @bounded
        @given(password_logins(), st.sampled_from(LISTS))
        def law(login: Login, advertise: tuple[str, ...]) -> None:
            self.assertTrue(assert_pair_law(pairing(ONLY_LOGIN, advertise), login))

        law()

    def test_what_login_cannot_carry_is_not_sent(self) -> None:
        """A name to act for, or a token, is refused before a byte of it is written."""
        for login in (
            password("bob", b"x", "alice"),
            xoauth2("bob"),
            oauthbearer("bob"),
            scram("SCRAM-SHA-1", "bob"),
        ):
            self.assertFalse(assert_pair_law(pairing(ONLY_LOGIN), login), login)

    def test_acting_for_oneself(self) -> None:
        """An authzid equal to the authcid needs no authzid (RFC 4616 section 2)."""
        self.assertTrue(assert_pair_law(pairing(ONLY_LOGIN), password("bob", b"x", "bob")))

    def test_command_injection(self) -> None:
        """A line end in name or password never begins a command at the backend (RFC 9051 4.3)."""
        for evil in ('x" "y"\r\nmr9 LOGOUT\r\n', "{3+}\r\nabc\r\nmr2 NOOP\r\n", "x\nmr3 LOGOUT\n"):
            for login in (password(evil, b"x"), password("x", evil.encode())):
                for advertise in LISTS:
                    for mechanisms in (EVERY, ONLY_LOGIN):
                        make = pairing(mechanisms, advertise, chunk=1)
                        self.assertTrue(assert_pair_law(make, login))

    def test_upgraded_pair(self) -> None:
        """STARTTLS comes before the credentials, and CAPABILITY is asked again behind it."""
        pair = pairing(starttls=True)(password("alice", b"secret"))
        milestones = pair.start()
        self.assertTrue(pair.upgraded)
        self.assertIsInstance(milestones[-1], Login)
        verbs = [line.split()[1] for line in pair.client_said.splitlines()[:3]]
        self.assertEqual(verbs, [b"STARTTLS", b"CAPABILITY", b"AUTHENTICATE"])

    def test_verdicts_survive(self) -> None:
        """Our client reads our server's rejections as they were meant (RFC 5530)."""
        for mechanisms in (EVERY, ONLY_LOGIN):
            assert_verdicts_survive(pairing(mechanisms), password("alice", b"secret"))


class ToyRelayTests(SynchronousTestCase):
    """A mechanism of two rounds passes through both dialogues, whatever its octets."""

    def relay(
        self, secret: bytes | None, advertise: tuple[str, ...] = LISTS[0], chunk: int = 0
    ) -> Relayed:
        """Log in alice, whose secret is "secret", by X-TOY."""
        verifier = ToyVerifier({"alice": b"secret"}, WELCOME)
        make = pairing((*EVERY, Toy()), advertise, chunk=chunk)
        return relay(make, toy_login("alice"), secret, verifier)

    def test_two_rounds(self) -> None:
        """Challenge and response pass verbatim, twice, and the verdict comes back."""
        for advertise in LISTS:
            for chunk in (0, 1):
                relayed = self.relay(b"secret", advertise, chunk)
                self.assertEqual(relayed.outcome, WELCOME)
                self.assertEqual(len(relayed.challenges), 2)
                self.assertTrue(relayed.challenges[0].startswith(bytes(range(256))))

    def test_wrong_secret(self) -> None:
        """The first proof fails: one challenge, and the backend's rejection."""
        relayed = self.relay(b"guess")
        assert isinstance(relayed.outcome, Rejected)
        self.assertIs(relayed.outcome.failure.kind, FailureKind.CREDENTIALS_REJECTED)
        self.assertEqual(len(relayed.challenges), 1)

    def test_cancelled(self) -> None:
        """The user's "*" reaches the backend, and each side answers BAD (RFC 3501 6.2.2)."""
        relayed = self.relay(None)
        assert isinstance(relayed.outcome, Rejected)
        self.assertIs(relayed.outcome.failure.kind, FailureKind.CREDENTIALS_REJECTED)
        for pair in (relayed.front, relayed.back):
            self.assertTrue(pair.client_said.endswith(b"\r\n*\r\n"))
            self.assertIn(b" BAD Authentication cancelled.", pair.server_said)

    def test_offered_without_tls(self) -> None:
        """A mechanism that reveals no secret is offered where passwords are not."""
        offered = Policy((*EVERY, Toy()), starttls=True)
        server = ImapServer(offered, False, 3, Greeting())
        pair = Pair(ImapClient(toy_login("alice"), False, True), server)
        self.assertEqual(pair.start(), [toy_login("alice")])
        self.assertIn(b" AUTH=SCRAM-SHA-1 AUTH=SCRAM-SHA-256 AUTH=X-TOY]", pair.server_said)

    def test_challenge_to_a_password_command(self) -> None:
        """A client of LOGIN cannot answer a challenge: it is cancelled in its name, unshown."""
        pair = pairing(ONLY_LOGIN)(password("alice", b"secret"))
        pair.start()
        before = pair.server_said
        self.assertEqual(pair.server_does(pair.server.challenge(b"?")), [Response(None)])
        self.assertEqual(pair.server_said, before)
        answer = pair.server_does(pair.server.answer(WELCOME))
        self.assertEqual(answer, [WELCOME])
        self.assertFalse(any(isinstance(milestone, Challenge) for milestone in answer))
