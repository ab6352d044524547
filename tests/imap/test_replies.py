"""Our own words to an IMAP client."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Rejected
from mailroute.imap import replies


def worded(kind: FailureKind, *words: bytes) -> bytes:
    return replies.rejection(Rejected(Failure(kind, "private"), words))


class RejectionTests(SynchronousTestCase):
    """Codes are those on which clients act (RFC 5530)."""

    def test_every_kind(self) -> None:
        """Temporary trouble is UNAVAILABLE; only a wrong name or password asks for another."""
        wrong = {
            FailureKind.CREDENTIALS_REJECTED,
            FailureKind.ACCOUNT_UNKNOWN,
            FailureKind.NAME_UNUSABLE,
        }
        for kind in FailureKind:
            code = worded(kind).partition(b"]")[0]
            if kind.temporary:
                self.assertEqual(code, b"[UNAVAILABLE", kind)
            elif kind in wrong:
                self.assertEqual(code, b"[AUTHENTICATIONFAILED", kind)
            else:
                self.assertEqual(code, b"[AUTHORIZATIONFAILED", kind)

    def test_unknown_account(self) -> None:
        """It reads as a wrong password does."""
        self.assertEqual(
            worded(FailureKind.ACCOUNT_UNKNOWN), worded(FailureKind.CREDENTIALS_REJECTED)
        )

    def test_backend_words(self) -> None:
        """They pass as they are; without a code they get the one that they mean."""
        refused = FailureKind.BACKEND_REFUSED
        self.assertEqual(worded(refused, b"[EXPIRED] Too old"), b"[EXPIRED] Too old")
        self.assertEqual(worded(refused, b"[mx 1"), b"[AUTHORIZATIONFAILED] [mx 1")
        self.assertEqual(worded(FailureKind.BACKEND_BUSY, b"Later"), b"[UNAVAILABLE] Later")

    def test_one_code_for_a_wrong_password(self) -> None:
        """Whatever code a backend chose: an unknown account has none of its own either."""
        kind = FailureKind.CREDENTIALS_REJECTED
        for words in (b"Wrong", b"[AUTHENTICATIONFAILED] Wrong", b"[ALERT] Wrong", b"[X y] Wrong"):
            self.assertEqual(worded(kind, words), b"[AUTHENTICATIONFAILED] Wrong")

    def test_nothing_private(self) -> None:
        """The reason is for the log."""
        for kind in FailureKind:
            self.assertNotIn(b"private", worded(kind))


class GoodbyeTests(SynchronousTestCase):
    """The last line."""

    def test_goodbyes(self) -> None:
        """Each is one untagged BYE."""
        for why in replies.GOODBYES:
            self.assertRegex(replies.goodbye(why), rb"\A\* BYE [^\r\n]+\r\n\Z")
        for line in (replies.LOGOUT_BYE, replies.FULL):
            self.assertRegex(line, rb"\A\* BYE [^\r\n]+\r\n\Z")
