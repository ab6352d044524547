"""What the log is told of backends that do not offer to be told of their clients."""

from __future__ import annotations

from twisted.logger import Logger, LogLevel, eventAsText
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net import untold
from mailroute.net.untold import Untold


class UntoldTests(SynchronousTestCase):
    """Once, and what to do."""

    def setUp(self) -> None:
        self.said: list[str] = []

        def observe(event: object) -> None:
            self.assertIs(event["log_level"], LogLevel.warn)  # type: ignore[index]
            self.said.append(
                eventAsText(event, includeTimestamp=False, includeSystem=False)  # type: ignore[arg-type]
            )

        self.untold = Untold(Logger(namespace="x", observer=observe))  # type: ignore[arg-type]

    def test_words(self) -> None:
        """Which destination, for which protocol, what is missing, and both cures."""
        self.untold.note("east", "pop3", "XCLIENT")
        (words,) = self.said
        for part in ("destination east", "pop3", "offer us XCLIENT", "login_trusted_networks"):
            self.assertIn(part, words)
        self.assertIn("smtpd_authorized_xclient_hosts", words)
        self.assertIn("set forwarding", words)

    def test_once(self) -> None:
        """Not with every login; each protocol and each destination has its own word."""
        for _ in range(3):
            for destination in ("east", "west"):
                for protocol in ("imap", "submission"):
                    self.untold.note(destination, protocol, "XCLIENT")
        self.assertEqual(len(self.said), 4)

    def test_bounded(self) -> None:
        """What is remembered has its bound, since patterns make destinations without one."""
        self.patch(untold, "REMEMBERED", 2)
        for name in ("a", "b", "c", "c"):
            self.untold.note(name, "imap", "ID")
            self.assertLessEqual(len(self.untold._known), 2)
        self.assertEqual(len(self.said), 3)
