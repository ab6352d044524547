"""The private servers themselves, spoken to directly: what the other tests build on."""

from __future__ import annotations

import imaplib
import os
import poplib
import smtplib
import ssl
from email.message import EmailMessage
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.integration import servers
from tests.integration.dovecot import Dovecot, Options
from tests.integration.postfix import Postfix
from tests.support.ports import LOOPBACK, is_open, poll
from tests.support.processes import alive

ALICE, ALICE_SECRET = "alice@example.org", servers.USERS["east"]["alice@example.org"]
BOB, BOB_SECRET = "bob@example.org", servers.USERS["west"]["bob@example.org"]
PATIENCE_SECONDS = 60
"""For an answer that is bound to come, and a line that is logged behind it."""


def context() -> ssl.SSLContext:
    """Verifies the servers' certificates by the tests' own authority, names included."""
    return ssl.create_default_context(cafile=str(servers.authority().ca_file))


class DovecotTests(TestCase):
    """IMAP and POP3, each of the three ways to connect."""

    def setUp(self) -> None:
        self.east = servers.dovecot("east")

    def test_imap(self) -> Deferred[None]:
        """A delivered message is read byte for byte, on every kind of connection."""
        text = b"Subject: here\r\n\r\nkept on east\r\n"
        self.east.clear(ALICE)
        self.east.deliver(ALICE, text)

        def read() -> None:
            starttls = imaplib.IMAP4(LOOPBACK, self.east.imap)
            starttls.starttls(context())
            for client in (
                imaplib.IMAP4(LOOPBACK, self.east.imap),
                starttls,
                imaplib.IMAP4_SSL("localhost", self.east.imaps, ssl_context=context()),
            ):
                client.login(ALICE, ALICE_SECRET)
                client.select("INBOX")
                answer = client.fetch("1", "(RFC822)")[1][0]
                assert isinstance(answer, tuple)
                self.assertEqual(answer[1], text)
                client.logout()

        return deferToThread(read)

    def test_pop3(self) -> Deferred[None]:
        """The same over POP3."""
        self.east.clear(ALICE)
        self.east.deliver(ALICE, b"Subject: here\r\n\r\nkept on east\r\n")

        def read() -> None:
            starttls = poplib.POP3(LOOPBACK, self.east.pop3)
            starttls.stls(context())
            for client in (
                poplib.POP3(LOOPBACK, self.east.pop3),
                starttls,
                poplib.POP3_SSL("localhost", self.east.pop3s, context=context()),
            ):
                client.user(ALICE)
                client.pass_(ALICE_SECRET)
                self.assertEqual(client.retr(1)[1], [b"Subject: here", b"", b"kept on east"])
                client.quit()

        return deferToThread(read)

    def test_users(self) -> Deferred[None]:
        """Each server knows its own users only, and an odd password is taken literally."""
        west = servers.dovecot("west")

        def log_in() -> None:
            client = imaplib.IMAP4(LOOPBACK, west.imap)
            for user, password in ((ALICE, ALICE_SECRET), (BOB, "wrong")):
                with self.assertRaises(imaplib.IMAP4.error):
                    client.login(user, password)
            client.login(BOB, BOB_SECRET)
            client.logout()
            odd = imaplib.IMAP4(LOOPBACK, self.east.imap)
            password = servers.USERS["east"]["odd@example.org"]
            odd.authenticate("PLAIN", lambda _: f"\0odd@example.org\0{password}".encode())
            odd.logout()

            is_logged = poll(lambda: f"user=<{BOB}>" in west.log(), PATIENCE_SECONDS)
            self.assertTrue(is_logged, west.log())

        return deferToThread(log_in)

    def test_no_penalty(self) -> Deferred[None]:
        """After many failures from one address the next login is not made to wait.

        The penalty would be 15 seconds from the fourth password on; the same one again costs less.
        """

        def fail_often() -> None:
            for number in range(6):
                client = imaplib.IMAP4(LOOPBACK, self.east.imap, timeout=12)
                with self.assertRaises(imaplib.IMAP4.error):
                    client.login(ALICE, f"wrong {number}")
                client.shutdown()

        return deferToThread(fail_often)


class LifeTests(TestCase):
    """Stopping, starting again, suspending: on a server of the test's own."""

    def setUp(self) -> None:
        self.server = self.make(Options(mechanisms="plain"))

    def make(self, options: Options) -> Dovecot:
        """Start a server that is removed when the test is over."""
        server = Dovecot("own", {ALICE: "s"}, servers.authority(), options)
        self.addCleanup(server.remove)
        server.start()
        return server

    def log_in(self, seconds: float = PATIENCE_SECONDS) -> None:
        """Log in and out; fails after so many seconds without an answer."""
        client = imaplib.IMAP4(LOOPBACK, self.server.imap, timeout=seconds)
        client.login(ALICE, "s")
        client.logout()

    def test_stop_and_start(self) -> Deferred[None]:
        """The ports are closed after a stop and the same after the next start."""
        port = self.server.imap
        self.server.stop()
        self.assertFalse(is_open(port))
        self.assertFalse(self.server.running)
        self.server.start()
        self.assertEqual(self.server.imap, port)
        return deferToThread(self.log_in)

    def test_suspend(self) -> Deferred[None]:
        """A suspended server accepts connections and says nothing; then it goes on."""

        def hang() -> None:
            self.server.suspend()
            try:
                with self.assertRaises(OSError):
                    self.log_in(2)
            finally:
                self.server.resume()
            self.log_in()

        return deferToThread(hang)

    def test_submission(self) -> Deferred[None]:
        """With a relay there is a submission service."""
        server = self.make(Options(relay_port=servers.postfix("east").submission))

        def greet() -> None:
            with smtplib.SMTP(LOOPBACK, server.submission, timeout=PATIENCE_SECONDS) as client:
                client.login(ALICE, "s")

        return deferToThread(greet)

    def test_remove(self) -> None:
        """Nothing stays behind: no process, no folder."""
        pids = self.server.family()
        self.assertGreater(len(pids), 1)
        self.server.remove()
        self.assertFalse(self.server.folder.exists())
        self.assertEqual([pid for pid in pids if alive(pid)], [])


class PostfixTests(TestCase):
    """Submission, each of the three ways to connect."""

    def setUp(self) -> None:
        self.east: Postfix = servers.postfix("east")

    def connect(self, mode: str) -> smtplib.SMTP:
        """Connect in one of the three ways."""
        if mode == "implicit":
            return smtplib.SMTP_SSL("localhost", self.east.submissions, context=context())
        client = smtplib.SMTP("localhost", self.east.submission)
        if mode == "starttls":
            client.starttls(context=context())
        return client

    def test_submission(self) -> Deferred[None]:
        """A message arrives, over plain text, STARTTLS and implicit TLS."""

        def send() -> None:
            for mode in ("plain", "starttls", "implicit"):
                recipient = f"{mode}@elsewhere.example"
                message = EmailMessage()
                message["From"], message["To"], message["Subject"] = ALICE, recipient, mode
                message.set_content("It arrived.\n")
                with self.connect(mode) as client:
                    client.login(ALICE, ALICE_SECRET)
                    client.send_message(message)
                (stored,) = self.east.wait_for(recipient)
                self.assertTrue(stored.endswith(b"\r\n\r\nIt arrived.\r\n"), stored)

        return deferToThread(send)

    def test_refusals(self) -> Deferred[None]:
        """A wrong password, another server's user and a sender without login are refused."""

        def refuse() -> None:
            with self.connect("plain") as client:
                for user, password in ((ALICE, "wrong"), (BOB, BOB_SECRET)):
                    with self.assertRaises(smtplib.SMTPAuthenticationError):
                        client.login(user, password)
                with self.assertRaises(smtplib.SMTPRecipientsRefused):
                    client.sendmail(ALICE, [BOB], "Subject: x\r\n\r\nx\r\n")

            refusal = "SASL PLAIN authentication failed"
            is_logged = poll(lambda: refusal in self.east.log(), PATIENCE_SECONDS)
            self.assertTrue(is_logged, self.east.log())

        return deferToThread(refuse)

    def test_large_message(self) -> Deferred[None]:
        """30 MB arrive byte for byte behind the server's own header fields."""
        body = b"".join(b"%070d\r\n" % number for number in range(30_000_000 // 72))
        text = b"Subject: large\r\nDate: x\r\nMessage-ID: <x@example.org>\r\n\r\n" + body

        def send() -> None:
            with self.connect("implicit") as client:
                client.login(ALICE, ALICE_SECRET)
                client.sendmail(ALICE, ["large@elsewhere.example"], text)
            (stored,) = self.east.wait_for("large@elsewhere.example")
            self.assertTrue(stored.endswith(body))
            self.east.clear("large@elsewhere.example")

        return deferToThread(send)


class PrivacyTests(TestCase):
    """The servers belong to the tests alone."""

    def test_loopback(self) -> None:
        """Every port is bound to loopback, none to all addresses."""
        ports = [servers.dovecot("east").imap, servers.postfix("east").submission]
        table = Path("/proc/net/tcp").read_text().splitlines()[1:]
        bound = {line.split()[1] for line in table if line.split()[3] == "0A"}
        for port in ports:
            self.assertIn(f"0100007F:{port:04X}", bound)
            self.assertNotIn(f"00000000:{port:04X}", bound)

    def test_no_service_of_the_system(self) -> None:
        """The folder of the server is private to this run."""
        folder = servers.dovecot("east").folder
        self.assertEqual(folder.stat().st_uid, os.getuid())
        self.assertIn(str(folder), (folder / "dovecot.conf").read_text())
