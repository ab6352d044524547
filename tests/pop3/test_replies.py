"""The wording of every failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.pop3 import replies

_RESPONSE_LIMIT = 512


class ReplyTableTests(SynchronousTestCase):
    """The reply-table law: the code agrees with the kind."""

    def test_codes(self) -> None:
        """SYS/TEMP for what may pass, AUTH for credentials, SYS/PERM for policy (RFC 3206)."""
        by_policy = (FailureKind.ACCOUNT_DENIED, FailureKind.BACKEND_REFUSED)
        for kind in FailureKind:
            said = replies.rejection(Rejected(Failure(kind, "private reason")))
            code = b"[SYS/TEMP] " if kind.temporary else b"[AUTH] "
            if kind in by_policy:
                code = b"[SYS/PERM] "
            self.assertTrue(said.startswith(code), (kind, said))
            self.assertNotIn(b"private", said)

    def test_backend_words(self) -> None:
        """They pass; one that gives no code is helped out with the one of its kind."""
        for kind, words, said in (
            (FailureKind.CREDENTIALS_REJECTED, b"no such mailbox", b"[AUTH] no such mailbox"),
            (FailureKind.CREDENTIALS_REJECTED, b"[AUTH] no", b"[AUTH] no"),
            # An unknown account has no code of its own: nor has a wrong password.
            (FailureKind.CREDENTIALS_REJECTED, b"[FOO] no", b"[AUTH] no"),
            (FailureKind.BACKEND_BUSY, b"[IN-USE] locked", b"[IN-USE] locked"),
            (FailureKind.BACKEND_BUSY, b"[LOGIN-DELAY] wait", b"[LOGIN-DELAY] wait"),
            (FailureKind.BACKEND_BUSY, b"locked", b"[SYS/TEMP] locked"),
            (FailureKind.BACKEND_REFUSED, b"expired", b"[SYS/PERM] expired"),
        ):
            verdict = Rejected(Failure(kind, ""), (words,))
            self.assertEqual(replies.rejection(verdict), said)

    def test_acceptance(self) -> None:
        """The backend's words where it had some."""
        self.assertEqual(replies.acceptance(Accepted((b"2 messages",))), b"2 messages")
        self.assertEqual(replies.acceptance(Accepted()), b"Logged in.")

    def test_goodbyes(self) -> None:
        """A goodbye may be read as the answer to PASS: only guessing is put down to the user."""
        for why in replies.GOODBYES:
            said = replies.goodbye(why)
            self.assertTrue(said.startswith(b"-ERR [") and said.endswith(b".\r\n"), said)
            self.assertLessEqual(len(said), _RESPONSE_LIMIT)
            self.assertEqual(b"[AUTH]" in said, why == "too-many-login-attempts")
            self.assertEqual(b"[SYS/TEMP]" in said, why in ("timeout", "shutting-down"))
        self.assertTrue(replies.FULL.startswith(b"-ERR [SYS/TEMP] "))

    def test_no_timestamp(self) -> None:
        """RFC 1939 section 7: a banner with ``<...@...>`` would offer APOP."""
        self.assertEqual(replies.greeting(b"ready <1896.69@mx.test>"), b"ready 1896.69@mx.test")
