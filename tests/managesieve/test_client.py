"""The client's side of ManageSieve: transcripts, the choice of the way, verdicts, the laws."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.credentials import Identity
from mailroute.errors import FailureKind
from mailroute.events import Accepted, Login, Rejected
from mailroute.managesieve.client import ManageSieveClient
from mailroute.route import Announcement, Origin
from tests.support.dialogues import TLS, assert_transcript, written
from tests.support.laws import SECRET, ClientLaws
from tests.support.pairs import oauthbearer, password, xoauth2

ORIGIN = Origin("id", "managesieve", "192.0.2.1", 1, "192.0.2.2", 4190)


def hello(sasl: str, words: str = "ready") -> str:
    """A backend's greeting, as a transcript."""
    return f'S: "IMPLEMENTATION" "east"\nS: "SASL" "{sasl}"\nS: "STARTTLS"\nS: OK "{words}"\n'


def greeting(sasl: bytes = b"PLAIN XOAUTH2 OAUTHBEARER") -> bytes:
    """The same, as octets."""
    return b'"IMPLEMENTATION" "east"\r\n"SASL" "' + sasl + b'"\r\n"STARTTLS"\r\nOK\r\n'


def make(
    login: Login | None = None, starttls: bool = False, secure: bool = True
) -> ManageSieveClient:
    return ManageSieveClient(login or password("mrose", b"secret"), starttls, secure)


def maker(login: Login) -> Callable[[], ManageSieveClient]:
    """What makes fresh dialogues for this login."""
    return lambda: make(login)


def rejected(dialogue: ManageSieveClient, data: bytes) -> Rejected:
    """The rejection that these bytes of a backend lead to."""
    events = dialogue.start() + dialogue.receive_data(data)
    verdict = events[-1]
    assert isinstance(verdict, Rejected), events
    return verdict


class ManageSieveClientLawsTests(ClientLaws, SynchronousTestCase):
    """The laws of every client dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"OK", b"NO", b"BYE", b" ", b"\r\n", b"OK\r\n", b'OK "x"\r\n', b'NO "no"\r\n', b'""\r\n',
        b'"SASL" "LOGIN"\r\nOK\r\n', b'"SASL" "PLAIN"\r\n', b'"STARTTLS"\r\n', b'OK (SASL "YQ==")',
        b'NO (TRYLATER) "x"\r\n', b"BYE\r\n", b'"YQ=="\r\n', b"{4}\r\nYQ==\r\n", b"{3}", b'"', b"(",
        b'(REFERRAL "sieve://x")', b"{99999}\r\n", b"\0", b"\xff", b"\n",
    ]  # fmt: skip
    greeting: ClassVar[bytes] = b'"SASL" "LOGIN"\r\n"STARTTLS"\r\nOK "ready"\r\n'
    offering: ClassVar[bytes] = b'"SASL" "SCRAM-SHA-1 SCRAM-SHA-256"\r\nOK\r\n'
    challenge: ClassVar[bytes] = b'"eA=="\r\n'

    def make(self, login: Login, starttls: bool, secure: bool) -> ClientDialogue:
        return make(login, starttls, secure)

    def consent(self, dialogue: ClientDialogue) -> bytes:
        return b'OK "Begin TLS negotiation"\r\n'

    def refusal(self, dialogue: ClientDialogue) -> bytes:
        return b'NO "TLS is not available"\r\n'

    def test_laws_reach_the_login(self) -> None:
        """The conversations of the laws are made of replies that lead to a password."""
        dialogue = self.make(self.login(), False, True)
        dialogue.start()
        said = written(dialogue.receive_data(self.greeting + b'""\r\n{4}\r\nYQ==\r\n'))
        self.assertTrue(said.endswith(b'"' + base64.b64encode(SECRET) + b'"\r\n'), said)


class WayTests(SynchronousTestCase):
    """How the login is written."""

    def check(self, login: Login, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(maker(login), transcript, trailing)

    def test_initial_response(self) -> None:
        """Section 2.1: PLAIN at once; what follows OK belongs to the client."""
        for greeted in (
            hello("PLAIN"),
            hello("DIGEST-MD5 plain"),
            'S: {4}\nS: sasl {5}\nS: PLAIN\nS: OK (TAG "x") {2}\nS: hi\n',
        ):
            self.check(
                password("test", b"test"),
                greeted
                + """
                C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="
                S: OK "Welcome"
                = Accepted Welcome
                """,
                trailing=b'"SASL" ""\r\nOK "Capability completed."\r\n',
            )

    def test_initial_response_by_length(self) -> None:
        """Beyond 1024 octets a literal, beyond what a command line takes only when asked for."""
        around = len(xoauth2("a", b"").initial_response or b"")
        for octets, form in ((765, "quoted"), (768, "quoted"), (769, "literal"), (6001, "asked")):
            login = xoauth2("a", b"x" * (octets - around))
            text = base64.b64encode(login.initial_response or b"").decode()
            literal = f"{{{len(text)}+}}\nC: {text}\n"
            said = {
                "quoted": f'C: AUTHENTICATE "XOAUTH2" "{text}"\n',
                "literal": f'C: AUTHENTICATE "XOAUTH2" {literal}',
                "asked": f'C: AUTHENTICATE "XOAUTH2"\nS: ""\nC: {literal}',
            }
            self.check(login, hello("XOAUTH2") + said[form] + "S: OK\n= Accepted\n")

    def test_empty_initial_response(self) -> None:
        """Section 2.1: an empty string, where other protocols write "="."""
        login = Login(Identity("a"), "EXTERNAL", b"")
        said = 'C: AUTHENTICATE "EXTERNAL" ""\nS: OK\n= Accepted\n'
        self.check(login, hello("EXTERNAL") + said)

    def test_login(self) -> None:
        """A name and a password by LOGIN, whatever its prompts say."""
        for first, second in (
            ("VXNlcm5hbWU6", "UGFzc3dvcmQ6"),
            ("", ""),
            ("VXNlciBOYW1lAA==", "UGFzc3dvcmQA"),
        ):
            self.check(
                password("mrose", b"secret"),
                hello("LOGIN CRAM-MD5")
                + f"""
                C: AUTHENTICATE "LOGIN"
                S: "{first}"
                C: "bXJvc2U="
                S: "{second}"
                C: "c2VjcmV0"
                S: OK "in"
                = Accepted in
                """,
                trailing=b"OK\r\n",
            )

    def test_starttls(self) -> None:
        """Section 2.2: the list behind the handshake comes unasked, and it alone counts."""
        assert_transcript(
            lambda: make(starttls=True, secure=False),
            hello("LOGIN EVIL")
            + """
            C: STARTTLS
            S: OK "Begin TLS negotiation now"
            = StartTLS
            > tls
            S: "SASL" "PLAIN"
            S: OK "TLS negotiation successful"
            C: AUTHENTICATE "PLAIN" "AG1yb3NlAHNlY3JldA=="
            S: OK
            = Accepted
            """,
        )

    def test_list_from_before_the_handshake(self) -> None:
        """A mechanism that only the list in the clear had is not used."""
        dialogue = make(starttls=True, secure=False)
        dialogue.start()
        dialogue.receive_data(greeting(b"PLAIN LOGIN") + b"OK\r\n")
        dialogue.tls_established(TLS)
        verdict = dialogue.receive_data(b'"VERSION" "1.0"\r\nOK\r\n')[-1]
        assert isinstance(verdict, Rejected)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_INCAPABLE)

    def test_starttls_not_offered(self) -> None:
        """Who strips STARTTLS from the list gets no credentials."""
        verdict = rejected(make(starttls=True, secure=False), b'"SASL" "PLAIN"\r\nOK\r\n')
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_UNTRUSTED)
        self.assertIn("STARTTLS", verdict.failure.reason)

    def test_without_tls(self) -> None:
        """Credentials do not leave in the clear unless that is allowed."""
        for sasl in ("PLAIN", "LOGIN"):
            assert_transcript(
                lambda: make(secure=False), hello(sasl) + "= Rejected backend-untrusted\n"
            )

    def test_nothing_fits(self) -> None:
        """A backend without a way for this login is no verdict on the credentials."""
        for login, sasl in (
            (xoauth2("a"), "PLAIN LOGIN"),
            (oauthbearer("a"), "PLAIN XOAUTH2"),
            (password("a", b"b"), ""),
            (password("a", b"b"), "XOAUTH2 PLAIN-ISH"),
            (password("a", b"b", "c"), "LOGIN"),
        ):
            self.check(login, hello(sasl) + "= Rejected backend-incapable\n")
        self.check(xoauth2("a"), "S: OK\n= Rejected backend-incapable\n")

    def test_relayed_challenge(self) -> None:
        """A challenge that is not the request for our first message is the client's."""
        begun = hello("XOAUTH2") + (
            'C: AUTHENTICATE "XOAUTH2" "dXNlcj1hAWF1dGg9QmVhcmVyIHRva2VuAQE="\n'
        )
        for challenge in (
            'S: "eyJzdGF0dXMiOiI0MDEifQ=="\n',
            "S: {24}\nS: eyJzdGF0dXMiOiI0MDEifQ==\n",
        ):
            self.check(
                xoauth2("a"),
                begun
                + challenge
                + """
                = Challenge {"status":"401"}
                > respond
                C: ""
                S: NO "Token refused"
                = Rejected credentials-rejected
                """,
            )
        self.check(
            xoauth2("a"),
            begun + 'S: "YQ=="\n= Challenge a\n> respond *\nC: "*"\n'
            'S: NO "cancelled"\n= Rejected credentials-rejected\n',
        )
        self.check(xoauth2("a"), begun + 'S: "!!"\n= Rejected backend-misbehaved\n')

    def test_long_response(self) -> None:
        """A response that quotes cannot hold is a literal."""
        dialogue = make(xoauth2("a"))
        dialogue.start()
        dialogue.receive_data(greeting() + b'"YQ=="\r\n')
        text = base64.b64encode(b"x" * 900)
        said = written(dialogue.respond(b"x" * 900))
        self.assertEqual(said, b"{1200+}\r\n" + text + b"\r\n")


class VerdictTests(SynchronousTestCase):
    """What a backend's words mean."""

    LOGIN_BEGUN = greeting(b"LOGIN") + b'""\r\n'

    def test_refusals(self) -> None:
        """Section 1.3: a code tells trouble and policy from credentials; text passes."""
        for said, kind, words in (
            (b"NO", FailureKind.CREDENTIALS_REJECTED, ()),
            (b'NO ""', FailureKind.CREDENTIALS_REJECTED, ()),
            (b'NO "wrong"', FailureKind.CREDENTIALS_REJECTED, (b"wrong",)),
            (b'NO (X-ODD 1 "y") "wrong"', FailureKind.CREDENTIALS_REJECTED, (b"wrong",)),
            (b'NO (TRYLATER) "later"', FailureKind.BACKEND_BUSY, (b"later",)),
            (b"no (trylater)", FailureKind.BACKEND_BUSY, ()),
            (b'NO (AUTH-TOO-WEAK) "no"', FailureKind.BACKEND_REFUSED, (b"no", b"AUTH-TOO-WEAK")),
            (
                b'NO (TRANSITION-NEEDED) "no"',
                FailureKind.BACKEND_REFUSED,
                (b"no", b"TRANSITION-NEEDED"),
            ),
            # The client has TLS to us; that we have none to the backend is the operator's affair.
            (b'NO (ENCRYPT-NEEDED) "TLS!"', FailureKind.BACKEND_INCAPABLE, ()),
            (b'BYE "restarting"', FailureKind.BACKEND_UNREACHABLE, ()),
            (b'BYE (TRYLATER) "restarting"', FailureKind.BACKEND_BUSY, ()),
        ):
            for before in (greeting(), self.LOGIN_BEGUN):
                verdict = rejected(make(), before + said + b"\r\n")
                self.assertIs(verdict.failure.kind, kind, said)
                self.assertEqual(verdict.words, words, said)

    def test_referrals(self) -> None:
        """Neither followed nor shown: the table says where an account lives, the log tells."""
        code = b'(REFERRAL "sieve://west.internal") "try west.internal"\r\n'
        for status, kind in (
            (b"NO ", FailureKind.BACKEND_REFUSED),
            (b"BYE ", FailureKind.BACKEND_UNREACHABLE),
        ):
            verdict = rejected(make(), greeting() + status + code)
            self.assertIs(verdict.failure.kind, kind)
            self.assertEqual(verdict.words, ())
            self.assertIn("west.internal", verdict.failure.reason)
        self.assertIs(
            rejected(make(), b"BYE " + code).failure.kind, FailureKind.BACKEND_UNREACHABLE
        )
        dialogue = make()
        events = dialogue.start() + dialogue.receive_data(greeting() + b"OK " + code)
        self.assertEqual(events[-1], Accepted())

    def test_final_data(self) -> None:
        """Section 2.1: the mechanism's last data stands inside OK, quoted or as a literal."""
        for said, expected in (
            (b'OK (SASL "dj14") "in"', Accepted((b"in",), final=b"v=x")),
            (b"OK (SASL {4}\r\ndj14)", Accepted(final=b"v=x")),
            (b'OK (sasl "")', Accepted(final=b"")),
            (b'OK (WARNINGS) "in"', Accepted((b"in",))),
        ):
            dialogue = make(xoauth2("a"))
            events = dialogue.start() + dialogue.receive_data(greeting() + said + b"\r\n")
            self.assertEqual(events[-1], expected)
        verdict = rejected(make(), greeting() + b'OK (SASL "!") "in"\r\n')
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_greetings(self) -> None:
        """NO and BYE are a backend that is not there, or is busy; anything else is another."""
        for said, kind in (
            (b'BYE "full"', FailureKind.BACKEND_UNREACHABLE),
            (b'BYE (TRYLATER) "full"', FailureKind.BACKEND_BUSY),
            (b'NO "go away"', FailureKind.BACKEND_UNREACHABLE),
            (b'"SASL" "PLAIN"\r\nBYE', FailureKind.BACKEND_UNREACHABLE),
            (b"* OK IMAP4rev1", FailureKind.BACKEND_MISBEHAVED),
            (b"+OK POP3", FailureKind.BACKEND_MISBEHAVED),
            (b"220 mx ESMTP", FailureKind.BACKEND_MISBEHAVED),
            (b'"SASL" PLAIN', FailureKind.BACKEND_MISBEHAVED),
            (b"", FailureKind.BACKEND_MISBEHAVED),
        ):
            verdict = rejected(make(), said + b"\r\n")
            self.assertIs(verdict.failure.kind, kind, said)
            self.assertEqual(verdict.words, ())

    def test_misbehaviour(self) -> None:
        """A reply that is none, or not to this command, is the backend's fault and temporary."""
        for said in (
            greeting() + b"OKAY\r\n",
            greeting() + b'"SASL" "PLAIN"\r\n',
            greeting() + b'OK "unfinished\r\n',
            greeting() + b'"YQ=="\r\n',
            self.LOGIN_BEGUN + b'""\r\n""\r\n',
        ):
            verdict = rejected(make(), said)
            self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED, said)
        verdict = rejected(make(starttls=True), greeting() + b'"SASL" "PLAIN"\r\n')
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_challenge_before_the_login(self) -> None:
        """A string in answer to XCLIENT draws no credentials out of us."""
        dialogue = make()
        dialogue.announcement = Announcement(ORIGIN, 7)
        events = dialogue.start() + dialogue.receive_data(b'"XCLIENT"\r\n' + greeting())
        self.assertTrue(written(events).startswith(b"XCLIENT "), events)
        events = dialogue.receive_data(b'""\r\n')
        self.assertEqual(written(events), b"")
        assert isinstance(events[-1], Rejected)
        self.assertIs(events[-1].failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_accepted_before_anything_was_proved(self) -> None:
        """OK while our credentials are still ours to send logs nobody in."""
        for before, login in (
            (greeting(), xoauth2("a", b"x" * 9000)),
            (greeting(b"LOGIN"), None),
            (self.LOGIN_BEGUN, None),
        ):
            verdict = rejected(make(login), before + b"OK\r\n")
            self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_no_secret_in_a_reason(self) -> None:
        """A backend that repeats our command is not quoted in the log; its words still pass."""
        login = password("mrose", SECRET)
        repeated = base64.b64encode(b"\0mrose\0" + SECRET)
        for said in (
            b'NO "bad ' + repeated + b'"\r\n',
            b"NO {%d}\r\n" % len(repeated) + repeated + b"\r\n",
            b'NO (X "' + repeated + b'") "no"\r\n',
            b"huh " + repeated + b"\r\n",
            b'BYE "' + SECRET + b'"\r\n',
        ):
            verdict = rejected(make(login), greeting() + said)
            self.assertIn("withheld", verdict.failure.reason, said)
            self.assertNotIn(repeated.decode()[:16], verdict.failure.reason)
        verdict = rejected(make(login), greeting() + b'NO (X) "no such box"\r\n')
        self.assertEqual(verdict.failure.reason, "backend answered NO X no such box")

    def test_endless_capabilities(self) -> None:
        """A list is bounded as a whole, a literal by its announced size."""
        line = b'"' + b"X" * 60 + b'"\r\n'
        dialogue = make()
        dialogue.start()
        self.assertEqual(dialogue.receive_data(line * (REPLY_LIMIT // len(line))), [])
        verdict = dialogue.receive_data(line)[-1]
        assert isinstance(verdict, Rejected)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)
        verdict = rejected(make(), b"{%d}\r\n" % REPLY_LIMIT)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_endings(self) -> None:
        """Silence and loss say in the log what was waited for."""
        for transcript in (
            hello("PLAIN")
            + 'C: AUTHENTICATE "PLAIN" "AG1yb3NlAHNlY3JldA=="\n> timeout\n'
            + "= Rejected backend-timed-out\n",
            hello("LOGIN") + 'C: AUTHENTICATE "LOGIN"\n> end\n= Rejected backend-unreachable\n',
        ):
            assert_transcript(make, transcript)
        dialogue = make()
        dialogue.start()
        verdict = dialogue.timed_out()[-1]
        assert isinstance(verdict, Rejected)
        self.assertEqual(verdict.failure.reason, "no answer while waiting for the greeting")
