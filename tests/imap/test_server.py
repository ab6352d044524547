"""The server's side of IMAP: transcripts of the RFCs, and the laws."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Event, Login, Rejected
from mailroute.imap.server import Greeting, ImapServer
from mailroute.offer import Policy
from tests.support.dialogues import assert_transcript, describe, written
from tests.support.laws import PROOFS, SECRET, WORDS, ServerLaws, every, policy, recognized

IR = base64.b64encode(b"\0alice\0" + SECRET)
GREETED = (
    "S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2"
    " AUTH=OAUTHBEARER] mailroute ready.\n"
)
GREETED_PLAIN = (
    "S: * OK [CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID STARTTLS LOGINDISABLED] mailroute ready.\n"
)


def make(policy_: Policy | None = None, secure: bool = True) -> ImapServer:
    return ImapServer(policy_ or policy(), secure, 3, Greeting())


class ImapServerLawsTests(ServerLaws, SynchronousTestCase):
    """The laws of every server dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b"SCRAM-SHA-1", b"EXTERNAL", b"SCRAM-SHA-256 biwsbj1hLHI9eA==\r\n",
        b"a ", b"b2 ", b"CAPABILITY", b"NOOP", b"LOGIN ", b"AUTHENTICATE ", b"PLAIN", b"LOGIN",
        b"XOAUTH2", b" ", b"\r\n", b"\n", b"{3}\r\n", b"{3+}\r\n", b"{5000+}\r\n", b'"al\\"ice" ',
        b"alice ", b"secret", b"*\r\n", b"=", b"AGFsaWNlAHNlY3JldA==\r\n", b"STARTTLS\r\n",
        b"LOGOUT\r\n", b"ID ", b"NIL", b"(", b")", b'"x"', b"a NOOP\r\n", b"abc", b"GET / HTTP/1",
        b"\x16\x03\x01", b"\0", b"a LOGIN {3}\r\n", b"a ID ({3+}\r\n", b"b AUTHENTICATE PLAIN\r\n",
    ]  # fmt: skip
    login_commands: ClassVar[list[bytes]] = [
        b"a LOGIN alice " + SECRET + b"\r\n",
        b'a LOGIN "alice" "' + SECRET + b'"\r\n',
        b"a LOGIN {5+}\r\nalice {%d+}\r\n" % len(SECRET) + SECRET + b"\r\n",
        b"a LOGIN {5}\r\nalice {%d}\r\n" % len(SECRET) + SECRET + b"\r\n",
        b"a AUTHENTICATE PLAIN " + IR + b"\r\n",
        b"a AUTHENTICATE PLAIN\r\n" + IR + b"\r\n",
        b"a AUTHENTICATE LOGIN\r\nYWxpY2U=\r\n" + base64.b64encode(SECRET) + b"\r\n",
        b"a AUTHENTICATE XOAUTH2 "
        + base64.b64encode(b"user=alice\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
        b"a AUTHENTICATE OAUTHBEARER "
        + base64.b64encode(b"n,a=alice,\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b"\r\n",
    ]

    proofs: ClassVar[list[bytes]] = [
        b"a AUTHENTICATE %b %b\r\n" % (name.encode(), base64.b64encode(message))
        for name, message in PROOFS.items()
    ]

    def make(self, policy: Policy, secure: bool) -> ImapServer:
        return make(policy, secure)

    def is_temporary(self, said: bytes) -> bool:
        assert said.startswith(b"a NO ["), said
        return b"[UNAVAILABLE]" in said

    def test_every_command_gets_one_final_reply(self) -> None:
        """Each consumed command has exactly one tagged reply, in order."""
        commands = [
            b"CAPABILITY", b"NOOP", b"ID NIL", b"STARTTLS", b"LOGIN", b"LOGIN a", b"SELECT x",
            b"AUTHENTICATE", b"AUTHENTICATE NTLM", b"NOOP x", b"FOO",
        ]  # fmt: skip
        for secure in (True, False):
            for first in commands:
                dialogue = make(policy(starttls=False), secure)
                dialogue.start()
                said = written(dialogue.receive_data(b"t1 " + first + b"\r\nt2 NOOP\r\n"))
                lines = said.split(b"\r\n")
                final = [line.split()[0] for line in lines if line[:1] == b"t"]
                self.assertEqual(final, [b"t1", b"t2"], (first, said))

    def test_advertised_if_and_only_if_accepted(self) -> None:
        """What the capability list says and what the gates do are the same."""
        for starttls in (True, False):
            for cleartext in (True, False):
                for secure in (True, False):
                    self._check_offer(every(starttls, cleartext), secure)

    def _check_offer(self, offered: Policy, secure: bool) -> None:
        greeting = written(recognized(make(offered, secure), secure).start())
        listed = greeting.partition(b"]")[0].split()
        probes = {b"STARTTLS": b"a STARTTLS\r\n", b"LOGIN": b"a LOGIN alice x\r\n"}
        for name in WORDS:
            probes[b"AUTH=" + name] = b"a AUTHENTICATE " + name + b"\r\n"
        for capability, probe in probes.items():
            dialogue = recognized(make(offered, secure), secure)
            dialogue.start()
            events = dialogue.receive_data(probe)
            accepted = isinstance(events[-1], Login) or written(events)[:4] in (b"a OK", b"+ \r\n")
            accepted = accepted or written(events).startswith(b"+ ")
            expected = capability in listed
            if capability == b"LOGIN":
                expected = b"LOGINDISABLED" not in listed
            self.assertEqual(accepted, expected, (capability, offered, secure))

    def test_extensions_not_advertised_are_refused(self) -> None:
        """SASL-IR, ID and LITERAL- are accepted only where they are advertised."""
        bare = ImapServer(policy(), True, 3, Greeting(advertise=("IMAP4rev1",)))
        self.assertNotIn(b"SASL-IR", written(bare.start()))
        self.assertIn(b"a BAD", written(bare.receive_data(b"a AUTHENTICATE PLAIN " + IR + b"\r\n")))
        self.assertIn(b"a BAD", written(bare.receive_data(b"a ID NIL\r\n")))
        events = bare.receive_data(b"a LOGIN {5+}\r\nalice x\r\n")
        self.assertEqual(describe(events[-1]), "Close literal-too-long")


class TranscriptTests(SynchronousTestCase):
    """Conversations in the RFCs' notation."""

    def check(self, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(make, GREETED + transcript, trailing)

    def check_plain(self, transcript: str) -> None:
        assert_transcript(lambda: make(secure=False), GREETED_PLAIN + transcript)

    def test_login_forms(self) -> None:
        """LOGIN's arguments are atoms, quoted strings or literals, mixed (RFC 3501 4.3)."""
        names = ("alice", '"alice"', "{5}\nS: + OK\nC: alice", "{5+}\nC: alice")
        secrets = ("p]w", '"p]w"', "{3}\nS: + OK\nC: p]w", "{3+}\nC: p]w")
        for name in names:
            for secret in secrets:
                self.check(
                    f"C: a1 LOGIN {name} {secret}\n= Login alice PLAIN\n> accept Hi\nS: a1 OK Hi\n"
                )

    def test_master_login_without_quotes(self) -> None:
        """As Python's imaplib writes a name, and as servers take it."""
        self.check("C: a LOGIN joe%admin p*w\n= Login joe%admin PLAIN\n> accept Hi\nS: a OK Hi\n")

    def test_credentials_arrive(self) -> None:
        """Quotes, backslashes, spaces and braces survive every form."""
        secret = b' "x\\{3}'
        for sent in (
            b'"' + secret.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"',
            b"{%d+}\r\n" % len(secret) + secret,
        ):
            dialogue = make()
            dialogue.start()
            events = dialogue.receive_data(b"a LOGIN alice " + sent + b"\r\n")
            assert isinstance(events[-1], Login)
            self.assertEqual(events[-1].initial_response, b"\0alice\0" + secret)

    def test_refused_literals(self) -> None:
        """A refused synchronizing literal is answered and never read (RFC 7888)."""
        self.check(
            """
            C: a LOGIN {9000}
            S: a BAD Literal too long.
            C: b NOOP
            S: b OK NOOP completed.
            C: c SELECT {3}
            S: c BAD No literal here.
            C: d NOOP {3}
            S: d BAD No literal here.
            C: e ID ("k" {5000}
            S: + OK
            C: {VALUE} "k" {5000}
            S: e BAD Literal too long.
            C: f NOOP
            S: f OK NOOP completed.
            """.replace("{VALUE}", "v" * 5000)
        )

    def test_oversized_non_synchronizing_literal(self) -> None:
        """Its octets come anyway: the connection ends, so they are never parsed as commands."""
        self.check(
            """
            C: a LOGIN {5000+}
            S: * BYE Literal too long.
            = Close literal-too-long
            C: b NOOP
            """
        )

    def test_refused_before_the_password(self) -> None:
        """LOGINDISABLED is enforced before the password's literal is asked for."""
        self.check_plain(
            """
            C: a LOGIN alice {6}
            S: a NO [PRIVACYREQUIRED] Use STARTTLS first.
            C: b LOGIN alice secret
            S: b NO [PRIVACYREQUIRED] Use STARTTLS first.
            C: c AUTHENTICATE PLAIN
            S: c NO [PRIVACYREQUIRED] Use STARTTLS first.
            """
        )

    def test_starttls(self) -> None:
        """RFC 3501 6.2.1: the list changes after the handshake, and there is no second one."""
        self.check_plain(
            """
            C: a STARTTLS x
            S: a BAD Too many arguments.
            C: a STARTTLS
            S: a OK Begin TLS negotiation now.
            = StartTLS
            > tls
            C: b CAPABILITY
            S: * CAPABILITY IMAP4rev1 SASL-IR LITERAL- ID AUTH=PLAIN AUTH=LOGIN AUTH=XOAUTH2 AUTH=OAUTHBEARER
            S: b OK Capability completed.
            C: c STARTTLS
            S: c BAD STARTTLS is not available now.
            """  # noqa: E501
        )

    def test_starttls_injection(self) -> None:
        """A LOGIN pipelined in the clear behind STARTTLS is never used."""
        dialogue = make(secure=False)
        dialogue.start()
        events = dialogue.receive_data(b"a STARTTLS\r\nb LOGIN alice secret\r\n")
        self.assertEqual([type(event) for event in events][-1], Close)
        self.assertEqual(describe(events[-1]), "Close cleartext-after-starttls")
        self.assertNotIn(b"a OK", written(events))

    def test_sasl_initial_response(self) -> None:
        """RFC 4959: with and without; "=" is an empty one; "*" cancels; junk is BAD."""
        self.check(
            """
            C: a AUTHENTICATE PLAIN
            S: +\\x20
            C: *
            S: a BAD Authentication cancelled.
            C: b AUTHENTICATE plain !!!!
            S: b BAD Invalid base64 data.
            C: c AUTHENTICATE PLAIN =
            S: c BAD Malformed PLAIN message.
            C: d AUTHENTICATE LOGIN\\x20
            S: d BAD Empty initial response is written as =.
            C: d AUTHENTICATE LOGIN YWxpY2U=
            S: + UGFzc3dvcmQ6
            C: c2VjcmV0
            = Login alice PLAIN
            > reject credentials-rejected
            S: d NO [AUTHENTICATIONFAILED] Authentication failed.
            C: e AUTHENTICATE PLAIN AGJvYgBzZWNyZXQ=
            = Login bob PLAIN
            > accept [CAPABILITY IMAP4rev1 IDLE] Logged in
            S: e OK [CAPABILITY IMAP4rev1 IDLE] Logged in
            """,
            trailing=b"f SELECT INBOX\r\n",
        )

    def test_relayed_challenge(self) -> None:
        """A backend's challenge passes to the client and its response back (RFC 7628 3.2.3)."""
        self.check(
            """
            C: a AUTHENTICATE OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE=
            = Login alice OAUTHBEARER
            > challenge {"status":"invalid_token"}
            S: + eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0=
            C: AQ==
            = Response \x01
            > reject credentials-rejected Token refused
            S: a NO [AUTHENTICATIONFAILED] Token refused
            C: b AUTHENTICATE OAUTHBEARER bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE=
            = Login alice OAUTHBEARER
            > challenge
            S: +\\x20
            C: *
            = Response *
            > reject credentials-rejected
            S: b BAD Authentication cancelled.
            """
        )

    def test_pipelined_behind_a_login(self) -> None:
        """Kept until the outcome: after NO it is parsed, after OK it belongs to the backend."""
        self.check(
            """
            C: a LOGIN alice x
            C: b NOOP
            = Login alice PLAIN
            > reject credentials-rejected
            S: a NO [AUTHENTICATIONFAILED] Authentication failed.
            S: b OK NOOP completed.
            """
        )

    def test_backend_words_pass(self) -> None:
        """The backend's own words and codes come under the client's tag (RFC 5530)."""
        self.check(
            """
            C: A-1 LOGIN alice x
            = Login alice PLAIN
            > reject backend-refused [EXPIRED] Password expired
            S: A-1 NO [EXPIRED] Password expired
            C: A-2 LOGIN alice x
            = Login alice PLAIN
            > reject backend-busy Too many sessions
            S: A-2 NO [UNAVAILABLE] Too many sessions
            """
        )

    def test_untagged_lines_reach_the_client(self) -> None:
        """An ALERT must be shown to the user: it comes before the tagged reply."""
        dialogue = make()
        dialogue.start()
        dialogue.receive_data(b"a LOGIN alice x\r\n")
        events = dialogue.answer(Accepted((b"done",), (b"* OK [ALERT] Disk full",)))
        self.assertEqual(written(events), b"* OK [ALERT] Disk full\r\na OK done\r\n")
        dialogue = make()
        dialogue.start()
        dialogue.receive_data(b"a LOGIN alice x\r\n")
        failure = Failure(FailureKind.BACKEND_REFUSED, "private")
        events = dialogue.answer(Rejected(failure, (b"[EXPIRED] no",), (b"* OK [ALERT] Old",)))
        self.assertEqual(written(events), b"* OK [ALERT] Old\r\na NO [EXPIRED] no\r\n")

    def test_alert_in_a_rejection(self) -> None:
        """It reaches the user beside the code that every wrong password has."""
        dialogue = make()
        dialogue.start()
        dialogue.receive_data(b"a LOGIN alice x\r\n")
        failure = Failure(FailureKind.CREDENTIALS_REJECTED, "")
        said = written(dialogue.answer(Rejected(failure, (b"[ALERT] Locked",))))
        self.assertEqual(said, b"* NO [ALERT] Locked\r\na NO [AUTHENTICATIONFAILED] Locked\r\n")

    def test_plain_commands(self) -> None:
        """Tags are echoed as they were, verbs in any case; LOGOUT says BYE first."""
        self.check(
            """
            C: aB]1 nOOp
            S: aB]1 OK NOOP completed.
            C: a ID ("name" "x" "version" NIL)
            S: * ID NIL
            S: a OK ID completed.
            C: a ID (name x)
            S: a BAD String expected.
            C: +x NOOP
            S: * BAD Invalid tag.
            C: a STARTTLS x
            S: a BAD STARTTLS is not available now.
            C: a CAPABILITY x
            S: a BAD Too many arguments.
            C: a LOGIN alice secret x
            S: a BAD Too many arguments.
            C: a UNAUTHENTICATE
            S: a BAD Unknown command, or one that needs a login first.
            C: a LOGOUT
            S: * BYE Logging out
            S: a OK Logout completed.
            = Close logout
            """
        )

    def test_id_bounds(self) -> None:
        """RFC 2971: at most 30 pairs, keys of 30 octets, values of 1024."""
        for arguments, status in (
            ("(" + " ".join(['"k" "v"'] * 30) + ")", "OK"),
            ("(" + " ".join(['"k" "v"'] * 31) + ")", "BAD"),
            ('("' + "k" * 31 + '" "v")', "BAD"),
            ('("k" "' + "v" * 1024 + '")', "OK"),
            ('("k" "' + "v" * 1025 + '")', "BAD"),
            ('("k")', "BAD"),
        ):
            dialogue = make()
            dialogue.start()
            said = written(dialogue.receive_data(f"a ID {arguments}\r\n".encode()))
            self.assertIn(f"a {status} ".encode(), said, arguments)

    def test_foreign_protocols(self) -> None:
        """A browser or a TLS client on the plain port is disconnected at once."""
        for start, why in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", "http-request"),
            (b"\x16\x03\x01\x02\x00\x01", "tls-hello-on-plain-port"),
        ):
            dialogue = make(secure=False)
            dialogue.start()
            events = dialogue.receive_data(start)
            self.assertEqual([describe(event) for event in events], [f"Close {why}"])

    def test_bad_command_budget(self) -> None:
        """Nonsense is answered ten times, then the client is sent away."""
        dialogue = make()
        dialogue.start()
        events = dialogue.receive_data(b"a FOO\r\n" * 20)
        said = written(events)
        self.assertEqual(said.count(b"a BAD"), 10)
        self.assertIn(b"* BYE Too many bad commands.", said)

    def test_long_tokens_and_long_lines(self) -> None:
        """A token of 12 KiB passes in a SASL line; another line of that length does not."""
        message = b"user=alice\x01auth=Bearer " + b"t" * 12288 + b"\x01\x01"
        for sent in (
            b"a AUTHENTICATE XOAUTH2 " + base64.b64encode(message) + b"\r\n",
            b"a AUTHENTICATE XOAUTH2\r\n" + base64.b64encode(message) + b"\r\n",
        ):
            dialogue = make()
            dialogue.start()
            events = dialogue.receive_data(sent)
            assert isinstance(events[-1], Login)
            self.assertEqual(events[-1].initial_response, message)
        dialogue = make()
        dialogue.start()
        events = dialogue.receive_data(b"a NOOP " + b"x" * 9000)
        self.assertEqual(describe(events[-1]), "Close line-too-long")

    def test_timeout_and_shutdown_are_polite(self) -> None:
        """A goodbye in words, since the streams are not joined yet."""
        self.check("> timeout\nS: * BYE Disconnected for inactivity.\n= Close timeout\n")
        self.check("> stop\nS: * BYE Server is shutting down.\n= Close shutting-down\n")


class AttackTests(SynchronousTestCase):
    """Clients that mean no good."""

    def events(self, *sent: bytes, secure: bool = True) -> list[Event]:
        """All that comes of these pieces."""
        dialogue = make(secure=secure)
        dialogue.start()
        return [event for piece in sent for event in dialogue.receive_data(piece)]

    def ends(self, events: list[Event], why: str) -> None:
        """The session ends for this reason, and no login comes of it."""
        self.assertEqual(describe(events[-1]), f"Close {why}")
        self.assertFalse(any(isinstance(event, Login) for event in events))

    def test_literal_beyond_counting(self) -> None:
        """However long its number is: what follows a refused literal is never a command."""
        for digits in (b"8192", b"9" * 18, b"9" * 19, b"9" * 5000):
            head = b"a LOGIN alice {" + digits + b"+}\r\n"
            self.ends(self.events(head + b"b LOGIN mallory x\r\n"), "literal-too-long")
        (login,) = self.events(b"a LOGIN {" + b"0" * 30 + b"5+}\r\nalice x\r\n")
        assert isinstance(login, Login)
        self.assertEqual(login.initial_response, b"\0alice\0x")

    def test_commands_inside_literals(self) -> None:
        """What looks like a command inside a literal is a password, however it drips in."""
        evil = b"x\r\nb LOGOUT\r\nc LOGIN mallory y\r\n"
        sent = b"a LOGIN alice {%d+}\r\n" % len(evil) + evil + b"\r\n"
        for pieces in ([sent], [sent[i : i + 1] for i in range(len(sent))]):
            (login,) = self.events(*pieces)
            assert isinstance(login, Login)
            self.assertEqual(login.initial_response, b"\0alice\0" + evil)

    def test_foreign_bytes_inside_literals(self) -> None:
        """A password may look like another protocol's first octets."""
        for evil in (b"GET / HTTP/1.1", b"\x16\x03\x01"):
            (login,) = self.events(b"a LOGIN alice {%d+}\r\n" % len(evil), evil + b"\r\n")
            assert isinstance(login, Login)
            self.assertEqual(login.initial_response, b"\0alice\0" + evil)

    def test_literal_of_another_verb(self) -> None:
        """The octets of a non-synchronizing literal are gathered for unknown commands too."""
        events = self.events(b"a FOO {9+}\r\nb LOGOUT\r\r\nc NOOP\r\n")
        said = written(events).split(b"\r\n")
        self.assertEqual([line[:5] for line in said], [b"a BAD", b"c OK ", b""])

    def test_command_keeps_its_bound(self) -> None:
        """Lines and literals of one command share the bound: many small ones are no way round."""
        self.ends(self.events(b"a LOGIN" + b" {0+}\r\n" * 2000), "line-too-long")
        for sent in (
            b"a ID (" + (b'"k" {500+}\r\n' + b"v" * 500) * 20,
            b"a LOGIN {4096+}\r\n" + b"x" * 4096 + b" {4096+}\r\n",
        ):
            self.ends(self.events(sent), "literal-too-long")
        self.ends(
            self.events(b"a LOGIN {4000+}\r\n" + b"x" * 4000 + b" " + b"y" * 4200), "line-too-long"
        )

    def test_refused_literals_are_counted(self) -> None:
        """A client that goes on asking for what is refused is sent away, literal or not."""
        for sent, secure in (
            (b"a LOGIN alice {6}\r\n", False),
            (b"a LOGIN alice secret\r\n", False),
            (b"a AUTHENTICATE PLAIN\r\n", False),
            (b"a AUTHENTICATE NTLM\r\n", True),
            (b"a STARTTLS\r\n", True),
            (b"a SELECT {3}\r\n", True),
        ):
            self.ends(self.events(*[sent] * 10, secure=secure), "too-many-bad-commands")

    def test_odd_octets(self) -> None:
        """Octets beyond ASCII in tag, verb and mechanism are answered, and not reflected."""
        for sent in (
            b"\xff NOOP\r\n",
            b"a \xffNOOP\r\n",
            b"a NOOP\xff\r\n",
            b"a AUTHENTICATE PL\xc3\x84IN\r\n",
            b"a AUTHENTICATE \xff\r\n",
            "a AUTHENTICATE pla\u0131n\r\n".encode(),
            b"a LOGIN \xff \xff\r\n",
            b'a LOGIN "\xff" "\xff"\r\n',
            b"a AUTHENTICATE PLAIN \xff\r\n",
            b"a AUTHENTICATE PLAIN\r\n\xff\0\r\n",
            b"a\x1b[2J NOOP\r\n",
        ):
            said = written(self.events(sent))
            self.assertRegex(said, rb"\A(\+ \r\n)?[a*] (BAD|NO) [ -~]+\r\n\Z", sent)

    def test_tags_are_not_a_way_to_speak(self) -> None:
        """A tag with a line end or a space in it cannot exist; a long one is not echoed."""
        self.assertEqual(written(self.events(b"x" * 300 + b" NOOP\r\n")), b"* BAD Invalid tag.\r\n")
        self.assertEqual(written(self.events(b"a\r* NOOP\r\n")), b"* BAD Invalid tag.\r\n")
