"""The server's side of POP3: transcripts of the RFCs, and the laws."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import Close, Login
from mailroute.offer import Policy
from mailroute.pop3.server import Greeting, Pop3Server
from tests.support.dialogues import assert_transcript, describe, written
from tests.support.laws import EVERY, PROOFS, SECRET, WORDS, ServerLaws, every, policy, recognized

IR = base64.b64encode(b"\0alice\0" + SECRET)
GREETED = "S: +OK mailroute ready.\n"


def make(policy_: Policy | None = None, secure: bool = True) -> Pop3Server:
    return Pop3Server(policy_ or policy(), secure, 3, Greeting())


def greeted(policy_: Policy | None = None, secure: bool = True) -> Pop3Server:
    """A dialogue whose greeting was said."""
    dialogue = make(policy_, secure)
    dialogue.start()
    return dialogue


class Pop3ServerLawsTests(ServerLaws, SynchronousTestCase):
    """The laws of every server dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"SCRAM-SHA-1", b"EXTERNAL", b"SCRAM-SHA-256 biwsbj1hLHI9eA==\r\n",
        b"CAPA\r\n", b"NOOP\r\n", b"QUIT\r\n", b"STLS\r\n", b"USER ", b"PASS ", b"AUTH ", b"AUTH",
        b"PLAIN", b"LOGIN", b"XOAUTH2", b" ", b"\r\n", b"\n", b"\r", b"alice", b" secret ",
        b"*\r\n", b"=", b"AGFsaWNlAHNlY3JldA==\r\n", b"USER alice\r\n", b"PASS x\r\n", b"STAT\r\n",
        b"APOP a b\r\n", b"UTF8\r\n", b"GET / HTTP/1", b"\x16\x03\x01", b"\0", b"\xff",
    ]  # fmt: skip
    login_commands: ClassVar[list[bytes]] = [
        b"USER alice\r\nPASS " + SECRET + b"\r\n",
        b"AUTH PLAIN " + IR + b"\r\n",
        b"AUTH PLAIN\r\n" + IR + b"\r\n",
        b"AUTH LOGIN\r\nYWxpY2U=\r\n" + base64.b64encode(SECRET) + b"\r\n",
        b"AUTH XOAUTH2 "
        + base64.b64encode(b"user=alice\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
        b"AUTH OAUTHBEARER "
        + base64.b64encode(b"n,a=alice,\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
    ]

    proofs: ClassVar[list[bytes]] = [
        b"AUTH %b %b\r\n" % (name.encode(), base64.b64encode(message))
        for name, message in PROOFS.items()
    ]

    def make(self, policy: Policy, secure: bool) -> Pop3Server:
        return make(policy, secure)

    def is_temporary(self, said: bytes) -> bool:
        assert said.startswith(b"-ERR ["), said
        return b"[SYS/TEMP]" in said

    def test_every_command_gets_one_final_reply(self) -> None:
        """Each consumed command has exactly one reply; what follows is answered after it."""
        commands = [
            b"CAPA", b"CAPA x", b"NOOP", b"NOOP x", b"USER", b"USER alice", b"PASS", b"PASS x",
            b"STLS", b"AUTH", b"AUTH NTLM", b"AUTH PLAIN !", b"AUTH PLAIN a b", b"AUTH PLAIN =",
            b"QUIT x", b"STAT", b"FOO", b"", b"UTF8", b"APOP alice 0", b"LANG", b" NOOP",
        ]  # fmt: skip
        for secure in (True, False):
            for first in commands:
                dialogue = greeted(policy(starttls=False), secure)
                said = written(dialogue.receive_data(first + b"\r\nAUTH\r\n"))
                lines = said.split(b"\r\n")
                final = [line for line in lines if line.startswith((b"+OK", b"-ERR"))]
                self.assertEqual(len(final), 2, (first, said))
                self.assertEqual(final[1], b"+OK Mechanisms follow.", (first, said))

    def test_advertised_if_and_only_if_accepted(self) -> None:
        """CAPA, the list behind AUTH and the gates say the same, whatever the policy."""
        for chosen in range(1 << len(EVERY)):
            mechanisms = tuple(m for bit, m in enumerate(EVERY) if chosen >> bit & 1)
            for flags in range(8):
                starttls, cleartext, secure = (bool(flags >> bit & 1) for bit in range(3))
                self._check_offer(every(starttls, cleartext, mechanisms), secure)

    def _check_offer(self, offered: Policy, secure: bool) -> None:
        capabilities = written(
            recognized(greeted(offered, secure), secure).receive_data(b"CAPA\r\n")
        ).split(b"\r\n")
        sasl = next((line.split()[1:] for line in capabilities if line[:4] == b"SASL"), [])
        listed = written(
            recognized(greeted(offered, secure), secure).receive_data(b"AUTH\r\n")
        ).split(b"\r\n")
        self.assertEqual(listed, [b"+OK Mechanisms follow.", *sasl, b".", b""])
        probes = {
            b"STLS\r\n": b"STLS" in capabilities,
            b"USER alice\r\n": b"USER" in capabilities,
            b"USER alice\r\nPASS x\r\n": b"USER" in capabilities,
        }
        for name in WORDS:
            probes[b"AUTH " + name + b"\r\n"] = name in sasl
        for probe, expected in probes.items():
            events = recognized(greeted(offered, secure), secure).receive_data(probe)
            self.assertEqual(
                written(events).startswith((b"+OK", b"+ ")), expected, (probe, offered, secure)
            )
            self.assertEqual(isinstance(events[-1], Login), expected and b"PASS" in probe)


class TranscriptTests(SynchronousTestCase):
    """Conversations in the RFCs' notation."""

    def check(self, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(make, GREETED + transcript, trailing)

    def check_plain(self, transcript: str) -> None:
        assert_transcript(lambda: make(secure=False), GREETED + transcript)

    def test_user_and_pass(self) -> None:
        """RFC 1939 section 7: the lookup waits for PASS, and the answer is the backend's."""
        self.check(
            """
            C: USER mrose
            S: +OK Send your password.
            C: PASS secret
            = Login mrose PLAIN
            > reject backend-busy [IN-USE] maildrop already locked
            S: -ERR [IN-USE] maildrop already locked
            C: user mrose
            S: +OK Send your password.
            C: pass secret
            = Login mrose PLAIN
            > accept mrose's maildrop has 2 messages (320 octets)
            S: +OK mrose's maildrop has 2 messages (320 octets)
            """,
            trailing=b"STAT\r\nQUIT\r\n",
        )

    def test_user_tells_nothing(self) -> None:
        """USER is always +OK: names cannot be probed; a second one replaces the first."""
        self.check(
            """
            C: USER nobody at all
            S: +OK Send your password.
            C: USER alice
            S: +OK Send your password.
            C: NOOP
            S: +OK Nothing done.
            C: PASS x
            = Login alice PLAIN
            > reject account-unknown
            S: -ERR [AUTH] Authentication failed.
            """
        )

    def test_pass_needs_user(self) -> None:
        """RFC 1939: PASS follows a USER; after a failed login the name is forgotten."""
        self.check(
            """
            C: PASS x
            S: -ERR Send USER first.
            C: USER
            S: -ERR Missing argument.
            C: PASS x
            S: -ERR Send USER first.
            C: USER alice
            S: +OK Send your password.
            C: PASS x
            = Login alice PLAIN
            > reject credentials-rejected
            S: -ERR [AUTH] Authentication failed.
            C: PASS y
            S: -ERR Send USER first.
            C: USER alice
            S: +OK Send your password.
            C: PASS
            S: -ERR Empty user name or password.
            C: PASS x
            S: -ERR Send USER first.
            C: USER alice
            S: +OK Send your password.
            C: AUTH PLAIN
            S: +\\x20
            C: *
            S: -ERR Authentication cancelled.
            C: PASS x
            S: -ERR Send USER first.
            """
        )

    def test_password_is_the_rest_of_the_line(self) -> None:
        """Spaces at either end, quotes, 8-bit octets and 300 of them arrive as they are."""
        for secret in (b"a b", b" x ", b"  ", b'"q"\\', b"\xff\xfe\t", b"p" * 300, b"PASS x"):
            dialogue = greeted()
            events = dialogue.receive_data(b"USER alice\r\nPASS " + secret + b"\r\n")
            assert isinstance(events[-1], Login), (secret, events)
            self.assertEqual(events[-1].initial_response, b"\0alice\0" + secret)

    def test_unusable_names(self) -> None:
        """NUL, and what is not UTF-8, is refused and never becomes a login."""
        for name in (b"al\0ice", b"\xff\xfe"):
            dialogue = greeted()
            events = dialogue.receive_data(b"USER " + name + b"\r\nPASS x\r\n")
            self.assertTrue(written(events).startswith(b"+OK"))
            self.assertIn(b"\r\n-ERR ", written(events))
            self.assertFalse(any(isinstance(event, Login) for event in events))

    def test_pipelined_behind_a_login(self) -> None:
        """RFC 2449 6.6: kept until the outcome; after -ERR it is answered here, in order."""
        self.check(
            """
            C: USER alice
            C: PASS x
            C: STAT
            C: NOOP
            S: +OK Send your password.
            = Login alice PLAIN
            > reject credentials-rejected
            S: -ERR [AUTH] Authentication failed.
            S: -ERR Unknown command, or one that needs a login first.
            S: +OK Nothing done.
            """
        )
        dialogue = greeted()
        dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\nSTAT\r\nLIST\r\n")
        self.assertEqual(dialogue.trailing_data, b"STAT\r\nLIST\r\n")

    def test_capa(self) -> None:
        """RFC 2449: the list changes with the handshake; STLS is not offered twice (RFC 2595)."""
        self.check_plain(
            """
            C: CAPA
            S: +OK Capability list follows.
            S: TOP
            S: UIDL
            S: RESP-CODES
            S: AUTH-RESP-CODE
            S: PIPELINING
            S: STLS
            S: .
            C: USER alice
            S: -ERR [SYS/PERM] Use STLS first.
            C: PASS x
            S: -ERR [SYS/PERM] Use STLS first.
            C: AUTH PLAIN
            S: -ERR [SYS/PERM] Use STLS first.
            C: STLS
            S: +OK Begin TLS negotiation now.
            = StartTLS
            > tls
            C: CAPA
            S: +OK Capability list follows.
            S: TOP
            S: UIDL
            S: RESP-CODES
            S: AUTH-RESP-CODE
            S: PIPELINING
            S: USER
            S: SASL PLAIN LOGIN XOAUTH2 OAUTHBEARER
            S: .
            C: STLS
            S: -ERR STLS is not available now.
            """
        )

    def test_stls_forgets(self) -> None:
        """RFC 2595 section 4: a name given in the clear is void after the handshake."""
        offered = policy(starttls=True, cleartext=True)
        assert_transcript(
            lambda: make(offered, secure=False),
            GREETED
            + """
            C: USER mallory
            S: +OK Send your password.
            C: STLS
            S: +OK Begin TLS negotiation now.
            = StartTLS
            > tls
            C: PASS x
            S: -ERR Send USER first.
            """,
        )

    def test_stls_injection(self) -> None:
        """A login pipelined in the clear behind STLS is never used."""
        dialogue = greeted(secure=False)
        events = dialogue.receive_data(b"STLS\r\nUSER mallory\r\nPASS x\r\n")
        self.assertEqual(describe(events[-1]), "Close cleartext-after-starttls")
        self.assertNotIn(b"+OK", written(events))

    def test_auth(self) -> None:
        """RFC 5034 section 4 and its samples: with and without an initial response."""
        self.check(
            """
            C: AUTH PLAIN dGVzdAB0ZXN0AHRlc3Q=
            = Login test PLAIN
            > reject credentials-rejected
            S: -ERR [AUTH] Authentication failed.
            C: AUTH PLAIN
            S: +\\x20
            C: dGVzdAB0ZXN0AHRlc3Q=
            = Login test PLAIN
            > accept Maildrop locked and ready
            S: +OK Maildrop locked and ready
            """,
            trailing=b"STAT\r\n",
        )

    def test_auth_forms(self) -> None:
        """ "=" is an empty response, "*" cancels, junk is an error, a bare AUTH lists."""
        self.check(
            """
            C: AUTH
            S: +OK Mechanisms follow.
            S: PLAIN
            S: LOGIN
            S: XOAUTH2
            S: OAUTHBEARER
            S: .
            C: auth plain =
            S: -ERR Malformed PLAIN message.
            C: AUTH PLAIN !!!!
            S: -ERR Invalid base64 data.
            C: AUTH PLAIN
            S: +\\x20
            C: *
            S: -ERR Authentication cancelled.
            C: AUTH KERBEROS_V4
            S: -ERR [SYS/PERM] Unsupported authentication mechanism.
            C: AUTH LOGIN YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: c2VjcmV0
            = Login alice PLAIN
            > accept
            S: +OK Logged in.
            """
        )

    def test_relayed_challenge(self) -> None:
        """A backend's challenge passes to the client and its response back (RFC 7628 3.2.3)."""
        self.check(
            """
            C: AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE=
            = Login alice OAUTHBEARER
            > challenge {"status":"invalid_token"}
            S: + eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=
            C: AQ==
            = Response \x01
            > reject credentials-rejected Token refused
            S: -ERR [AUTH] Token refused
            C: AUTH OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE=
            = Login alice OAUTHBEARER
            > challenge
            S: +\\x20
            C: *
            = Response *
            > reject credentials-rejected AUTH cancelled
            S: -ERR Authentication cancelled.
            """
        )

    def test_apop_and_utf8(self) -> None:
        """Neither is offered: no timestamp in the greeting, no UTF8 in CAPA; both are refused."""
        dialogue = Pop3Server(policy(), True, 3, Greeting(b"hi <1896.697170952@dbc.mtview>"))
        said = written(dialogue.start())
        self.assertNotRegex(said, rb"<.*>")
        said = written(dialogue.receive_data(b"CAPA\r\n"))
        self.assertNotIn(b"UTF8", said)
        apop = b"APOP mrose c4c9334bac560ecc979e58001b3e22fb\r\n"
        # Nor is the command of proxies: who says so may be anybody.
        for command in (apop, b"UTF8\r\n", b"XCLIENT ADDR=192.0.2.1\r\n"):
            events = dialogue.receive_data(command)
            self.assertEqual(len(events), 1, events)
            self.assertTrue(written(events).startswith(b"-ERR "))

    def test_quit(self) -> None:
        """RFC 1939 section 4: QUIT before the login is +OK; nothing behind it is answered."""
        self.check("C: QUIT\nC: NOOP\nS: +OK Bye.\n= Close logout\n")

    def test_foreign_protocols(self) -> None:
        """A browser or a TLS client on the plain port is disconnected at once."""
        for start, why in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", "http-request"),
            (b"\x16\x03\x01\x02\x00\x01", "tls-hello-on-plain-port"),
        ):
            events = greeted(secure=False).receive_data(start)
            self.assertEqual([describe(event) for event in events], [f"Close {why}"])

    def test_bad_command_budget(self) -> None:
        """Nonsense, and what is not allowed here, is answered ten times, then we hang up."""
        for secure, command in ((True, b"FOO"), (False, b"USER a"), (True, b"AUTH X")):
            events = greeted(secure=secure).receive_data((command + b"\r\n") * 20)
            self.assertEqual(written(events).count(b"-ERR"), 11)
            self.assertEqual(describe(events[-1]), "Close too-many-bad-commands")

    def test_long_tokens_and_long_lines(self) -> None:
        """A token of 12 KiB passes in an AUTH line; another line of that length does not."""
        message = b"user=alice\x01auth=Bearer " + b"t" * 12288 + b"\x01\x01"
        for sent in (
            b"auth XOAUTH2 " + base64.b64encode(message) + b"\r\n",
            b"AUTH XOAUTH2\r\n" + base64.b64encode(message) + b"\r\n",
        ):
            events = greeted().receive_data(sent)
            assert isinstance(events[-1], Login), events
            self.assertEqual(events[-1].initial_response, message)
        for start in (b"USER ", b"PASS ", b"AUTHOR ", b""):
            events = greeted().receive_data(start + b"x" * 9000)
            self.assertEqual(describe(events[-1]), "Close line-too-long", start)
        events = greeted().receive_data(b"AUTH XOAUTH2 " + b"x" * 66000)
        assert isinstance(events[-1], Close)
        self.assertEqual(events[-1].why, "line-too-long")

    def test_timeout_and_shutdown_are_polite(self) -> None:
        """A goodbye in words; where it answers PASS it is no verdict on the password."""
        self.check("> timeout\nS: -ERR [SYS/TEMP] Disconnected for inactivity.\n= Close timeout\n")
        self.check(
            """
            C: USER alice
            C: PASS x
            S: +OK Send your password.
            = Login alice PLAIN
            > stop
            S: -ERR [SYS/TEMP] Server is shutting down.
            = Close shutting-down
            """
        )
