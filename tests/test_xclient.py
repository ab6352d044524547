"""XCLIENT: what it says, and when it is said, in SMTP, POP3 and ManageSieve."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import FailureKind
from mailroute.events import Login, Rejected
from mailroute.managesieve.client import ManageSieveClient
from mailroute.offer import Policy
from mailroute.pop3.client import Pop3Client
from mailroute.route import Announcement, Introduction, Origin
from mailroute.smtp.client import SmtpClient
from mailroute.smtp.server import Greeting, SmtpServer
from mailroute.xclient import COMMAND_OCTETS, dovecot_command, is_helo, smtp_commands, xtext
from tests.pop3 import test_client as pop3_tests
from tests.smtp import test_client as smtp_tests
from tests.support.dialogues import TLS, assert_transcript, written
from tests.support.pairs import password

ORIGIN = Origin(
    "s1d",
    "submission",
    "203.0.113.9",
    4711,
    "192.0.2.1",
    587,
    introduction=Introduction(name=b"client.example"),
)
POSTFIX = frozenset(b"NAME ADDR PROTO HELO REVERSE_NAME PORT LOGIN DESTADDR DESTPORT".split())
DOVECOT = frozenset(b"ADDR PORT PROTO HELO LOGIN SESSION TTL TIMEOUT FORWARD".split())
ALICE = password("alice", b"secret")
BASE64 = base64.b64encode(b"\0alice\0secret").decode()


def announcement(**changes: object) -> Announcement:
    return Announcement(replace(ORIGIN, **changes), 7)  # type: ignore[arg-type]


class XtextTests(SynchronousTestCase):
    """Values that cannot be more than values."""

    def test_rfc3461(self) -> None:
        """Section 4: "+", "=" and what is not printable ASCII as "+" and two digits."""
        self.assertEqual(xtext(b"a+b=c d\r\n\xff~!"), b"a+2Bb+3Dc+20d+0D+0A+FF~!")
        self.assertEqual(xtext(bytes(range(33, 127))).count(b"+"), 2)

    def test_helo(self) -> None:
        """A domain or an address literal, as a client calls itself."""
        for name in (b"client.example", b"[203.0.113.9]", b"[IPv6:2001:db8::9]", b"my_pc"):
            self.assertTrue(is_helo(name), name)
        for name in (b"", b"a b", b"a\rb", b"\xc3\xa9", b"a" * 256, b"a+b"):
            self.assertFalse(is_helo(name), name)


class CommandTests(SynchronousTestCase):
    """What is told."""

    def test_postfix(self) -> None:
        """What Postfix offers, and no name that would be ours."""
        self.assertEqual(
            smtp_commands(announcement(), POSTFIX),
            [
                b"XCLIENT NAME=[UNAVAILABLE] PROTO=ESMTP HELO=client.example PORT=4711"
                b" DESTADDR=192.0.2.1 DESTPORT=587 ADDR=203.0.113.9"
            ],
        )

    def test_dovecot(self) -> None:
        """What Dovecot's submission offers: the session and the hops too."""
        self.assertEqual(
            smtp_commands(announcement(), DOVECOT),
            [
                b"XCLIENT PROTO=ESMTP HELO=client.example SESSION=s1d TTL=7 PORT=4711"
                b" ADDR=203.0.113.9"
            ],
        )

    def test_only_what_is_offered(self) -> None:
        """One attribute, or none at all."""
        self.assertEqual(
            smtp_commands(announcement(), frozenset({b"ADDR"})), [b"XCLIENT ADDR=203.0.113.9"]
        )
        self.assertEqual(smtp_commands(announcement(), frozenset({b"NEWS"})), [])

    def test_never_login(self) -> None:
        """LOGIN would be a login without a password."""
        for offered in (POSTFIX, DOVECOT, frozenset({b"LOGIN"})):
            self.assertNotIn(b"LOGIN", b" ".join(smtp_commands(announcement(), offered)))
        self.assertNotIn(b"LOGIN", dovecot_command(announcement()))

    def test_ipv6(self) -> None:
        """Postfix's prefix in SMTP; Dovecot's other protocols take the bare address."""
        told = announcement(client_ip="2001:db8::9", server_ip="2001:db8::1")
        (command,) = smtp_commands(told, POSTFIX)
        self.assertIn(b" DESTADDR=IPV6:2001:db8::1 ", command)
        self.assertTrue(command.endswith(b" ADDR=IPV6:2001:db8::9"), command)
        self.assertEqual(
            dovecot_command(told), b"XCLIENT ADDR=2001:db8::9 PORT=4711 SESSION=s1d TTL=7"
        )
        mapped = announcement(client_ip="::ffff:203.0.113.9", server_ip="::ffff:192.0.2.1")
        self.assertEqual(smtp_commands(mapped, POSTFIX), smtp_commands(announcement(), POSTFIX))

    def test_no_address(self) -> None:
        """A client at a Unix socket."""
        told = announcement(client_ip="unix", server_ip="unix")
        (command,) = smtp_commands(told, POSTFIX)
        for name in (b"PORT", b"DESTADDR", b"DESTPORT", b"ADDR"):
            self.assertIn(b" " + name + b"=[UNAVAILABLE]", command)
        self.assertEqual(dovecot_command(told), b"XCLIENT SESSION=s1d TTL=7")

    def test_helo_that_is_none(self) -> None:
        """What a client says there is repeated only if it is a name."""
        for name in (b"", b"a b", b"x\r\nMAIL FROM:<>"):
            told = announcement(introduction=Introduction(name=name))
            (command,) = smtp_commands(told, POSTFIX)
            self.assertIn(b" HELO=[UNAVAILABLE] ", command)

    def test_lines(self) -> None:
        """Each is 512 octets long at most; ADDR is the last word of the last one."""
        name = b"a" * 255
        for octets in (100, 200, 300, 400, 430):
            told = announcement(session_id="s" * octets, introduction=Introduction(name=name))
            commands = smtp_commands(told, POSTFIX | DOVECOT)
            self.assertTrue(all(len(line) + 2 <= COMMAND_OCTETS for line in commands), commands)
            words = [word for line in commands for word in line.split()[1:]]
            self.assertEqual(words[-1], b"ADDR=203.0.113.9")
            self.assertEqual(len(words), 9)
            self.assertTrue(all(line.startswith(b"XCLIENT ") for line in commands))
        self.assertGreater(len(commands), 1)


class ConversationCase(SynchronousTestCase):
    """Conversations in which the backend is to be told."""

    def make(self, starttls: bool) -> ClientDialogue:
        raise NotImplementedError

    def check(self, transcript: str, starttls: bool = False) -> None:
        assert_transcript(lambda: self.announcing(starttls), transcript)

    def announcing(self, starttls: bool = False) -> ClientDialogue:
        dialogue = self.make(starttls)
        dialogue.announcement = announcement()
        return dialogue

    def is_untold(self, data: bytes) -> bool:
        """Whether the login has begun behind these bytes, and the backend was not told."""
        dialogue = self.announcing()
        dialogue.start()
        self.assertFalse(dialogue.is_untold)
        dialogue.receive_data(data)
        self.assertEqual(dialogue.extension, "XCLIENT")
        return dialogue.is_untold

    def kind(self, data: bytes) -> FailureKind:
        """The rejection that these bytes lead to."""
        dialogue = self.announcing()
        verdict = (dialogue.start() + dialogue.receive_data(data))[-1]
        assert isinstance(verdict, Rejected), verdict
        return verdict.failure.kind


class SmtpTests(ConversationCase):
    """Submission: the session begins anew behind each command."""

    SAID = "XCLIENT HELO=client.example SESSION=s1d ADDR=203.0.113.9"

    def make(self, starttls: bool) -> SmtpClient:
        return SmtpClient(ALICE, starttls, not starttls, b"proxy.example")

    def test_starttls(self) -> None:
        """STARTTLS, EHLO, XCLIENT, EHLO, AUTH; the second EHLO is the client's own."""
        self.check(
            f"""
            S: 220 ready
            C: EHLO proxy.example
            S: 250-mx
            S: 250-XCLIENT NAME ADDR HELO
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go
            = StartTLS
            > tls
            C: EHLO proxy.example
            S: 250-mx
            S: 250-xclient addr helo session
            S: 250 AUTH PLAIN
            C: {self.SAID}
            S: 220 mx anew
            C: EHLO client.example
            S: 250-mx
            S: 250-XCLIENT ADDR HELO SESSION
            S: 250 AUTH PLAIN
            C: AUTH PLAIN {BASE64}
            S: 235 ok
            = Accepted 235 ok
            """,
            starttls=True,
        )

    def test_not_offered(self) -> None:
        """A backend that does not offer it is not asked."""
        self.check(
            f"""
            S: 220 ready
            C: EHLO proxy.example
            S: 250-mx
            S: 250 AUTH PLAIN
            C: AUTH PLAIN {BASE64}
            S: 235 ok
            = Accepted 235 ok
            """
        )

    def test_untold(self) -> None:
        """Somebody can be told that the backend does not know the client: for nothing it takes."""
        greeted = b"220 ready\r\n"
        for offer in (b"", b"250-XCLIENT NEWS\r\n"):
            self.assertTrue(self.is_untold(greeted + b"250-mx\r\n" + offer + b"250 AUTH PLAIN\r\n"))
        told = b"250-mx\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n"
        self.assertFalse(self.is_untold(greeted))
        self.assertFalse(self.is_untold(greeted + told))
        again = b"220 ready\r\n250-mx\r\n250 AUTH PLAIN\r\n"
        self.assertFalse(self.is_untold(greeted + told + again))

    def test_xforward_is_another(self) -> None:
        """Postfix's XFORWARD is for its log alone: it is neither said nor taken for XCLIENT."""
        self.check(
            f"""
            S: 220 ready
            C: EHLO proxy.example
            S: 250-mx
            S: 250-XFORWARD NAME ADDR PROTO HELO SOURCE PORT IDENT
            S: 250 AUTH PLAIN
            C: AUTH PLAIN {BASE64}
            S: 235 ok
            = Accepted 235 ok
            """
        )
        offer = b"250-XFORWARD NAME ADDR PROTO HELO\r\n250 AUTH PLAIN\r\n"
        self.assertTrue(self.is_untold(b"220 ready\r\n250-mx\r\n" + offer))

    def test_several_commands(self) -> None:
        """EHLO between them; what the backend offers meanwhile changes nothing."""
        dialogue = self.make(False)
        dialogue.announcement = announcement(session_id="s" * 490)
        offer = b"250-mx\r\n250-XCLIENT ADDR SESSION\r\n250 AUTH PLAIN\r\n"
        dialogue.start()
        dialogue.receive_data(b"220 ready\r\n")
        said = [b"".join(e.data for e in dialogue.receive_data(data))  # type: ignore[union-attr]
                for data in (offer, b"220 x\r\n", b"250-mx\r\n250 AUTH PLAIN\r\n", b"220 x\r\n",
                             offer)]  # fmt: skip
        self.assertEqual(said[0], b"XCLIENT SESSION=" + b"s" * 490 + b"\r\n")
        self.assertEqual(said[1], b"EHLO proxy.example\r\n")
        self.assertEqual(said[2], b"XCLIENT ADDR=203.0.113.9\r\n")
        self.assertEqual(said[3], b"EHLO proxy.example\r\n")
        self.assertTrue(said[4].startswith(b"AUTH PLAIN "), said[4])

    def test_refused(self) -> None:
        """A backend that offers it and takes it from others only is told of in the log."""
        hello = b"220 ready\r\n250-mx\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n"
        for reply, kind in (
            (b"550 5.7.0 insufficient authorization\r\n", FailureKind.BACKEND_INCAPABLE),
            (b"451 4.3.0 later\r\n", FailureKind.BACKEND_BUSY),
            (b"421 4.3.0 no\r\n", FailureKind.BACKEND_UNREACHABLE),
            (b"250 ok\r\n", FailureKind.BACKEND_MISBEHAVED),
        ):
            self.assertIs(self.kind(hello + reply), kind)

    def test_name(self) -> None:
        """What the client calls itself is kept, and forgotten with TLS (RFC 3207 section 4.2)."""
        server = SmtpServer(Policy((), starttls=True), False, 3, Greeting(b"mx.example"))
        server.start()
        server.receive_data(b"EHLO one.example\r\nEHLO two.example\r\n")
        self.assertEqual(server.introduction, Introduction(name=b"two.example"))
        server.receive_data(b"STARTTLS\r\n")
        server.tls_established(TLS)
        self.assertEqual(server.introduction, Introduction())


class Pop3Tests(ConversationCase):
    """POP3: Dovecot offers it in its greeting."""

    SAID = "XCLIENT ADDR=203.0.113.9 PORT=4711 SESSION=s1d TTL=7"

    def make(self, starttls: bool) -> Pop3Client:
        return Pop3Client(ALICE, starttls, not starttls)

    def test_stls(self) -> None:
        """Behind the handshake, before the login."""
        self.check(
            f"""
            S: +OK [XCLIENT] Dovecot ready.
            C: STLS
            S: +OK go
            = StartTLS
            > tls
            C: CAPA
            S: +OK
            S: SASL PLAIN
            S: .
            C: {self.SAID}
            S: +OK Updated
            C: AUTH PLAIN {BASE64}
            S: +OK Logged in.
            = Accepted Logged in.
            """,
            starttls=True,
        )

    def test_not_offered(self) -> None:
        """Other servers do not know the command."""
        for greeting in ("+OK ready", "+OK [AUTH] ready", "+OK ready [XCLIENT]"):
            self.check(
                f"""
                S: {greeting}
                C: CAPA
                S: +OK
                S: SASL PLAIN
                S: .
                C: AUTH PLAIN {BASE64}
                S: +OK Logged in.
                = Accepted Logged in.
                """
            )

    def test_untold(self) -> None:
        """Somebody can be told that the backend does not know the client."""
        listed = b"+OK\r\nSASL PLAIN\r\n.\r\n"
        self.assertTrue(self.is_untold(b"+OK ready\r\n" + listed))
        self.assertFalse(self.is_untold(b"+OK ready\r\n"))
        self.assertFalse(self.is_untold(b"+OK [XCLIENT] ready\r\n" + listed + b"+OK\r\n"))

    def test_refused(self) -> None:
        """The log says what the operator has to change."""
        hello = b"+OK [XCLIENT] ready\r\n+OK\r\nSASL PLAIN\r\n.\r\n"
        self.assertIs(self.kind(hello + b"-ERR no\r\n"), FailureKind.BACKEND_INCAPABLE)


class ManageSieveTests(ConversationCase):
    """ManageSieve: Dovecot lists it."""

    SAID = "XCLIENT ADDR=203.0.113.9 PORT=4711 SESSION=s1d TTL=7"

    def make(self, starttls: bool) -> ManageSieveClient:
        return ManageSieveClient(ALICE, starttls, not starttls)

    def test_starttls(self) -> None:
        """Behind the handshake, before the login."""
        self.check(
            f"""
            S: "SASL" ""
            S: "STARTTLS"
            S: "XCLIENT"
            S: OK
            C: STARTTLS
            S: OK
            = StartTLS
            > tls
            S: "SASL" "PLAIN"
            S: "XCLIENT"
            S: OK
            C: {self.SAID}
            S: OK "Updated"
            C: AUTHENTICATE "PLAIN" "{BASE64}"
            S: OK "Logged in."
            = Accepted Logged in.
            """,
            starttls=True,
        )

    def test_not_offered(self) -> None:
        """What stood in the clear alone does not count."""
        self.check(
            f"""
            S: "XCLIENT"
            S: "STARTTLS"
            S: OK
            C: STARTTLS
            S: OK
            = StartTLS
            > tls
            S: "SASL" "PLAIN"
            S: OK
            C: AUTHENTICATE "PLAIN" "{BASE64}"
            S: OK
            = Accepted
            """,
            starttls=True,
        )

    def test_untold(self) -> None:
        """Somebody can be told that the backend does not know the client."""
        self.assertTrue(self.is_untold(b'"SASL" "PLAIN"\r\nOK\r\n'))
        self.assertFalse(self.is_untold(b'"SASL" "PLAIN"\r\n'))
        self.assertFalse(self.is_untold(b'"XCLIENT"\r\n"SASL" "PLAIN"\r\nOK\r\nOK\r\n'))

    def test_refused(self) -> None:
        """The log says what the operator has to change."""
        hello = b'"SASL" "PLAIN"\r\n"XCLIENT"\r\nOK\r\n'
        self.assertIs(self.kind(hello + b'NO "x"\r\n'), FailureKind.BACKEND_INCAPABLE)


class SmtpLawsTests(smtp_tests.SmtpClientLawsTests):
    """The laws of every client dialogue hold for one that tells of its client, too."""

    fragments: ClassVar[list[bytes]] = [
        *smtp_tests.SmtpClientLawsTests.fragments,
        b"250-XCLIENT ADDR PORT\r\n",
        b"250-mx\r\n250-XCLIENT ADDR\r\n250 AUTH PLAIN\r\n",
    ]

    def make(self, login: Login, starttls: bool, secure: bool) -> SmtpClient:
        client = super().make(login, starttls, secure)
        client.announcement = announcement()
        return client


class Pop3LawsTests(pop3_tests.Pop3ClientLawsTests):
    """The same for POP3."""

    greeting: ClassVar[bytes] = b"+OK [XCLIENT] ready\r\n"

    def make(self, login: Login, starttls: bool, secure: bool) -> ClientDialogue:
        client = super().make(login, starttls, secure)
        client.announcement = announcement()
        return client

    def test_laws_reach_the_login(self) -> None:
        """XCLIENT stands before the password."""
        dialogue = self.make(self.login(), False, True)
        dialogue.start()
        said = written(dialogue.receive_data(self.greeting + b"-ERR\r\n+OK\r\n+OK\r\n"))
        self.assertRegex(said, b"CAPA\r\nXCLIENT .*\r\nUSER .*\r\nPASS .*\r\n")
