"""The wording of every failure."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.managesieve import replies, syntax
from mailroute.wire.strings import Command


def read(said: bytes) -> syntax.Reply:
    """A line of ours, as a client reads it."""
    assert said.endswith(b"\r\n"), said
    return syntax.reply(Command(said[:-2], []))


class ReplyTableTests(SynchronousTestCase):
    """The reply-table law: the code agrees with the kind."""

    def test_codes(self) -> None:
        """TRYLATER for what may pass; a verdict on the account has no code (section 1.3)."""
        for kind in FailureKind:
            said = read(replies.rejection(Rejected(Failure(kind, "private reason"))))
            self.assertEqual(said.status, "NO")
            self.assertEqual(said.code, b"TRYLATER" if kind.temporary else b"", kind)
            self.assertTrue(said.text)
            self.assertNotIn(b"private", said.text or b"")

    def test_backend_words(self) -> None:
        """The text passes; of the codes only those that send a client to another mechanism."""
        for kind, words, said in (
            (FailureKind.CREDENTIALS_REJECTED, (b"no such box",), b'NO "no such box"'),
            (FailureKind.CREDENTIALS_REJECTED, (b"no", b"NONEXISTENT"), b'NO "no"'),
            (FailureKind.BACKEND_BUSY, (b"locked",), b'NO (TRYLATER) "locked"'),
            (FailureKind.BACKEND_BUSY, (b"locked", b"X"), b'NO (TRYLATER) "locked"'),
            (
                FailureKind.BACKEND_REFUSED,
                (b"weak", b"AUTH-TOO-WEAK"),
                b'NO (AUTH-TOO-WEAK) "weak"',
            ),
            (FailureKind.BACKEND_REFUSED, (b"expired",), b'NO "expired"'),
            (FailureKind.BACKEND_REFUSED, (b'a "b" \\',), b'NO "a \\"b\\" \\\\"'),
            (FailureKind.BACKEND_REFUSED, (b"a\r\nOK",), b"NO {5}\r\na\r\nOK"),
        ):
            verdict = Rejected(Failure(kind, ""), words)
            self.assertEqual(replies.rejection(verdict), said + b"\r\n")

    def test_acceptance(self) -> None:
        """The backend's words where it had some, and the mechanism's last data (section 2.1)."""
        for verdict, said in (
            (Accepted((b"Hello",)), b'OK "Hello"'),
            (Accepted(), b'OK "Logged in."'),
            (Accepted((b"Hello",), final=b"v=x"), b'OK (SASL "dj14") "Hello"'),
            (Accepted(final=b""), b'OK (SASL "") "Logged in."'),
        ):
            self.assertEqual(replies.acceptance(verdict), said + b"\r\n")

    def test_long_final_data(self) -> None:
        """More than quotes hold goes as a literal."""
        said = replies.acceptance(Accepted(final=b"x" * 900))
        self.assertTrue(said.startswith(b"OK (SASL {1200}\r\neHh4"), said)
        self.assertTrue(said.endswith(b') "Logged in."\r\n'))

    def test_goodbyes(self) -> None:
        """BYE may be read as the answer to AUTHENTICATE: what is no verdict says TRYLATER."""
        for why in replies.GOODBYES:
            said = read(replies.goodbye(why))
            self.assertEqual(said.status, "BYE")
            later = why in ("timeout", "shutting-down")
            self.assertEqual(said.code, b"TRYLATER" if later else b"", why)
        self.assertEqual(read(replies.FULL).code, b"TRYLATER")
