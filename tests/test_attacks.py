"""One regression for each class of attack that is known against mail proxies: the dialogues.

``test_attacks_sessions`` has the classes that take a whole session, ``test_attacks_floods``
those that send too much.
"""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import FailureKind
from mailroute.events import Close, Event, Rejected, StartTLS
from mailroute.sasl.plain import password_login
from mailroute.server_dialogue import COMMAND_LIMIT
from tests.support.attackers import LOGINS, NAME, PLAIN, SECRET, client, logins, server, verdict
from tests.support.dialogues import TLS, describe, written

STARTTLS = {
    "imap": b"s STARTTLS\r\n",
    "pop3": b"STLS\r\n",
    "submission": b"STARTTLS\r\n",
    "managesieve": b"STARTTLS\r\n",
}
SIEVE_GREETING = b'"SASL" "PLAIN"\r\n"STARTTLS"\r\nOK "ready"\r\n'
CONSENT = {
    "imap": (b"* OK ready\r\n", b"mr1 OK begin\r\n"),
    "pop3": (b"+OK ready\r\n", b"+OK begin\r\n"),
    "submission": (b"220 east ESMTP\r\n250-east\r\n250 STARTTLS\r\n", b"220 begin\r\n"),
    "managesieve": (SIEVE_GREETING, b"OK\r\n"),
}
REFUSAL = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\nmr1 NO not today\r\n",
    "pop3": b"+OK ready\r\n-ERR not today\r\n",
    "submission": b"220 east ESMTP\r\n250-east\r\n250 AUTH PLAIN LOGIN\r\n",
    "managesieve": b'"SASL" "PLAIN"\r\nOK "ready"\r\n',
}
FORGED = {
    "imap": b"* CAPABILITY IMAP4rev1 AUTH=EVIL\r\n",
    "pop3": b"+OK\r\nSASL EVIL\r\n.\r\n",
    "submission": b"250-east\r\n250 AUTH EVIL\r\n",
    "managesieve": b'"SASL" "EVIL"\r\nOK\r\n',
}


class Case(SynchronousTestCase):
    """What the classes share."""

    def rejected(self, events: list[Event], kind: FailureKind, why: object = None) -> None:
        """The login failed in this way."""
        found = verdict(events)
        assert isinstance(found, Rejected), (why, events)
        self.assertIs(found.failure.kind, kind, (why, found.failure.reason))


class StartTlsTests(Case):
    """CVE-2011-0411, CVE-2021-38371 and their kin: the seam between clear text and TLS."""

    def test_command_injection(self) -> None:
        """Commands behind STARTTLS in the clear are never executed: the session ends."""
        for protocol, command in STARTTLS.items():
            for late in (False, True):
                dialogue = server(protocol, secure=False)
                events: list[Event] = []
                for data in (command, LOGINS[protocol]) if late else (command + LOGINS[protocol],):
                    events += dialogue.receive_data(data)
                self.assertEqual(describe(events[-1]), "Close cleartext-after-starttls", protocol)
                self.assertEqual(logins(events), [])
                self.assertEqual(dialogue.tls_established(TLS), [], "a late handshake")
                self.assertEqual(dialogue.receive_data(LOGINS[protocol]), [])

    def test_state_from_before(self) -> None:
        """What was said in the clear is forgotten: a user's name, EHLO, half a command."""
        for protocol, before, after, refusal in (
            ("pop3", b"USER mallory\r\n", b"PASS s3cr3t-0f-alice\r\n", b"-ERR "),
            ("submission", b"EHLO evil\r\n", b"AUTH PLAIN " + PLAIN + b"\r\n", b"503 "),
        ):
            dialogue = server(protocol, secure=False, cleartext=True)
            events = dialogue.receive_data(before + STARTTLS[protocol])
            self.assertIsInstance(events[-1], StartTLS)
            dialogue.tls_established(TLS)
            events = dialogue.receive_data(after)
            self.assertEqual(logins(events), [], protocol)
            self.assertTrue(written(events).startswith(refusal), (protocol, events))

    def test_response_injection(self) -> None:
        """Replies behind the backend's consent in the clear are an attack, not capabilities."""
        for protocol, (before, consent) in CONSENT.items():
            dialogue = client(protocol, starttls=True, secure=False)
            dialogue.receive_data(before)
            events = dialogue.receive_data(consent + FORGED[protocol])
            self.rejected(events, FailureKind.BACKEND_UNTRUSTED, protocol)
            self.assertFalse(any(isinstance(event, StartTLS) for event in events), protocol)

    def test_stripping(self) -> None:
        """A backend (or who stands before it) that does no STARTTLS gets no credentials."""
        for protocol, replies in REFUSAL.items():
            dialogue = client(protocol, starttls=True, secure=False)
            said = b""
            events: list[Event] = []
            for line in replies.splitlines(keepends=True):
                events = dialogue.receive_data(line)
                said += written(events)
            self.rejected(events, FailureKind.BACKEND_UNTRUSTED, protocol)
            for part in (SECRET, NAME, PLAIN, base64.b64encode(SECRET)):
                self.assertNotIn(part, said, protocol)

    def test_stripping_towards_clients(self) -> None:
        """Without TLS a login is neither offered nor taken, even if the client insists."""
        for protocol, login in LOGINS.items():
            dialogue = server(protocol, secure=False)
            asking = {"imap": b"c CAPABILITY\r\n", "pop3": b"CAPA\r\n", "submission": b"EHLO x\r\n"}
            command = asking.get(protocol, b"CAPABILITY\r\n")
            offered = written(dialogue.receive_data(command)).upper()
            for word in (b"AUTH=", b"AUTH ", b"SASL ", b"USER", b"PLAIN", b"LOGIN "):
                self.assertNotIn(word, offered, protocol)
            self.assertEqual(logins(dialogue.receive_data(login)), [], protocol)

    def test_preauth(self) -> None:
        """PREAUTH forbids STARTTLS and says that we are somebody already: no login there."""
        for starttls in (True, False):
            dialogue = client("imap", starttls=starttls, secure=not starttls)
            events = dialogue.receive_data(b"* PREAUTH welcome, whoever you are\r\n")
            self.rejected(events, FailureKind.BACKEND_MISBEHAVED)
            self.assertEqual(written(events), b"")


class InjectionTests(Case):
    """Data that would be read as commands."""

    def test_refused_literal(self) -> None:
        """Octets of a refused non-synchronizing literal are never commands (RFC 7888)."""
        smuggled = b"b LOGIN bob bobs-secret\r\n"
        padded = smuggled * (COMMAND_LIMIT // len(smuggled) + 1)
        for start in (
            b"a LOGIN {%d+}\r\n",
            b"a NOOP {%d+}\r\n",
            b"a ID (x {%d+}\r\n",
            b"{%d+}\r\n",
        ):
            dialogue = server("imap")
            events = dialogue.receive_data(start % len(padded) + padded)
            self.assertEqual(logins(events), [], start)
            self.assertEqual(describe(events[-1]), "Close literal-too-long", start)
        smuggled = LOGINS["managesieve"]
        padded = smuggled * (COMMAND_LIMIT // len(smuggled) + 1)
        for start in (b'PUTSCRIPT "x" ', b"NOOP ", b""):
            for size, data in ((b"{%d+}", padded), (b"{%d}", smuggled), (b"{%d}", padded)):
                dialogue = server("managesieve")
                events = dialogue.receive_data(start + size % len(data) + b"\r\n" + data)
                self.assertEqual(logins(events), [], start)
                self.assertIsInstance(events[-1], Close, start)
            dialogue = server("managesieve")
            events = dialogue.receive_data(start + b"{%d+}\r\n" % len(smuggled) + smuggled)
            self.assertEqual(logins(events), [], start)

    def test_literal_of_any_number(self) -> None:
        """A size of many digits or leading zeros still announces octets, no text."""
        for size in (b"9" * 40, b"4294967296", b"0" * 30 + b"9999"):
            dialogue = server("imap")
            events = dialogue.receive_data(b"a LOGIN {" + size + b"+}\r\nb LOGIN bob secret\r\n")
            self.assertEqual(describe(events[-1]), "Close literal-too-long", size)
            self.assertEqual(logins(events), [])

    def test_literal_to_backend_that_wants_none(self) -> None:
        """A name with line ends waits for the backend's "+": refused, it is not sent at all."""
        for name in (b"x\r\na DELETE INBOX", b'x" y "', b"x\\", b"\xc3\xa4"):
            dialogue = client("imap", login=password_login(name, SECRET))
            said = written(dialogue.receive_data(b"* OK [CAPABILITY IMAP4rev1] ready\r\n"))
            self.assertEqual(said, b"mr1 LOGIN {%d}\r\n" % len(name))
            events = dialogue.receive_data(b"mr1 BAD no literals here\r\n")
            self.assertEqual(written(events), b"")
            self.rejected(events, FailureKind.BACKEND_MISBEHAVED)

    def test_newline_in_password(self) -> None:
        """CVE-2023-style command injection: a line end in a password never ends our command."""
        evil = password_login(NAME, b"x\r\nDELE 1")
        said = written(client("imap", login=evil).receive_data(b"* OK [CAPABILITY X] ready\r\n"))
        self.assertEqual(said, b'mr1 LOGIN "alice@example.org" {9}\r\n')
        dialogue = client("pop3", login=evil)
        events = dialogue.receive_data(b"+OK ready\r\n+OK\r\nUSER\r\n.\r\n")
        self.rejected(events, FailureKind.BACKEND_INCAPABLE)
        self.assertEqual(written(events), b"CAPA\r\n")
        dialogue = client("submission", login=evil)
        dialogue.receive_data(b"220 east\r\n250-east\r\n250 AUTH LOGIN\r\n334 VXNlcm5hbWU6\r\n")
        said = written(dialogue.receive_data(b"334 UGFzc3dvcmQ6\r\n"))
        self.assertEqual(said, base64.b64encode(b"x\r\nDELE 1") + b"\r\n")

    def test_nul(self) -> None:
        """A NUL that would cut a name short for the next reader is refused."""
        for protocol, command in (
            ("imap", b"a LOGIN {7+}\r\nali\0bob s3cr3t\r\n"),
            ("imap", b"a LOGIN alice {7+}\r\ns3c\0ret\r\n"),
            ("imap", b"a LOGIN ali\0bob s3cr3t\r\n"),
            ("imap", b'a LOGIN "ali\0bob" s3cr3t\r\n'),
            ("pop3", b"USER ali\0bob\r\nPASS s3cr3t\r\n"),
            ("pop3", b"USER alice\r\nPASS s3c\0ret\r\n"),
            *(
                (protocol, command + base64.b64encode(message) + b"\r\n")
                for message in (b"\0a\0b\0c", b"a\0b", b"\0\0alice\0s3cr3t")
                for protocol, command in (
                    ("imap", b"a AUTHENTICATE PLAIN "),
                    ("pop3", b"AUTH PLAIN "),
                    ("submission", b"EHLO me\r\nAUTH PLAIN "),
                )
            ),
        ):
            events = server(protocol).receive_data(command)
            self.assertEqual(logins(events), [], (protocol, command))

    def test_chunk_smuggling(self) -> None:
        """The octets of a BDAT before the login are counted, not executed (RFC 3030)."""
        smuggled = b"AUTH PLAIN " + PLAIN + b"\r\n"
        dialogue = server("submission")
        dialogue.receive_data(b"EHLO me\r\n")
        events = dialogue.receive_data(b"BDAT %d LAST\r\n" % len(smuggled) + smuggled)
        self.assertEqual(logins(events), [])
        self.assertEqual(written(events), b"530 5.7.0 Authentication required\r\n")
        self.assertEqual(len(logins(dialogue.receive_data(smuggled))), 1, "out of step")
        for size in (b"", b"-5", b"5x", b"9" * 30, b"0x10", b"+5", b"5 5"):
            dialogue = server("submission")
            events = dialogue.receive_data(b"EHLO me\r\nBDAT " + size + b"\r\n" + smuggled)
            self.assertEqual(logins(events), [], size)
            self.assertIsInstance(events[-1], Close, size)

    def test_message_before_login(self) -> None:
        """SMTP smuggling before the login: no DATA is open, so no dot of any kind ends one."""
        for end in (b"\n.\n", b"\n.\r\n", b"\r\n.\n", b"\r.\r", b"\r\n.\r\n", b"\0\r\n.\r\n"):
            dialogue = server("submission")
            dialogue.receive_data(b"EHLO me\r\n")
            events = dialogue.receive_data(b"DATA\r\n" + end + b"MAIL FROM:<x@example.org>\r\n")
            replies = written(events).splitlines()
            self.assertEqual(replies[0], b"530 5.7.0 Authentication required", end)
            self.assertEqual({reply[:1] for reply in replies}, {b"5"}, (end, replies))

    def test_login_that_nobody_asked_for(self) -> None:
        """A backend that says OK before it saw credentials lets nobody in: whose mail is it?"""
        for protocol, greeting, premature in (
            ("imap", b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n", b"mr1 OK welcome\r\n"),
            ("pop3", b"+OK ready\r\n+OK\r\nSASL PLAIN\r\n.\r\n", b"+OK welcome\r\n"),
            ("submission", b"220 east\r\n250-east\r\n250 AUTH LOGIN\r\n", b"235 welcome\r\n"),
            ("managesieve", b'"SASL" "LOGIN"\r\nOK\r\n', b'OK "welcome"\r\n'),
        ):
            long_secret = password_login(NAME, SECRET * 50)
            dialogue = client(protocol, login=long_secret)
            dialogue.receive_data(greeting)
            self.rejected(
                dialogue.receive_data(premature), FailureKind.BACKEND_MISBEHAVED, protocol
            )
