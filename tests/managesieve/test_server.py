"""The server's side of ManageSieve: transcripts of RFC 5804, and the laws."""

from __future__ import annotations

import base64
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import Accepted, Close, Login, StartTLS
from mailroute.managesieve.server import Greeting, ManageSieveServer
from mailroute.offer import Policy
from mailroute.server_dialogue import COMMAND_LIMIT, SASL_LINE_LIMIT
from tests.support.dialogues import TLS, assert_transcript, describe, written
from tests.support.laws import EVERY, PROOFS, SECRET, WORDS, ServerLaws, every, policy, recognized

IR = base64.b64encode(b"\0alice\0" + SECRET)
TOKEN = base64.b64encode(b"user=alice\x01auth=Bearer " + SECRET + b"\x01\x01")
LOOKS = Greeting(b"mailroute ready.", "mailroute", ("fileinto", "vacation"))


def capabilities(sasl: str, starttls: bool, words: str) -> str:
    """The list of a transcript."""
    lines = ['"IMPLEMENTATION" "mailroute"', f'"SASL" "{sasl}"', '"SIEVE" "fileinto vacation"']
    lines += ['"STARTTLS"'] * starttls + ['"VERSION" "1.0"', f'OK "{words}"']
    return "".join(f"S: {line}\n" for line in lines)


ALL = "PLAIN LOGIN XOAUTH2 OAUTHBEARER"
GREETED = capabilities(ALL, False, "mailroute ready.")
GREETED_PLAIN = capabilities("", True, "mailroute ready.")


def make(policy_: Policy | None = None, secure: bool = True) -> ManageSieveServer:
    return ManageSieveServer(policy_ or policy(), secure, 3, LOOKS)


def greeted(policy_: Policy | None = None, secure: bool = True) -> ManageSieveServer:
    """A dialogue whose greeting was said."""
    dialogue = make(policy_, secure)
    dialogue.start()
    return dialogue


class ManageSieveServerLawsTests(ServerLaws, SynchronousTestCase):
    """The laws of every server dialogue."""

    fragments: ClassVar[list[bytes]] = [
        b'"SCRAM-SHA-1"', b'"EXTERNAL"', b'"SCRAM-SHA-256" "biwsbj1hLHI9eA=="',
        b"CAPABILITY\r\n", b"NOOP\r\n", b"LOGOUT\r\n", b"STARTTLS\r\n", b"AUTHENTICATE ", b"NOOP ",
        b'"PLAIN"', b'"LOGIN"', b'"XOAUTH2"', b" ", b"\r\n", b"\n", b"\r", b'"', b"{3+}\r\n", b"{",
        b"{12+}\r\nYWxpY2UAc2Vj", b'"*"\r\n', b'"="', b'""', b'"AGFsaWNlAHNlY3JldA=="\r\n',
        b'PUTSCRIPT "x" {6+}\r\nNOOP\r\n\r\n', b"{9+}", b"{3}\r\n", b"{99999+}\r\n", b"\\", b"\0",
        b"GET / HTTP/1", b"\x16\x03\x01", b"\xff", b"LISTSCRIPTS\r\n",
    ]  # fmt: skip
    login_commands: ClassVar[list[bytes]] = [
        b'AUTHENTICATE "PLAIN" "' + IR + b'"\r\n',
        b"authenticate {5+}\r\nplain {%d+}\r\n" % len(IR) + IR + b"\r\n",
        b'AUTHENTICATE "PLAIN"\r\n"' + IR + b'"\r\n',
        b'AUTHENTICATE "PLAIN"\r\n{%d+}\r\n' % len(IR) + IR + b"\r\n",
        b'AUTHENTICATE "LOGIN"\r\n"YWxpY2U="\r\n"' + base64.b64encode(SECRET) + b'"\r\n',
        b'AUTHENTICATE "XOAUTH2" "' + TOKEN + b'"\r\n',
        b'AUTHENTICATE "OAUTHBEARER" "'
        + base64.b64encode(b"n,a=alice,\x01auth=Bearer " + SECRET + b"\x01\x01")
        + b'"\r\n',
    ]

    proofs: ClassVar[list[bytes]] = [
        b'AUTHENTICATE "%b" "%b"\r\n' % (name.encode(), base64.b64encode(message))
        for name, message in PROOFS.items()
    ]

    def make(self, policy: Policy, secure: bool) -> ManageSieveServer:
        return make(policy, secure)

    def is_temporary(self, said: bytes) -> bool:
        assert said.startswith(b"NO "), said
        return said.startswith(b"NO (TRYLATER) ")

    def test_advertised_if_and_only_if_accepted(self) -> None:
        """The greeting, CAPABILITY and the gates say the same, whatever the policy."""
        for chosen in range(1 << len(EVERY)):
            mechanisms = tuple(m for bit, m in enumerate(EVERY) if chosen >> bit & 1)
            for flags in range(8):
                starttls, cleartext, secure = (bool(flags >> bit & 1) for bit in range(3))
                self._check_offer(every(starttls, cleartext, mechanisms), secure)

    def _check_offer(self, offered: Policy, secure: bool) -> None:
        greeting = written(recognized(make(offered, secure), secure).start()).splitlines()
        listed = written(
            recognized(greeted(offered, secure), secure).receive_data(b"CAPABILITY\r\n")
        ).splitlines()
        self.assertEqual(listed[:-1], greeting[:-1])
        (sasl,) = (line.split(b'"')[3].split() for line in listed if line[:7] == b'"SASL" ')
        probes = {b"STARTTLS\r\n": b'"STARTTLS"' in listed}
        for name in WORDS:
            probes[b'AUTHENTICATE "' + name + b'"\r\n'] = name in sasl
        for probe, expected in probes.items():
            said = written(recognized(greeted(offered, secure), secure).receive_data(probe))
            self.assertEqual(said.startswith((b"OK", b'"')), expected, (probe, offered, secure))


class TranscriptTests(SynchronousTestCase):
    """Conversations in the RFC's notation."""

    def check(self, transcript: str, trailing: bytes = b"") -> None:
        assert_transcript(make, GREETED + transcript, trailing)

    def check_plain(self, transcript: str) -> None:
        assert_transcript(lambda: make(secure=False), GREETED_PLAIN + transcript)

    def test_authenticate(self) -> None:
        """Section 2.1: initial responses and answers, quoted and as literals; then the join."""
        for sent in (
            'C: Authenticate "PLAIN" "AHRlc3QAdGVzdA=="\n',
            'C: AUTHENTICATE "PLAIN" {16+}\nC: AHRlc3QAdGVzdA==\n',
            "C: AUTHENTICATE {5+}\nC: plain {16+}\nC: AHRlc3QAdGVzdA==\n",
            'C: AUTHENTICATE "PLAIN"\nS: ""\nC: "AHRlc3QAdGVzdA=="\n',
            'C: AUTHENTICATE "PLAIN"\nS: ""\nC: {16+}\nC: AHRlc3QAdGVzdA==\n',
            'C: AUTHENTICATE "LOGIN"\nS: "VXNlcm5hbWU6"\nC: "dGVzdA=="\n'
            'S: "UGFzc3dvcmQ6"\nC: {8+}\nC: dGVzdA==\n',
            'C: AUTHENTICATE "LOGIN" "dGVzdA=="\nS: "UGFzc3dvcmQ6"\nC: "dGVzdA=="\n',
        ):
            self.check(
                sent + "= Login test PLAIN\n> reject credentials-rejected no such user\n"
                'S: NO "no such user"\n'
                + sent
                + '= Login test PLAIN\n> accept Welcome\nS: OK "Welcome"\n',
                trailing=b'CAPABILITY\r\nPUTSCRIPT "x" {6+}\r\n\r\nOK\r\n',
            )

    def test_pipelined_behind_a_login(self) -> None:
        """Kept until the outcome: after NO it is answered here, after OK it is the backend's."""
        self.check(
            """
            C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="
            C: NOOP "sync"
            C: LISTSCRIPTS
            = Login test PLAIN
            > reject credentials-rejected
            S: NO "Authentication failed."
            S: OK (TAG "sync") "Done."
            S: NO "Unknown command, or one that needs a login first."
            """
        )
        dialogue = greeted()
        dialogue.receive_data(b'AUTHENTICATE "PLAIN" "' + IR + b'"\r\nCAPABILITY\r\nNOOP\r\n')
        said = written(dialogue.answer(Accepted((b"in",))))
        self.assertEqual(said, b'OK "in"\r\n')
        self.assertEqual(dialogue.trailing_data, b"CAPABILITY\r\nNOOP\r\n")

    def test_starttls(self) -> None:
        """Section 2.2: the capabilities are said anew behind the handshake, unasked."""
        self.check_plain(
            """
            C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="
            S: NO (ENCRYPT-NEEDED) "Use STARTTLS first."
            C: STARTTLS "x"
            S: NO "Too many arguments."
            C: STARTTLS
            S: OK "Begin TLS negotiation now."
            = StartTLS
            > tls
            """
            + capabilities(ALL, False, "TLS negotiation successful.")
            + """
            C: STARTTLS
            S: NO "STARTTLS is not available now."
            C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="
            = Login test PLAIN
            > accept
            S: OK "Logged in."
            """
        )

    def test_pipelined_behind_the_handshake(self) -> None:
        """A client that does not wait for the capabilities gets them first, and once."""
        dialogue = greeted(secure=False)
        self.assertIsInstance(dialogue.receive_data(b"STARTTLS\r\n")[-1], StartTLS)
        again = written(dialogue.tls_established(TLS))
        events = dialogue.receive_data(b'NOOP\r\nAUTHENTICATE "PLAIN" "' + IR + b'"\r\n')
        self.assertTrue(again.endswith(b'\r\nOK "TLS negotiation successful."\r\n'), again)
        self.assertEqual(again.count(b'"SASL"'), 1)
        self.assertEqual(written(events), b'OK "Done."\r\n')
        self.assertIsInstance(events[-1], Login)

    def test_starttls_injection(self) -> None:
        """A login pipelined in the clear behind STARTTLS is never used."""
        dialogue = greeted(secure=False)
        events = dialogue.receive_data(b'STARTTLS\r\nAUTHENTICATE "PLAIN" "' + IR + b'"\r\n')
        self.assertEqual(describe(events[-1]), "Close cleartext-after-starttls")
        self.assertNotIn(b"OK", written(events))

    def test_forms(self) -> None:
        """Strings only; "*" cancels; junk is NO and leaves the session as it was."""
        self.check(
            """
            C: AUTHENTICATE "PLAIN" ""
            S: NO "Malformed PLAIN message."
            C: AUTHENTICATE "PLAIN" "!!!!"
            S: NO "Invalid base64 data."
            C: AUTHENTICATE PLAIN
            S: NO "String expected."
            C: AUTHENTICATE
            S: NO "Missing argument."
            C: AUTHENTICATE "KERBEROS_V4"
            S: NO "Unsupported authentication mechanism."
            C: AUTHENTICATE "PLAIN"
            S: ""
            C: "*"
            S: NO "Authentication cancelled."
            C: AUTHENTICATE "PLAIN"
            S: ""
            C: {1+}
            C: *
            S: NO "Authentication cancelled."
            C: AUTHENTICATE "PLAIN"
            S: ""
            C: *
            S: NO "String expected."
            C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="
            = Login test PLAIN
            > accept
            S: OK "Logged in."
            """
        )

    def test_relayed_challenge(self) -> None:
        """A backend's challenge passes to the client and its response back (RFC 7628 3.2.3)."""
        begun = 'C: AUTHENTICATE "OAUTHBEARER" "bixhPWFsaWNlLAFhdXRoPUJlYXJlciB4AQE="\n'
        self.check(
            begun
            + """
            = Login alice OAUTHBEARER
            > challenge {"status":"invalid_token"}
            S: "eyJzdGF0dXMiOiJpbnZhbGlkX3Rva2VuIn0="
            C: "AQ=="
            = Response \x01
            > reject credentials-rejected Token refused
            S: NO "Token refused"
            """
            + begun
            + """
            = Login alice OAUTHBEARER
            > challenge
            S: ""
            C: ""
            = Response
            > reject credentials-rejected
            S: NO "Authentication failed."
            """
        )
        for answer in ('"*"', "junk", '"!"'):
            self.check(
                begun + "= Login alice OAUTHBEARER\n> challenge x\n"
                f'S: "eA=="\nC: {answer}\n= Response *\n> reject credentials-rejected gone\n'
                'S: NO "Authentication cancelled."\n'
            )

    def test_commands_of_any_time(self) -> None:
        """Sections 2.3, 2.4, 2.13: CAPABILITY, LOGOUT, and NOOP that repeats a string."""
        self.check(
            "C: capability\n"
            + capabilities(ALL, False, "Capability completed.")
            + """
            C: NOOP
            S: OK "Done."
            C: NOOP "a \\x5c"b\\x5c" \\x5c\\x5c"
            S: OK (TAG "a \\x5c"b\\x5c" \\x5c\\x5c") "Done."
            C: NOOP {16+}
            C: STARTTLS-SYNC-42
            S: OK (TAG "STARTTLS-SYNC-42") "Done."
            C: NOOP {4+}
            C~ a\\r\\nb
            C:
            S~ OK (TAG {4}\\r\\na\\r\\nb) "Done."\\r\\n
            C: NOOP x
            S: NO "String expected."
            C: LOGOUT x
            S: NO "Too many arguments."
            C: LOGOUT
            C: NOOP
            S: OK "Logout completed."
            = Close logout
            """
        )

    def test_what_needs_a_login(self) -> None:
        """Every other command is NO, and a literal with it is swallowed: it is no command."""
        smuggled = b'AUTHENTICATE "PLAIN" "' + IR + b'"\r\n'
        for command in (
            b'HAVESPACE "x" 99', b'PUTSCRIPT "x" {%d+}\r\n' % len(smuggled) + smuggled,
            b"LISTSCRIPTS", b'SETACTIVE "x"', b'GETSCRIPT "x"', b'DELETESCRIPT "x"',
            b'RENAMESCRIPT "x" "y"', b"CHECKSCRIPT {%d+}\r\n" % len(smuggled) + smuggled,
            b"UNAUTHENTICATE", b'XCLIENT "ADDR=192.0.2.1"', b"FOO", b"",
        ):  # fmt: skip
            events = greeted().receive_data(command + b"\r\nNOOP\r\n")
            said = b'NO "Unknown command, or one that needs a login first."\r\nOK "Done."\r\n'
            self.assertEqual(written(events), said, command)

    def test_looks(self) -> None:
        """What the operator says about us, with whatever quotes it has in it."""
        looks = Greeting(b'say "hi"', "Our \\ own", ("a", "b"))
        said = written(ManageSieveServer(policy(), True, 3, looks).start())
        self.assertIn(b'"IMPLEMENTATION" "Our \\\\ own"\r\n', said)
        self.assertIn(b'"SIEVE" "a b"\r\n', said)
        self.assertTrue(said.endswith(b'OK "say \\"hi\\""\r\n'))


class BoundTests(SynchronousTestCase):
    """What is too long, or of another kind."""

    def ends(self, sent: bytes, why: str) -> None:
        """These bytes end the session for this reason, in words."""
        events = greeted().receive_data(sent)
        self.assertEqual(describe(events[-1]), f"Close {why}", sent[:40])
        self.assertEqual(written(events).count(b"BYE "), 1)
        self.assertFalse(any(isinstance(event, Login) for event in events))

    def test_literals(self) -> None:
        """By the announced size, before an octet has come; with leading zeros too."""
        inside = COMMAND_LIMIT - 10
        for start in (b"NOOP ", b'PUTSCRIPT "x" ', b""):
            self.ends(start + b"{%d+}\r\n" % COMMAND_LIMIT, "literal-too-long")
            self.ends(start + b"{%s+}\r\n" % (b"9" * 40), "literal-too-long")
            self.ends(start + b"{0%d+}\r\n" % COMMAND_LIMIT, "literal-too-long")
        self.assertEqual(greeted().receive_data(b"NOOP {%d+}\r\n" % (inside - 20)), [])
        for start in (b"AUTHENTICATE ", b'AUTHENTICATE "PLAIN" ', b'AUTHENTICATE "PLAIN"\r\n'):
            self.ends(start + b"{%d+}\r\n" % SASL_LINE_LIMIT, "literal-too-long")
        # A second literal counts with the first.
        half = SASL_LINE_LIMIT // 2
        many = b"AUTHENTICATE {%d+}\r\n" % half + b"x" * half + b" {%d+}\r\n" % half
        self.ends(many, "literal-too-long")

    def test_long_tokens(self) -> None:
        """Tokens of 12 KiB arrive in quotes and as literals, at once or when asked for."""
        message = b"user=alice\x01auth=Bearer " + b"t" * 12288 + b"\x01\x01"
        text = base64.b64encode(message)
        for string in (b'"' + text + b'"', b"{%d+}\r\n" % len(text) + text):
            for between in (b" ", b"\r\n"):
                sent = b'AUTHENTICATE "XOAUTH2"' + between + string + b"\r\n"
                login = greeted().receive_data(sent)[-1]
                assert isinstance(login, Login), sent[:50]
                self.assertEqual(login.initial_response, message)

    def test_synchronizing_literals(self) -> None:
        """A client has none here (section 4): what it sends behind one would be commands."""
        for start in (b"", b"NOOP ", b'AUTHENTICATE "PLAIN" ', b'AUTHENTICATE "PLAIN"\r\n'):
            self.ends(start + b"{3}\r\nabc\r\n", "synchronizing-literal")

    def test_lines(self) -> None:
        """A line without an end ends the session; AUTHENTICATE's may be longer."""
        self.ends(b"NOOP " + b"x" * COMMAND_LIMIT, "line-too-long")
        self.ends(b'AUTHENTICATE "PLAIN" "' + b"x" * SASL_LINE_LIMIT, "line-too-long")
        self.ends(b'AUTHENTICATE "PLAIN"\r\n"' + b"x" * SASL_LINE_LIMIT, "line-too-long")

    def test_foreign_protocols(self) -> None:
        """A browser or a TLS client on the plain port is disconnected at once."""
        for start, why in (
            (b"GET / HTTP/1.1\r\nHost: x\r\n", "http-request"),
            (b"\x16\x03\x01\x02\x00\x01", "tls-hello-on-plain-port"),
        ):
            events = greeted(secure=False).receive_data(start)
            self.assertEqual([describe(event) for event in events], [f"Close {why}"])
        # Inside a literal they are its octets.
        events = greeted().receive_data(b"NOOP {14+}\r\nGET / HTTP/1.1\r\n")
        self.assertEqual(written(events), b'OK (TAG "GET / HTTP/1.1") "Done."\r\n')

    def test_bad_command_budget(self) -> None:
        """Nonsense is answered a few times; a cancelled exchange counts, a login does not."""
        dialogue = greeted()
        events = dialogue.receive_data(b"FOO\r\n" * 8 + b'AUTHENTICATE "PLAIN"\r\n"*"\r\nFOO\r\n')
        self.assertEqual(describe(events[-1]), "Close too-many-bad-commands")
        self.assertTrue(written(events).endswith(b'BYE "Too many bad commands."\r\n'))

    def test_timeout_and_shutdown_are_polite(self) -> None:
        """BYE in words; where it answers AUTHENTICATE it is no verdict on the password."""
        for while_ in ("", 'C: AUTHENTICATE "PLAIN" "AHRlc3QAdGVzdA=="\n= Login test PLAIN\n'):
            for cause, words, why in (
                ("timeout", "Disconnected for inactivity.", "timeout"),
                ("stop", "Server is shutting down.", "shutting-down"),
            ):
                end = f'> {cause}\nS: BYE (TRYLATER) "{words}"\n= Close {why}\n'
                assert_transcript(make, GREETED + while_ + end)

    def test_closed(self) -> None:
        """Close is the last word."""
        dialogue = greeted()
        events = dialogue.receive_data(b"LOGOUT\r\n")
        self.assertIsInstance(events[-1], Close)
        self.assertEqual(dialogue.receive_data(b"NOOP\r\n"), [])
