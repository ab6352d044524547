"""The sample servers, spoken to without a network."""

from __future__ import annotations

from base64 import b64encode
from typing import Any

from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.trial.unittest import SynchronousTestCase

from mailroute.demo.backend import SampleBackend, sample_messages

USER = "alice@example.org"
OTHER = "carol@example.org"
PLAIN = b64encode(b"\0alice@example.org\0secret")


class BackendTests(SynchronousTestCase):
    """Logins on each protocol, and a message that arrives."""

    def setUp(self) -> None:
        self.reactor = MemoryReactorClock()
        self.backend = SampleBackend(self.reactor, "east", [USER, OTHER], "secret")
        self.backend.startService()
        self.transport = StringTransport()

    def connect(self, protocol: str) -> Any:
        """Connect to one of the three ports, in the order in which they are listed."""
        index = list(self.backend.ports).index(protocol)
        factory: Any = self.reactor.tcpServers[index][1]
        connected = factory.buildProtocol(None)
        connected.makeConnection(self.transport)
        self.addCleanup(connected.setTimeout, None)
        return connected

    def say(self, protocol: Any, *lines: bytes) -> bytes:
        """Send lines and return what was answered to them."""
        self.transport.clear()
        for line in lines:
            protocol.dataReceived(line + b"\r\n")
        answer: bytes = self.transport.value()
        return answer

    def test_ports(self) -> None:
        """Each protocol listens on loopback alone."""
        self.assertEqual(list(self.backend.ports), ["imap", "pop3", "submission"])
        self.assertEqual({server[3] for server in self.reactor.tcpServers}, {"127.0.0.1"})

    def test_imap_login(self) -> None:
        """The right password opens INBOX with its messages."""
        imap = self.connect("imap")
        answer = self.say(imap, b"a LOGIN alice@example.org secret", b"b SELECT INBOX")
        self.assertIn(b"a OK", answer)
        self.assertIn(b"* 3 EXISTS", answer)

    def test_imap_plain(self) -> None:
        """AUTHENTICATE PLAIN does the same."""
        self.assertIn(b"x OK", self.say(self.connect("imap"), b"x AUTHENTICATE PLAIN", PLAIN))

    def test_imap_refusal(self) -> None:
        """An unknown account is answered as a wrong password is."""
        imap = self.connect("imap")
        wrong = self.say(imap, b"a LOGIN alice@example.org guess")
        unknown = self.say(imap, b"a LOGIN bob@example.org secret")
        self.assertTrue(wrong.startswith(b"a NO"), wrong)
        self.assertEqual(wrong, unknown)

    def test_imap_others(self) -> None:
        """Each account has a mailbox of its own."""
        self.say(self.connect("imap"), b"a LOGIN alice@example.org secret", b"b CREATE Mine")
        imap = self.connect("imap")
        answer = self.say(imap, b"a LOGIN carol@example.org secret", b'b LIST "" "*"')
        self.assertIn(b"a OK", answer)
        self.assertIn(b"INBOX", answer)
        self.assertNotIn(b"Mine", answer.title())

    def test_imap_search(self) -> None:
        """A header field is searched without regard to case."""
        imap = self.connect("imap")
        self.say(imap, b"a LOGIN alice@example.org secret", b"b SELECT INBOX")
        answer = self.say(imap, b'c SEARCH SUBJECT "sTILL" FROM postmaster')
        self.assertIn(b"* SEARCH 2\r\n", answer)

    def test_imap_folders(self) -> None:
        """A client can make the folders it wants."""
        imap = self.connect("imap")
        answer = self.say(
            imap, b"a LOGIN alice@example.org secret", b"b CREATE Sent", b"c SELECT Sent"
        )
        self.assertIn(b"* 0 EXISTS", answer)

    def test_pop3(self) -> None:
        """USER and PASS, right and wrong; the greeting offers no APOP."""
        pop3 = self.connect("pop3")
        self.assertNotIn(b"<", self.transport.value())
        self.assertIn(b"-ERR", self.say(pop3, b"USER alice@example.org", b"PASS guess"))
        self.assertNotIn(b"-ERR", self.say(pop3, b"USER alice@example.org", b"PASS secret"))
        self.assertEqual(len(pop3.mbox.listMessages()), 3)

    def test_submission(self) -> None:
        """A message is taken after the login only, and arrives in the sender's INBOX."""
        smtp = self.connect("submission")
        self.assertIn(b"AUTH PLAIN LOGIN", self.say(smtp, b"EHLO client"))
        self.assertIn(b"550", self.say(smtp, b"MAIL FROM:<alice@example.org>"))
        self.assertIn(b"235", self.say(smtp, b"AUTH PLAIN " + PLAIN))
        self.assertIn(
            b"354",
            self.say(
                smtp, b"MAIL FROM:<alice@example.org> SIZE=9", b"RCPT TO:<x@example.org>", b"DATA"
            ),
        )
        self.assertIn(b"250", self.say(smtp, b"Subject: hello", b"", b"..text", b"."))
        imap = self.connect("imap")
        answer = self.say(imap, b"a LOGIN alice@example.org secret", b"b SELECT INBOX")
        self.assertIn(b"* 4 EXISTS", answer)
        stored = imap.mbox.messages[-1].raw
        self.assertTrue(stored.startswith(b"Received: by east.example.org"), stored)
        self.assertTrue(stored.endswith(b"\r\nSubject: hello\r\n\r\n.text\r\n"), stored)

    def test_broken_submission(self) -> None:
        """A message whose end never came is not delivered."""
        smtp = self.connect("submission")
        self.say(smtp, b"EHLO client", b"AUTH PLAIN " + PLAIN, b"MAIL FROM:<a@example.org>")
        self.say(smtp, b"RCPT TO:<x@example.org>", b"DATA", b"Subject: half")
        smtp.connectionLost(None)
        imap = self.connect("imap")
        answer = self.say(imap, b"a LOGIN alice@example.org secret", b"b SELECT INBOX")
        self.assertIn(b"* 3 EXISTS", answer)

    def test_stop(self) -> None:
        """Stopping waits for the ports."""
        self.successResultOf(self.backend.stopService())
        self.assertFalse(self.backend.running)


class SampleMessageTests(SynchronousTestCase):
    """What the messages say."""

    def test_place(self) -> None:
        """Each message names its server and no other."""
        messages = sample_messages("east", USER)
        self.assertEqual(len(messages), 3)
        for message in messages:
            self.assertIn(b"east", message)
            self.assertNotIn(b"west", message)
            self.assertEqual(message.count(b"\n"), message.count(b"\r\n"))
