"""The server's side of submission: transcripts of the RFCs, and the laws."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected, StartTLS
from mailroute.offer import Policy
from mailroute.smtp.server import Greeting, SmtpServer
from tests.support.dialogues import TLS, assert_transcript, describe, written
from tests.support.laws import EVERY, PROOFS, SECRET, WORDS, ServerLaws, every, policy, recognized

IR = base64.b64encode(b"\0alice\0" + SECRET)
GREETED = "S: 220 mail.example ESMTP mailroute ready.\n"
EHLO = """
C: EHLO client.example
S: 250-mail.example
S: 250-PIPELINING
S: 250-8BITMIME
S: 250-ENHANCEDSTATUSCODES
S: 250-SIZE
S: 250 AUTH PLAIN LOGIN XOAUTH2 OAUTHBEARER
"""
EHLO_PLAIN = """
C: EHLO client.example
S: 250-mail.example
S: 250-PIPELINING
S: 250-8BITMIME
S: 250-ENHANCEDSTATUSCODES
S: 250-SIZE
S: 250 STARTTLS
"""


def make(policy_: Policy | None = None, secure: bool = True) -> SmtpServer:
    return SmtpServer(policy_ or policy(), secure, 3, Greeting(b"mail.example"))


def started(policy_: Policy | None = None, secure: bool = True, ehlo: bool = True) -> SmtpServer:
    dialogue = make(policy_, secure)
    dialogue.start()
    if ehlo:
        dialogue.receive_data(b"EHLO x\r\n")
    return dialogue


class SmtpServerLawsTests(ServerLaws, SynchronousTestCase):
    """The laws of every server dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"SCRAM-SHA-1", b"EXTERNAL", b"SCRAM-SHA-256 biwsbj1hLHI9eA==\r\n",
        b"EHLO x\r\n", b"HELO x\r\n", b"EHLO", b"NOOP", b"AUTH ", b"AUTH PLAIN ", b"PLAIN",
        b"LOGIN", b"XOAUTH2", b" ", b"\r\n", b"\n", b"\r", b"*\r\n", b"=", b"abc",
        b"AGFsaWNlAHNlY3JldA==\r\n", b"STARTTLS\r\n", b"QUIT\r\n", b"BDAT 7\r\n", b"BDAT ",
        b"BDAT 0 LAST\r\n", b"BDAT x\r\n", b"99999999999", b"MAIL FROM:<>\r\n", b"RCPT",
        b"DATA\r\n", b".\r\n", b"RSET\r\n", b"VRFY a\r\n", b"HELP\r\n", b"GET / HTTP/1",
        b"\x16\x03\x01", b"\0",
    ]  # fmt: skip
    login_commands: ClassVar[list[bytes]] = [
        b"EHLO x\r\nAUTH PLAIN " + IR + b"\r\n",
        b"EHLO x\r\nauth plain\r\n" + IR + b"\r\n",
        b"EHLO x\r\nAUTH LOGIN\r\nYWxpY2U=\r\n" + base64.b64encode(SECRET) + b"\r\n",
        b"EHLO x\r\nAUTH LOGIN YWxpY2U=\r\n" + base64.b64encode(SECRET) + b"\r\n",
        b"EHLO x\r\nAUTH XOAUTH2 "
        + base64.b64encode(b"user=alice\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
        b"EHLO x\r\nAUTH OAUTHBEARER "
        + base64.b64encode(b"n,a=alice,\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
    ]

    proofs: ClassVar[list[bytes]] = [
        b"EHLO x\r\nAUTH %b %b\r\n" % (name.encode(), base64.b64encode(message))
        for name, message in PROOFS.items()
    ]

    def make(self, policy: Policy, secure: bool) -> SmtpServer:
        return make(policy, secure)

    def is_temporary(self, said: bytes) -> bool:
        self.assertRegex(said, rb"\A(454 4\.7\.0|5\d\d 5\.7\.\d+) ")
        return said.startswith(b"454 4.7.0 ")

    def test_every_command_gets_one_final_reply(self) -> None:
        """Each consumed command has exactly one reply, in order, also when pipelined."""
        commands = {
            b"EHLO x": b"250", b"EHLO": b"501", b"HELO x": b"250", b"HELO": b"501",
            b"STARTTLS": None, b"AUTH": b"501", b"AUTH NTLM": None, b"AUTH PLAIN !": None,
            b"NOOP": b"250", b"NOOP x": b"250", b"RSET": b"250", b"RSET x": b"501",
            b"VRFY a": b"252", b"VRFY": b"501", b"HELP": b"214", b"HELP AUTH": b"214",
            b"QUIT x": b"501", b"MAIL FROM:<>": b"530", b"RCPT TO:<a@x>": b"530",
            b"DATA": b"530", b"BDAT 0 LAST": b"530", b"BDAT 4\r\nQUIT": b"530",
            b"EXPN x": b"530", b"ETRN x": b"530", b"BURL x": b"530", b"FOO": b"500", b"": b"500",
        }  # fmt: skip
        for secure in (True, False):
            for command, code in commands.items():
                dialogue = started(policy(starttls=False), secure)
                end = b"" if b"BDAT 4" in command else b"\r\n"
                said = written(dialogue.receive_data(command + end + b"VRFY last\r\n"))
                final = [line[:3] for line in said.split(b"\r\n") if line[3:4] == b" "]
                self.assertEqual(len(final), 2, (command, said))
                self.assertEqual(final[1], b"252", (command, said))
                if code is not None:
                    self.assertEqual(final[0], code, (command, said))

    def test_advertised_if_and_only_if_accepted(self) -> None:
        """What EHLO lists and what the gates do are the same, in every combination."""
        for starttls in (True, False):
            for cleartext in (True, False):
                for secure in (True, False):
                    for mechanisms in ((), EVERY[:1], EVERY[1:4], EVERY[2:], EVERY):
                        offered = every(starttls, cleartext, mechanisms)
                        self._check_offer(offered, secure)

    def _check_offer(self, offered: Policy, secure: bool) -> None:
        dialogue = recognized(started(offered, secure, ehlo=False), secure)
        listed = written(dialogue.receive_data(b"EHLO x\r\n")).split(b"\r\n")
        keywords = [line[4:] for line in listed]
        advertised = next((word.split()[1:] for word in keywords if word[:5] == b"AUTH "), [])
        for name in WORDS:
            said = written(
                recognized(started(offered, secure), secure).receive_data(b"AUTH " + name + b"\r\n")
            )
            case = (name, offered, secure, said)
            self.assertEqual(said.startswith(b"334 "), name in advertised, case)
        said = written(recognized(started(offered, secure), secure).receive_data(b"STARTTLS\r\n"))
        self.assertEqual(said.startswith(b"220 "), b"STARTTLS" in keywords, (offered, secure))
        self.assertNotIn(b"AUTH", keywords, "AUTH without a mechanism")


class TranscriptTests(SynchronousTestCase):
    """Conversations in the RFCs' notation."""

    def check(self, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(make, GREETED + EHLO + transcript, trailing)

    def check_plain(self, transcript: str) -> None:
        assert_transcript(lambda: make(secure=False), GREETED + transcript)

    def test_rfc4954_starttls_and_plain(self) -> None:
        """RFC 4954 4.1 and RFC 3207 6: STARTTLS, EHLO anew, AUTH PLAIN with initial response."""
        self.check_plain(
            EHLO_PLAIN
            + "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\n= StartTLS\n> tls\n"
            + EHLO
            + """
            C: AUTH PLAIN dGVzdAB0ZXN0ADEyMzQ=
            = Login test PLAIN
            > accept 235 2.7.0 Authentication successful
            S: 235 2.7.0 Authentication successful
            """
        )

    def test_rfc4954_without_initial_response(self) -> None:
        """RFC 4954 4.1: an empty challenge asks for it; "*" cancels; the next try is afresh."""
        self.check(
            """
            C: AUTH PLAIN
            S: 334\\x20
            C: *
            S: 501 5.7.0 Authentication cancelled
            C: AUTH PLAIN
            S: 334\\x20
            C: dGVzdAB0ZXN0ADEyMzQ=
            = Login test PLAIN
            > accept 235 2.7.0 Authentication successful
            S: 235 2.7.0 Authentication successful
            """,
            trailing=b"MAIL FROM:<a@x>\r\n",
        )

    def test_auth_login(self) -> None:
        """Two prompts; some clients give the name as the initial response."""
        login = "S: 334 UGFzc3dvcmQ6\nC: c2VjcmV0\n= Login alice PLAIN\n"
        self.check(
            "C: AUTH LOGIN\nS: 334 VXNlcm5hbWU6\nC: YWxpY2U=\n"
            + login
            + "> reject credentials-rejected 535 5.7.8 Error: authentication failed\n"
            "S: 535 5.7.8 Error: authentication failed\n"
            "C: AUTH LOGIN YWxpY2U=\n" + login + "> accept\n"
            "S: 235 2.7.0 Authentication succeeded\n"
        )

    def test_malformed_exchanges(self) -> None:
        """An empty response is "="; what is not base64 is 501 5.5.2; unknown is 504 5.5.4."""
        self.check(
            """
            C: AUTH PLAIN !!!!
            S: 501 5.5.2 Invalid base64 data
            C: AUTH PLAIN =
            S: 501 5.5.2 Malformed PLAIN message
            C: AUTH PLAIN
            S: 334\\x20
            C: AGFsaWNl AHNlY3JldA==
            S: 501 5.5.2 Invalid base64 data
            C: AUTH PLAIN AGEAYgBjAA==
            S: 501 5.5.2 Malformed PLAIN message
            C: AUTH CRAM-MD5
            S: 504 5.5.4 Unrecognized authentication mechanism
            C: AUTH
            S: 501 5.5.4 AUTH takes a mechanism and perhaps an initial response
            C: AUTH PLAIN a b
            S: 501 5.5.4 AUTH takes a mechanism and perhaps an initial response
            """
        )

    def test_auth_needs_ehlo(self) -> None:
        """AUTH is an extension: 503 before EHLO, after HELO, and after STARTTLS (RFC 3207 4.2)."""
        again = f"C: AUTH PLAIN {IR.decode()}\nS: 503 5.5.1 Send EHLO first\n"
        helo = "C: HELO client.example\nS: 250 mail.example\n"
        assert_transcript(make, GREETED + again + helo + again + EHLO + helo + again)
        self.check_plain(
            EHLO_PLAIN
            + "C: STARTTLS\nS: 220 2.0.0 Ready to start TLS\n= StartTLS\n> tls\n"
            + again
            + "C: STARTTLS\nS: 503 5.5.1 TLS is active already\n"
        )

    def test_before_tls(self) -> None:
        """RFC 3207 4: where a login needs TLS, 530 says so, and no password is asked for."""
        self.check_plain(
            EHLO_PLAIN
            + """
            C: AUTH LOGIN
            S: 530 5.7.0 Must issue a STARTTLS command first
            C: MAIL FROM:<alice@example.org>
            S: 530 5.7.0 Must issue a STARTTLS command first
            C: STARTTLS now
            S: 501 5.5.4 STARTTLS takes no argument
            C: STARTTLS
            S: 220 2.0.0 Ready to start TLS
            = StartTLS
            """
        )

    def test_no_tls_to_be_had(self) -> None:
        """Without STARTTLS on offer 538 5.7.11 says what is wrong (RFC 4954 section 6)."""
        dialogue = started(policy(starttls=False), secure=False)
        said = written(dialogue.receive_data(b"AUTH PLAIN\r\nAUTH FOO\r\nSTARTTLS\r\nDATA\r\n"))
        codes = [line[:10].rstrip() for line in said.split(b"\r\n")[:-1]]
        self.assertEqual(codes, [b"538 5.7.11", b"504 5.5.4", b"502 5.5.1", b"530 5.7.0"])

    def test_starttls_injection(self) -> None:
        """An AUTH pipelined in the clear behind STARTTLS is never used (RFC 3207 section 6)."""
        dialogue = started(secure=False)
        events = dialogue.receive_data(b"STARTTLS\r\nEHLO x\r\nAUTH PLAIN " + IR + b"\r\n")
        self.assertEqual(describe(events[-1]), "Close cleartext-after-starttls")
        self.assertNotIn(b"220", written(events))

    def test_handshake_forgets(self) -> None:
        """Nothing of the time before the handshake counts, not even EHLO."""
        dialogue = started(policy(cleartext=True), secure=False)
        events = dialogue.receive_data(b"STARTTLS\r\n")
        assert isinstance(events[-1], StartTLS)
        dialogue.tls_established(TLS)
        said = written(dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\n"))
        self.assertEqual(said, b"503 5.5.1 Send EHLO first\r\n")

    def test_rfc2920_pipelining(self) -> None:
        """RFC 2920 section 5's group before a login: one refusal each, in order."""
        refusal = "S: 530 5.7.0 Authentication required\n"
        self.check(
            """
            C: MAIL FROM:<mrose@dbc.mtview.ca.us>
            C: RCPT TO:<ned@innosoft.com>
            C: RCPT TO:<dan@innosoft.com>
            C: RCPT TO:<kvc@innosoft.com>
            C: DATA
            C: QUIT
            """
            + refusal * 5
            + "S: 221 2.0.0 Bye\n= Close logout\n"
        )

    def test_pipelined_behind_a_login(self) -> None:
        """Kept until the verdict: parsed after a refusal, the backend's after consent."""
        self.check(
            f"""
            C: AUTH PLAIN {IR.decode()}
            C: NOOP
            = Login alice PLAIN
            > reject lookup-failed
            S: 454 4.7.0 Temporary authentication failure, try again later
            S: 250 2.0.0 OK
            C: AUTH PLAIN {IR.decode()}
            = Login alice PLAIN
            > accept 235 2.7.0 ok
            S: 235 2.7.0 ok
            """,
            trailing=b"MAIL FROM:<a@x>\r\nRCPT TO:<b@x>\r\nDATA\r\n",
        )

    def test_relayed_challenge(self) -> None:
        """A backend's challenge passes to the client and its response back (RFC 7628 3.2.3)."""
        auth = "C: AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE=\n"
        challenged = "= Login alice OAUTHBEARER\n> challenge {}\nS: 334 e30=\n"
        self.check(
            auth
            + challenged
            + "C: AQ==\n= Response \x01\n"
            + "> reject credentials-rejected 535 5.7.8 Token refused\n"
            + "S: 535 5.7.8 Token refused\n"
            + auth
            + challenged
            + "C: *\n= Response *\n"
            + "> reject backend-refused 501 5.7.0 Authentication cancelled\n"
            + "S: 501 5.7.0 Authentication cancelled\n"
        )

    def test_several_lines_of_the_backend(self) -> None:
        """Its reply passes line by line."""
        words = (b"535-5.7.8 Username and Password", b"535 5.7.8 not accepted")
        dialogue = started()
        dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\n")
        failure = Failure(FailureKind.CREDENTIALS_REJECTED, "no")
        said = written(dialogue.answer(Rejected(failure, words)))
        self.assertEqual(said, b"\r\n".join(words) + b"\r\n")
        dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\n")
        said = written(dialogue.answer(Accepted((b"235-2.7.0 a", b"235 2.7.0 b"), (b"x",))))
        self.assertEqual(said, b"235-2.7.0 a\r\n235 2.7.0 b\r\n")

    def test_plain_commands(self) -> None:
        """Verbs in any case; EHLO and RSET between attempts are ours (RFC 5321 4.1.4)."""
        self.check(
            """
            C: noop ignored
            S: 250 2.0.0 OK
            C: RsEt
            S: 250 2.0.0 OK
            C: VRFY alice
            S: 252 2.0.0 Cannot verify the user; log in and send a message
            C: XCLIENT ADDR=192.0.2.1
            S: 500 5.5.2 Command not recognized
            C: XFORWARD ADDR=192.0.2.1
            S: 500 5.5.2 Command not recognized
            C: MAIL FROM:<> AUTH=<boss@example.org>
            S: 530 5.7.0 Authentication required
            """
            + EHLO
            + "C: quit\nS: 221 2.0.0 Bye\n= Close logout\nC: NOOP\n"
        )

    def test_auth_parameter_of_mail(self) -> None:
        """RFC 4954 section 5: AUTH= of MAIL is for the backend, and behind a login alone."""
        mail = b"MAIL FROM:<alice@example.org> AUTH=<boss@example.org>\r\n"
        for verdict, passed in (
            (Accepted((b"235 2.7.0 ok",)), True),
            (Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "")), False),
        ):
            dialogue = started()
            dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\n" + mail)
            said = written(dialogue.answer(verdict))
            self.assertEqual(dialogue.trailing_data, mail if passed else b"")
            self.assertEqual(b"\r\n530 5.7.0 " in said, not passed, said)

    def test_client_text_is_not_reflected(self) -> None:
        """Nothing that a client says comes back to it, on any way."""
        mark = b"<script>250-PIPELINING"
        for command in (b"EHLO ", b"HELO ", b"NOOP ", b"VRFY ", b"AUTH ", b"RSET ", b"", b"BDAT "):
            said = written(started().receive_data(command + mark + b"\r\n"))
            self.assertNotIn(b"script", said)

    def test_keywords_are_the_operators(self) -> None:
        """The EHLO reply lists the configured keywords, with their parameters."""
        greeting = Greeting(b"mx", b"hi", ("SIZE 1000", "DSN"))
        dialogue = SmtpServer(policy(mechanisms=()), True, 3, greeting)
        self.assertEqual(written(dialogue.start()), b"220 mx ESMTP hi\r\n")
        said = written(dialogue.receive_data(b"EHLO x\r\n"))
        self.assertEqual(said, b"250-mx\r\n250-SIZE 1000\r\n250 DSN\r\n")
