"""The client's side of POP3: transcripts, the choice of the way, verdicts, and the laws."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.errors import FailureKind
from mailroute.events import Login, Rejected
from mailroute.pop3.client import Pop3Client
from tests.support.dialogues import assert_transcript, written
from tests.support.laws import SECRET, ClientLaws
from tests.support.pairs import oauthbearer, password, xoauth2

HELLO = "S: +OK POP3 server ready <1896.697170952@dbc.mtview.ca.us>\nC: CAPA\n"
SASL = "S: +OK Capability list follows\nS: TOP\nS: USER\nS: SASL PLAIN XOAUTH2 OAUTHBEARER\nS: .\n"
USER_ONLY = "S: +OK\nS: USER\nS: .\n"


def make(login: Login | None = None, starttls: bool = False, secure: bool = True) -> Pop3Client:
    return Pop3Client(login or password("mrose", b"secret"), starttls, secure)


def maker(login: Login) -> Callable[[], Pop3Client]:
    """What makes fresh dialogues for this login."""
    return lambda: make(login)


def rejected(dialogue: Pop3Client, data: bytes) -> Rejected:
    """The rejection that these bytes of a backend lead to."""
    events = dialogue.start() + dialogue.receive_data(data)
    verdict = events[-1]
    assert isinstance(verdict, Rejected), events
    return verdict


class Pop3ClientLawsTests(ClientLaws, SynchronousTestCase):
    """The laws of every client dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"+OK", b"-ERR", b"+", b" ", b"\r\n", b".", b".\r\n", b"+OK\r\n", b"-ERR no\r\n", b"+ \r\n",
        b"+OK\r\nUSER\r\n.\r\n", b"+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n", b"-ERR [SYS/TEMP] x\r\n",
        b"SASL PLAIN\r\n", b"USER\r\n", b"+ YQ==\r\n", b"[IN-USE]", b"\0", b"\xff", b"\n",
    ]  # fmt: skip
    greeting: ClassVar[bytes] = b"+OK ready\r\n"
    offering: ClassVar[bytes] = b"+OK x\r\n+OK\r\nSASL SCRAM-SHA-1 SCRAM-SHA-256\r\n.\r\n"
    challenge: ClassVar[bytes] = b"+ eA==\r\n"

    def make(self, login: Login, starttls: bool, secure: bool) -> ClientDialogue:
        return make(login, starttls, secure)

    def consent(self, dialogue: ClientDialogue) -> bytes:
        return b"+OK Begin TLS negotiation\r\n"

    def refusal(self, dialogue: ClientDialogue) -> bytes:
        return b"-ERR Command not permitted when TLS active\r\n"

    def test_laws_reach_the_login(self) -> None:
        """The conversations of the laws are made of replies that lead to a password."""
        dialogue = self.make(self.login(), False, True)
        dialogue.start()
        said = written(dialogue.receive_data(self.greeting + b"-ERR\r\n+OK\r\n"))
        self.assertEqual(said, b"CAPA\r\nUSER alice@example.org\r\nPASS " + SECRET + b"\r\n")


class WayTests(SynchronousTestCase):
    """How the login is written."""

    def check(self, login: Login, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(maker(login), transcript, trailing)

    def test_auth_with_an_initial_response(self) -> None:
        """RFC 5034 section 6: AUTH PLAIN and its sample; what follows +OK is the client's."""
        self.check(
            password("test", b"test", "test"),
            HELLO
            + SASL
            + """
            C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=
            S: +OK Maildrop locked and ready
            = Accepted Maildrop locked and ready
            """,
            trailing=b"+OK 2 320\r\n",
        )

    def test_longest_initial_response(self) -> None:
        """RFC 5034 section 4: the whole line is 255 octets at most, else "+" is waited for."""
        for octets, waits in ((180, False), (181, True), (300, True), (20000, True)):
            around = len(xoauth2("a", b"").initial_response or b"")
            login = xoauth2("a", b"x" * (octets - around))
            text = base64.b64encode(login.initial_response or b"").decode()
            begun = f"AUTH XOAUTH2\nS: + \nC: {text}\n" if waits else f"AUTH XOAUTH2 {text}\n"
            self.check(login, HELLO + SASL + "C: " + begun + "S: +OK\n= Accepted\n")
        self.assertEqual(len(b"AUTH XOAUTH2 " + base64.b64encode(b"x" * 180) + b"\r\n"), 255)

    def test_user_and_pass(self) -> None:
        """RFC 1939's own commands where SASL is not listed, or CAPA is unknown."""
        for listed in (USER_ONLY, "S: +OK\nS: SASL LOGIN CRAM-MD5\nS: USER\nS: .\n", "S: -ERR\n"):
            self.check(
                password("mrose", b" a secret "),
                HELLO
                + listed
                + """
                C: USER mrose
                S: +OK mrose is a real hoopy frood
                C: PASS  a secret\\x20
                S: +OK mrose's maildrop has 2 messages (320 octets)
                = Accepted mrose's maildrop has 2 messages (320 octets)
                """,
                trailing=b"+OK 2 320\r\n",
            )

    def test_one_mechanism(self) -> None:
        """Where one is insisted on, USER and PASS are no way, nor is another mechanism."""

        def insisting() -> Pop3Client:
            dialogue = make()
            dialogue.insist("LOGIN")
            return dialogue

        by_login = "C: AUTH LOGIN\nS: + \nC: bXJvc2U=\nS: + \nC: c2VjcmV0\nS: +OK in\n"
        for listed in ("S: USER\nS: SASL PLAIN LOGIN\n", "S: SASL LOGIN\nS: USER\n"):
            assert_transcript(insisting, f"{HELLO}S: +OK\n{listed}S: .\n{by_login}= Accepted in\n")
        said = b"+OK x\r\n+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n"
        reason = rejected(insisting(), said).failure.reason
        self.assertIn("the row's mech is LOGIN, which the backend does not offer", reason)

    def test_translated_to_auth_login(self) -> None:
        """AUTH LOGIN carries name and password where there is neither PLAIN nor USER."""
        self.check(
            password("alice", b"secret"),
            HELLO
            + """
            S: +OK
            S: SASL LOGIN
            S: .
            C: AUTH LOGIN
            S: + VXNlcm5hbWU6
            C: YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: c2VjcmV0
            S: +OK in
            = Accepted in
            """,
        )

    def test_stls(self) -> None:
        """RFC 2595 section 4: STLS comes first, and CAPA is asked behind the handshake only."""
        assert_transcript(
            lambda: make(starttls=True, secure=False),
            """
            S: +OK hello
            C: STLS
            S: +OK Begin TLS negotiation
            = StartTLS
            > tls
            C: CAPA
            S: +OK
            S: USER
            S: .
            C: USER mrose
            S: +OK
            C: PASS secret
            S: +OK
            = Accepted
            """,
        )

    def test_without_tls(self) -> None:
        """Credentials do not leave in the clear unless that is allowed."""
        for listed in (SASL, USER_ONLY, "S: -ERR\n"):
            assert_transcript(
                lambda: make(secure=False), HELLO + listed + "= Rejected backend-untrusted\n"
            )

    def test_dot_stuffed_capabilities(self) -> None:
        """RFC 1939 section 3: the end is a lone dot; a stuffed line is no end and no dot."""
        self.check(
            password("a", b"b"),
            HELLO
            + """
            S: +OK
            S: ..
            S:
            S: ..USER
            S: .SASL PLAIN
            S: .
            C: AUTH PLAIN AGEAYg==
            S: +OK
            = Accepted
            """,
        )

    def test_nothing_fits(self) -> None:
        """A backend without a way for this login is no verdict on the credentials."""
        for login, listed in (
            (xoauth2("a"), USER_ONLY),
            (oauthbearer("a"), "S: +OK\nS: SASL PLAIN XOAUTH2\nS: .\n"),
            (xoauth2("a"), "S: -ERR\n"),
            (password("a", b"b"), "S: +OK\nS: TOP\nS: .\n"),
            (password("a", b"b"), "S: +OK\nS: SASL XOAUTH2\nS: .\n"),
            (password("a", b"b", "c"), USER_ONLY),
            (password("a", b"b\r\nDELE 1"), USER_ONLY),
            (password("a", b"b\n"), USER_ONLY),
            (password("a", b"x" * 249), USER_ONLY),
            (password("a" * 249, b"x"), USER_ONLY),
        ):
            self.check(login, HELLO + listed + "= Rejected backend-incapable\n")

    def test_names_that_user_cannot_carry(self) -> None:
        """A space, CR or LF would end the name, or begin a command: nothing is written."""
        for name in ("a b", "a\r\nDELE 1", "a\n", "a\tb", " a"):
            self.check(password(name, b"x"), HELLO + USER_ONLY + "= Rejected name-unusable\n")

    def test_relayed_challenge(self) -> None:
        """A challenge that is not the request for our first message is the client's."""
        begun = "C: AUTH XOAUTH2 dXNlcj1hAWF1dGg9QmVhcmVyIHRva2VuAQE=\n"
        self.check(
            xoauth2("a"),
            HELLO
            + SASL
            + begun
            + """
            S: + eyJzdGF0dXMiOiI0MDEifQ==
            = Challenge {"status":"401"}
            > respond
            C:
            S: -ERR [AUTH] Token refused
            = Rejected credentials-rejected
            """,
        )
        self.check(
            xoauth2("a"),
            HELLO + SASL + begun + "S: + YQ==\n= Challenge a\n> respond *\nC: *\n"
            "S: -ERR cancelled\n= Rejected credentials-rejected\n",
        )
        self.check(
            xoauth2("a"),
            HELLO + SASL + begun + "S: + !!\n= Rejected backend-misbehaved\n",
        )


class VerdictTests(SynchronousTestCase):
    """What a backend's words mean."""

    def test_refusals(self) -> None:
        """RFC 3206, RFC 2449: a code tells trouble and policy from credentials; words pass."""
        to_user = b"+OK\r\n-ERR\r\n"
        to_pass = b"+OK\r\n-ERR\r\n+OK\r\n"
        to_auth = b"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n"
        for words, kind in (
            (b"", FailureKind.CREDENTIALS_REJECTED),
            (b"invalid password", FailureKind.CREDENTIALS_REJECTED),
            (b"[AUTH] no", FailureKind.CREDENTIALS_REJECTED),
            (b"[X-ODD] no", FailureKind.CREDENTIALS_REJECTED),
            (b"[SYS/TEMP] later", FailureKind.BACKEND_BUSY),
            (b"[IN-USE] locked", FailureKind.BACKEND_BUSY),
            (b"[LOGIN-DELAY] minimum is 10 minutes", FailureKind.BACKEND_BUSY),
            (b"[SYS/PERM] closed", FailureKind.BACKEND_REFUSED),
        ):
            for before in (to_user, to_pass, to_auth):
                verdict = rejected(make(), before + b"-ERR " + words + b"\r\n")
                self.assertIs(verdict.failure.kind, kind, words)
                self.assertEqual(verdict.words, (words,) if words else ())

    def test_greetings(self) -> None:
        """-ERR is a backend that is not there, or is busy; anything else is no POP3."""
        for line, kind in (
            (b"-ERR go away", FailureKind.BACKEND_UNREACHABLE),
            (b"-ERR [SYS/TEMP] later", FailureKind.BACKEND_BUSY),
            (b"-ERR [IN-USE] full", FailureKind.BACKEND_BUSY),
            (b"* OK IMAP4rev1", FailureKind.BACKEND_MISBEHAVED),
            (b"220 mx ESMTP", FailureKind.BACKEND_MISBEHAVED),
            (b"+ ", FailureKind.BACKEND_MISBEHAVED),
        ):
            verdict = rejected(make(), line + b"\r\n")
            self.assertIs(verdict.failure.kind, kind, line)
            self.assertEqual(verdict.words, ())

    def test_misbehaviour(self) -> None:
        """A reply that is none, or not to this command, is the backend's fault and temporary."""
        to_user = b"+OK\r\n-ERR\r\n"
        for said in (
            b"+OK\r\n+ \r\n",
            b"+OK\r\n* BYE\r\n",
            to_user + b"+ \r\n",
            to_user + b"+OK\r\n+ YQ==\r\n",
            to_user + b"+OK\r\nhello\r\n",
            b"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n+OKAY\r\n",
        ):
            self.assertIs(rejected(make(), said).failure.kind, FailureKind.BACKEND_MISBEHAVED, said)

    def test_accepted_before_anything_was_proved(self) -> None:
        """+OK to an AUTH whose first message is still ours to send logs nobody in."""
        login = password("a", b"x" * 300)
        said = b"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n+OK logged in\r\n"
        verdict = rejected(make(login), said)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_no_secret_in_a_reason(self) -> None:
        """A backend that repeats our command is not quoted in the log; its words still pass."""
        login = password("mrose", SECRET)
        for before, echoed in (
            (b"+OK\r\n-ERR\r\n+OK\r\n-ERR ", b"PASS " + SECRET),
            (b"+OK\r\n-ERR\r\n+OK\r\n", b"pass " + SECRET.upper()),
            (b"+OK\r\n+OK\r\nSASL PLAIN\r\n.\r\n-ERR ", base64.b64encode(b"\0mrose\0" + SECRET)),
        ):
            verdict = rejected(make(login), before + b"unknown: " + echoed + b"\r\n")
            self.assertIn("withheld", verdict.failure.reason)
            self.assertNotIn(echoed[5:].decode(), verdict.failure.reason)
        verdict = rejected(make(login), b"+OK\r\n-ERR\r\n-ERR no such box\r\n")
        self.assertEqual(verdict.failure.reason, "backend answered -ERR no such box")

    def test_endless_capabilities(self) -> None:
        """A list is bounded as a whole, not only by the line."""
        line = b"X" * 62 + b"\r\n"
        most = REPLY_LIMIT // len(line)
        dialogue = make()
        dialogue.start()
        self.assertEqual(len(dialogue.receive_data(b"+OK\r\n+OK\r\n" + line * most)), 1)
        verdict = dialogue.receive_data(line)[-1]
        assert isinstance(verdict, Rejected)
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_endings(self) -> None:
        """Silence and loss say in the log what was waited for."""
        for transcript in (
            HELLO + "> timeout\n= Rejected backend-timed-out\n",
            HELLO + USER_ONLY + "C: USER mrose\n> end\n= Rejected backend-unreachable\n",
        ):
            assert_transcript(make, transcript)
        dialogue = make()
        dialogue.start()
        verdict = dialogue.timed_out()[-1]
        assert isinstance(verdict, Rejected)
        self.assertEqual(verdict.failure.reason, "no answer while waiting for the greeting")
