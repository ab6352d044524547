"""What ``docs/reference/log.md`` says of the log is so."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import Login, TLSInfo
from mailroute.imap import replies as imap
from mailroute.journal import Journal
from mailroute.managesieve import replies as managesieve
from mailroute.pop3 import replies as pop3
from mailroute.route import Backend, Origin, Route, TLSMode
from mailroute.smtp import replies as smtp
from mailroute.wire.foreign import foreign_protocol

TEXT = (Path(__file__).parents[1] / "docs" / "reference" / "log.md").read_text(encoding="utf-8")
REASON = "198.51.100.4:993: backend answered NO [AUTHENTICATIONFAILED] Authentication failed."


class LogTests(SynchronousTestCase):
    """Words and lines."""

    def setUp(self) -> None:
        """A log."""
        self.events: list[LogEvent] = []
        self.clock = Clock()

    def journal(self, session_id: str, port: int) -> Journal:
        """That of a session of the document."""
        origin = Origin(session_id, "imap", "203.0.113.9", port, "192.0.2.10", 993)
        log = Logger(namespace="mailroute", observer=self.events.append)  # type: ignore[arg-type]
        return Journal(origin, self.clock, log)

    def route(self, account: str, destination: str) -> Route:
        """To one of the document's servers."""
        backend = Backend(("198.51.100.4",), 993, TLSMode.IMPLICIT)
        return Route(account, destination, backend)

    def test_lines(self) -> None:
        """Both lines are written as they are shown."""
        joined = self.journal("2c5818c3da6700001", 36590)
        joined.encrypted(TLSInfo("TLSv1.3"))
        login = Login(Identity("alice@example.org"), "PLAIN", None)
        joined.joined(login, self.route("alice@example.org", "east"))
        self.clock.advance(12.089)
        joined.ended("client", 53, 573)
        failed = self.journal("2c5818c3da6700002", 36602)
        login = Login(Identity("bob@example.org"), "PLAIN", None)
        failure = Failure(FailureKind.CREDENTIALS_REJECTED, REASON)
        failed.rejected(login, self.route("bob@example.org", "west"), failure)
        lines = [str(event["line"]) for event in self.events if event["event"] != "login"]
        (shown,) = re.findall(r"^```log\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
        self.assertEqual(lines, shown.splitlines())
        pairs = {word.partition("=")[0] for line in lines for word in line.split() if "=" in word}
        for pair in pairs - {"protocol"}:
            self.assertIn(f"`{pair}`", TEXT)

    def test_reasons(self) -> None:
        """Every reason is on the side of the one whose fault it is, and no other is told."""
        rows = dict(re.findall(r"^\| the (user|operator)'s \| (.*) \|$", TEXT, re.MULTILINE))
        told = {side: set(re.findall(r"`([\w-]+)`", row)) for side, row in rows.items()}
        users = {kind.value for kind in FailureKind if not kind.temporary}
        self.assertEqual(told, {"user": users, "operator": {k.value for k in FailureKind} - users})

    def test_ends(self) -> None:
        """Every goodbye, and every stranger."""
        words = {*imap.GOODBYES, *pop3.GOODBYES, *smtp.GOODBYES, *managesieve.GOODBYES}
        self.assertGreater(len(words), 5)
        for start in (b"\x16\x03\x01", b"GET / HTTP/1.1\r\n"):
            word = foreign_protocol(start)
            self.assertIsNotNone(word)
            words.add(word or "")
        for word in words:
            self.assertIn(f"`{word}`", TEXT)
