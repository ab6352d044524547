"""The client's side of submission: transcripts of the RFCs, and the laws."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import REPLY_LIMIT, ClientDialogue
from mailroute.credentials import Identity
from mailroute.errors import FailureKind
from mailroute.events import Accepted, Login, Rejected
from mailroute.sasl.plain import password_login
from mailroute.smtp.client import SmtpClient
from tests.support.dialogues import assert_transcript, describe, written
from tests.support.laws import SECRET, ClientLaws
from tests.support.pairs import oauthbearer, password

ALICE = password_login(b"alice", b"secret")
GREETED = "S: 220 mx.example ESMTP\nC: EHLO proxy.example\n"
OFFER = b"220 x ESMTP\r\n250-x\r\n250 AUTH %b\r\n"


def make(login: Login = ALICE, starttls: bool = False, secure: bool = True) -> SmtpClient:
    return SmtpClient(login, starttls, secure, b"proxy.example")


def outcome(data: bytes, login: Login = ALICE) -> Accepted | Rejected:
    dialogue = make(login)
    dialogue.start()
    event = dialogue.receive_data(data)[-1]
    assert isinstance(event, (Accepted, Rejected)), event
    return event


def kind(data: bytes, login: Login = ALICE) -> FailureKind:
    verdict = outcome(data, login)
    assert isinstance(verdict, Rejected), verdict
    return verdict.failure.kind


class SmtpClientLawsTests(ClientLaws, SynchronousTestCase):
    """The laws of every client dialogue."""

    greeting = b"220 mx.example ESMTP\r\n"
    fragments: ClassVar[list[bytes]] = [
        b"250-mx\r\n", b"250 AUTH PLAIN LOGIN\r\n", b"250-AUTH=LOGIN\r\n", b"250 STARTTLS\r\n",
        b"220 go\r\n", b"334 \r\n", b"334 VXNlcm5hbWU6\r\n", b"334 !\r\n", b"235 2.7.0 ok\r\n",
        b"235-a\r\n", b"535 5.7.8 no\r\n", b"454 4.7.0 later\r\n", b"421 bye\r\n", b"250", b"-",
        b" ", b"\r\n", b"\n", b"500", b"334", b"x",
    ]  # fmt: skip
    offering: ClassVar[bytes] = b"220 mx ESMTP\r\n250-mx\r\n250 AUTH SCRAM-SHA-1 SCRAM-SHA-256\r\n"
    challenge: ClassVar[bytes] = b"334 eA==\r\n"

    def make(self, login: Login, starttls: bool, secure: bool) -> SmtpClient:
        return make(login, starttls, secure)

    def consent(self, dialogue: ClientDialogue) -> bytes:
        return b"250-mx\r\n250 STARTTLS\r\n220 2.0.0 Ready\r\n"

    def refusal(self, dialogue: ClientDialogue) -> bytes:
        return b"250-mx\r\n250 STARTTLS\r\n454 4.7.0 TLS not available\r\n"


class TranscriptTests(SynchronousTestCase):
    """Conversations in the RFCs' notation."""

    def check(self, transcript: str, login: Login = ALICE, trailing: bytes = b"") -> None:
        assert_transcript(lambda: make(login), GREETED + transcript, trailing)

    def test_rfc4954_starttls_and_plain(self) -> None:
        """RFC 4954 4.1: STARTTLS, EHLO anew, then the mechanism that appeared with TLS."""
        login = password("test", b"1234", "test")
        assert_transcript(
            lambda: make(login, starttls=True, secure=False),
            """
            S: 220-smtp.example.com ESMTP Server
            S: 220 ready
            C: EHLO proxy.example
            S: 250-smtp.example.com Hello client.example.com
            S: 250-AUTH GSSAPI DIGEST-MD5
            S: 250-ENHANCEDSTATUSCODES
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 Ready to start TLS
            = StartTLS
            > tls
            C: EHLO proxy.example
            S: 250-smtp.example.com Hello client.example.com
            S: 250 AUTH GSSAPI DIGEST-MD5 PLAIN
            C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=
            S: 235 2.7.0 Authentication successful
            = Accepted 235 2.7.0 Authentication successful
            """,
        )

    def test_keywords_before_tls_are_void(self) -> None:
        """RFC 3207 4.2: what was offered in the clear is not believed after the handshake."""
        assert_transcript(
            lambda: make(starttls=True, secure=False),
            GREETED
            + """
            S: 250-mx
            S: 250-AUTH PLAIN
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 Go ahead
            = StartTLS
            > tls
            C: EHLO proxy.example
            S: 250 mx
            = Rejected backend-incapable
            """,
        )

    def test_starttls_not_offered(self) -> None:
        """STARTTLS that is configured and not offered fails: an attacker may have taken it out."""
        assert_transcript(
            lambda: make(starttls=True, secure=False),
            GREETED + "S: 250-mx\nS: 250 AUTH PLAIN\n= Rejected backend-untrusted\n",
        )

    def test_no_cleartext_credentials(self) -> None:
        """Without TLS and without leave for it nothing is written."""
        assert_transcript(
            lambda: make(secure=False),
            GREETED + "S: 250-mx\nS: 250 AUTH PLAIN\n= Rejected backend-untrusted\n",
        )

    def test_accepted(self) -> None:
        """Both forms of AUTH are understood; the backend's bytes behind 235 are the stream's."""
        for offer in ("AUTH PLAIN LOGIN", "auth LOGIN plain", "AUTH=LOGIN PLAIN", "AUTH=PLAIN"):
            self.check(
                f"""
                S: 250-mx
                S: 250-{offer}
                S: 250 SIZE
                C: AUTH PLAIN AGFsaWNlAHNlY3JldA==
                S: 235-2.7.0 Hello
                S: 235 2.7.0 alice
                = Accepted 235-2.7.0 Hello|235 2.7.0 alice
                """,
                trailing=b"421 4.3.2 sorry\r\n",
            )

    def test_translated_to_auth_login(self) -> None:
        """Where only LOGIN is offered: two answers, whatever the prompts say."""
        for first, second in (("VXNlcm5hbWU6", "UGFzc3dvcmQ6"), ("UGFzcw==", "!"), ("", "x y")):
            self.check(
                f"""
                S: 250-mx
                S: 250 AUTH LOGIN
                C: AUTH LOGIN
                S: 334 {first}\\x20
                C: YWxpY2U=
                S: 334 {second}
                C: c2VjcmV0
                S: 235 ok
                = Accepted 235 ok
                """
            )

    def test_login_carries_one_name(self) -> None:
        """A login on behalf of another cannot be translated, a token neither."""
        for login in (password("admin", b"x", "alice"), oauthbearer("alice")):
            self.assertIs(kind(OFFER % b"LOGIN", login), FailureKind.BACKEND_INCAPABLE)

    def test_prompts_and_consent_must_fit(self) -> None:
        """Consent before the password was given, and a third prompt, are no login."""
        for said in (b"235 ok\r\n", b"334 x\r\n235 ok\r\n", b"334 x\r\n334 y\r\n334 z\r\n"):
            self.assertIs(kind(OFFER % b"LOGIN" + said), FailureKind.BACKEND_MISBEHAVED, said)
        login = password("alice", b"x" * 500)
        said = OFFER % b"PLAIN" + b"235 ok\r\n"
        self.assertIs(kind(said, login), FailureKind.BACKEND_MISBEHAVED)

    def test_initial_response_only_where_it_fits(self) -> None:
        """RFC 4954 4: a line of AUTH has at most 512 octets; beyond, the prompt is awaited."""
        for secret, fits in ((b"s" * 9, True), (b"s" * 365, True), (b"s" * 366, False)):
            dialogue = make(password("alice", secret))
            said = written(dialogue.start() + dialogue.receive_data(OFFER % b"PLAIN"))
            line = said.split(b"\r\n", 1)[1]
            message = base64.b64encode(b"\0alice\0" + secret)
            self.assertLessEqual(len(line), 512)
            self.assertEqual(line == b"AUTH PLAIN " + message + b"\r\n", fits, len(secret))
            if not fits:
                self.assertEqual(line, b"AUTH PLAIN\r\n")
                answer = written(dialogue.receive_data(b"334 \r\n"))
                self.assertEqual(answer, message + b"\r\n")
                self.assertEqual(
                    describe(dialogue.receive_data(b"235 k\r\n")[-1]), "Accepted 235 k"
                )

    def test_long_token(self) -> None:
        """A token of 12 KiB leaves whole."""
        dialogue = make(login := oauthbearer("alice", b"t" * 12288))
        dialogue.start()
        dialogue.receive_data(OFFER % b"OAUTHBEARER")
        sent = written(dialogue.receive_data(b"334\r\n"))
        self.assertEqual(base64.b64decode(sent), login.initial_response)

    def test_relayed_challenge(self) -> None:
        """RFC 7628 3.2.3: the refusal comes as a challenge; the client's response ends it."""
        start = """
            S: 250-mx
            S: 250 AUTH OAUTHBEARER
            C: AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB0b2tlbgEB
            S: 334 eyJzdGF0dXMiOiIifQ==
            = Challenge {"status":""}
            """
        self.check(
            start + "> respond \\x01\nC: AQ==\nS: 535 5.7.8 no\n= Rejected credentials-rejected\n",
            oauthbearer("alice"),
        )

    def test_space_behind_a_challenge(self) -> None:
        """A space at the end of a challenge is no part of its base64 text."""
        dialogue = make(oauthbearer("alice"))
        dialogue.start()
        events = dialogue.receive_data(OFFER % b"OAUTHBEARER" + b"334 e30= \r\n")
        self.assertEqual(describe(events[-1]), "Challenge {}")

    def test_cancelled_challenge(self) -> None:
        """RFC 4954 4: "*" cancels and 501 answers it: final, and not the backend's fault."""
        dialogue = make(oauthbearer("alice"))
        dialogue.start()
        dialogue.receive_data(OFFER % b"OAUTHBEARER" + b"334 e30=\r\n")
        self.assertEqual(written(dialogue.respond(None)), b"*\r\n")
        (verdict,) = dialogue.receive_data(b"501 5.7.0 Cancelled\r\n")
        assert isinstance(verdict, Rejected)
        self.assertFalse(verdict.failure.kind.temporary)

    def test_mechanism_that_the_server_begins(self) -> None:
        """Without a first message the challenge is the client's, and so is the response."""
        self.check(
            """
            S: 250-mx
            S: 250 AUTH TOY
            C: AUTH TOY
            S: 334 b25l
            = Challenge one
            > respond eins
            C: ZWlucw==
            S: 334 dHdv
            = Challenge two
            > respond
            C:
            S: 235 fine
            = Accepted 235 fine
            """,
            Login(Identity("alice"), "TOY", None),
        )


class ReplyTests(SynchronousTestCase):
    """What the backend says, and what it means."""

    def test_replies_to_auth(self) -> None:
        """The table of RFC 4954 section 6, RFC 5248 and what servers say."""
        for said, expected in (
            (b"535 5.7.8 no", FailureKind.CREDENTIALS_REJECTED),
            (b"525 5.7.13 disabled", FailureKind.BACKEND_REFUSED),
            (b"534 5.7.9 too weak", FailureKind.BACKEND_REFUSED),
            (b"501 5.5.2 bad base64", FailureKind.BACKEND_REFUSED),
            (b"550 5.7.1 no", FailureKind.BACKEND_REFUSED),
            (b"554 5.7.0 no", FailureKind.BACKEND_REFUSED),
            (b"432 4.7.12 transition", FailureKind.BACKEND_BUSY),
            (b"454 4.7.0 later", FailureKind.BACKEND_BUSY),
            (b"451 4.3.0 later", FailureKind.BACKEND_BUSY),
            (b"421 4.7.0 too many", FailureKind.BACKEND_BUSY),
            (b"500 5.5.6 too long", FailureKind.BACKEND_INCAPABLE),
            (b"502 5.5.1 no AUTH", FailureKind.BACKEND_INCAPABLE),
            (b"503 5.5.1 not now", FailureKind.BACKEND_INCAPABLE),
            (b"504 5.5.4 no", FailureKind.BACKEND_INCAPABLE),
            (b"530 5.7.0 STARTTLS first", FailureKind.BACKEND_INCAPABLE),
            (b"538 5.7.11 encryption", FailureKind.BACKEND_INCAPABLE),
            (b"250 OK", FailureKind.BACKEND_MISBEHAVED),
            (b"220 OK", FailureKind.BACKEND_MISBEHAVED),
            (b"354 go", FailureKind.BACKEND_MISBEHAVED),
            (b"334 not base64!", FailureKind.BACKEND_MISBEHAVED),
            (b"334-eA==\r\n334 eA==", FailureKind.BACKEND_MISBEHAVED),
            (b"* OK", FailureKind.BACKEND_MISBEHAVED),
        ):
            self.assertIs(kind(OFFER % b"PLAIN" + said + b"\r\n"), expected, said)

    def test_words(self) -> None:
        """The backend's reply goes up whole, as it was written."""
        verdict = outcome(OFFER % b"PLAIN" + b"535-5.7.8 a\r\n535 5.7.8 b\r\n")
        self.assertEqual(verdict.words, (b"535-5.7.8 a", b"535 5.7.8 b"))

    def test_replies_before_auth(self) -> None:
        """A server that serves nobody, one without extensions, and none at all."""
        for said, expected in (
            (b"421 4.3.2 busy", FailureKind.BACKEND_UNREACHABLE),
            (b"450 busy", FailureKind.BACKEND_UNREACHABLE),
            (b"554-no\r\n554 service", FailureKind.BACKEND_UNREACHABLE),
            (b"250 x", FailureKind.BACKEND_MISBEHAVED),
            (b"* OK IMAP4rev1", FailureKind.BACKEND_MISBEHAVED),
            (b"+OK POP3", FailureKind.BACKEND_MISBEHAVED),
            (b"220-a\r\n250 b", FailureKind.BACKEND_MISBEHAVED),
            (b"220 x\r\n421 closing", FailureKind.BACKEND_UNREACHABLE),
            (b"220 x\r\n450 later", FailureKind.BACKEND_BUSY),
            (b"220 x\r\n502 what?", FailureKind.BACKEND_INCAPABLE),
            (b"220 x\r\n550 your name", FailureKind.BACKEND_INCAPABLE),
            (b"220 x\r\n220 y", FailureKind.BACKEND_MISBEHAVED),
            (b"220 x\r\n250 AUTH PLAIN", FailureKind.BACKEND_INCAPABLE),
            (b"220 x\r\n250-x\r\n250 AUTH CRAM-MD5", FailureKind.BACKEND_INCAPABLE),
        ):
            self.assertIs(kind(said + b"\r\n"), expected, said)

    def test_reply_without_text(self) -> None:
        """RFC 5321 4.2: a code alone is a reply."""
        verdict = outcome(b"220\r\n250-\r\n250 AUTH PLAIN\r\n235\r\n")
        assert isinstance(verdict, Accepted)

    def test_bounded_reply(self) -> None:
        """A reply has an end: within its bound it is read, beyond it the backend misbehaves."""
        lines = b"250-x\r\n" * (REPLY_LIMIT // 7 - 4)
        good = b"220 x\r\n" + lines + b"250 AUTH PLAIN\r\n235 ok\r\n"
        assert isinstance(outcome(good), Accepted)
        self.assertIs(kind(b"220 x\r\n" + lines + b"250-x\r\n" * 9), FailureKind.BACKEND_MISBEHAVED)

    def test_malformed_credentials_are_not_written(self) -> None:
        """A NUL too many would make other credentials out of them: nothing is sent."""
        login = Login(Identity("alice"), "PLAIN", b"\0alice\0se\0cret")
        for offer in (b"PLAIN", b"LOGIN"):
            dialogue = make(login)
            dialogue.start()
            events = dialogue.receive_data(OFFER % offer)
            self.assertEqual(written(events), b"EHLO proxy.example\r\n")
            self.assertEqual(describe(events[-1]), "Rejected name-unusable")

    def test_an_echo_is_not_logged(self) -> None:
        """A server that repeats what it did not understand puts no secret into the log."""
        login = password("alice", SECRET)
        for echo in (base64.b64encode(SECRET), SECRET):
            for code in (b"500 ", b"535 5.7.8 ", b"502-x\r\n502 ", b""):
                said = OFFER % b"LOGIN" + b"334 u\r\n334 p\r\n" + code + echo + b"\r\n"
                verdict = outcome(said, login)
                assert isinstance(verdict, Rejected)
                self.assertNotIn(echo.decode(), verdict.failure.reason)

    def test_a_refusal_is_logged(self) -> None:
        """What a backend says when it judges a login, or before one, is in the reason."""
        for said, words in (
            (OFFER % b"PLAIN" + b"535 5.7.8 wrong\r\n", "535 5.7.8 wrong"),
            (b"554 nobody\r\n", "554 nobody"),
            (b"+OK\r\n", "reply: +OK"),
        ):
            verdict = outcome(said)
            assert isinstance(verdict, Rejected)
            self.assertIn(words, verdict.failure.reason)
