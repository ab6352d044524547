"""The reply-table law, and what becomes of a backend's own words."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.smtp import replies
from mailroute.smtp.syntax import reply_line


def rejected(kind: FailureKind, *words: bytes) -> bytes:
    return replies.rejection(Rejected(Failure(kind, "private reason"), words))


class ReplyTableTests(SynchronousTestCase):
    """Every failure kind, every goodbye."""

    def test_every_kind(self) -> None:
        """Temporary kinds answer 454 4.7.0, the others 5xx 5.x.x (RFC 4954 section 6)."""
        for kind in FailureKind:
            said = rejected(kind)
            if kind.temporary:
                self.assertTrue(said.startswith(b"454 4.7.0 "), (kind, said))
            else:
                self.assertRegex(said, rb"\A5\d\d 5\.7\.\d+ ", kind)
            self.assertEqual(said.count(b"\r\n"), 1)

    def test_codes_of_refusals(self) -> None:
        """535 5.7.8 where name or password is at fault; 525 5.7.13 for a closed account."""
        wrong = {
            rejected(kind)
            for kind in (
                FailureKind.CREDENTIALS_REJECTED,
                FailureKind.ACCOUNT_UNKNOWN,
                FailureKind.NAME_UNUSABLE,
            )
        }
        self.assertEqual(wrong, {b"535 5.7.8 Authentication credentials invalid\r\n"})
        for kind in (FailureKind.ACCOUNT_DENIED, FailureKind.BACKEND_REFUSED):
            self.assertTrue(rejected(kind).startswith(b"525 5.7.13 "))

    def test_goodbyes(self) -> None:
        """421 is what a server says that closes (RFC 5321 3.8), with the status for why."""
        for why, status in (
            ("timeout", b"4.4.2"),
            ("shutting-down", b"4.3.2"),
            ("too-many-bad-commands", b"4.7.0"),
            ("too-many-login-attempts", b"4.7.0"),
        ):
            said = replies.goodbye(why, b"mx.example")
            self.assertTrue(said.startswith(b"421 " + status + b" mx.example "), said)
        self.assertTrue(replies.FULL.startswith(b"421 "))
        for line in (*replies.REJECTIONS.values(), replies.ACCEPTED):
            self.assertFalse(line.startswith(b"421"))


class BackendWordsTests(SynchronousTestCase):
    """Which of the backend's replies a client gets to see."""

    def test_pass_verbatim(self) -> None:
        """The backend's lines pass where their code says what happened, also several."""
        for kind, *words in (
            (FailureKind.CREDENTIALS_REJECTED, b"535 5.7.8 Error: authentication failed:"),
            (FailureKind.CREDENTIALS_REJECTED, b"535-5.7.8 Username and", b"535 5.7.8 Password"),
            (FailureKind.BACKEND_BUSY, b"454 4.7.0 Try again"),
            (FailureKind.BACKEND_BUSY, b"432 4.7.12 A password transition is needed"),
            (FailureKind.BACKEND_REFUSED, b"534-5.7.9 App password", b"534 5.7.9 required"),
            (FailureKind.BACKEND_REFUSED, b"501 5.7.0 Authentication cancelled"),
            (FailureKind.BACKEND_REFUSED, b"550 Utf-8 \xc3\xa9"),
        ):
            self.assertEqual(rejected(kind, *words), b"".join(w + b"\r\n" for w in words))

    def test_wrong_password_has_one_code(self) -> None:
        """Whatever status the backend gives, a wrong password reads as an unknown account does."""
        for theirs, ours in (
            (b"535 Incorrect authentication data", b"535 5.7.8 Incorrect authentication data"),
            (b"535 5.7.3 Unsuccessful", b"535 5.7.8 Unsuccessful"),
            (b"535 5.7.3", b"535 5.7.8 "),
            (b"535", b"535 5.7.8 "),
            (b"535 10.0.0.1 said no", b"535 5.7.8 10.0.0.1 said no"),
        ):
            said = rejected(FailureKind.CREDENTIALS_REJECTED, theirs)
            self.assertEqual(said, ours + b"\r\n")
        said = rejected(FailureKind.CREDENTIALS_REJECTED, b"535-5.7.3 a", b"535 5.7.3 b")
        self.assertEqual(said, b"535-5.7.8 a\r\n535 5.7.8 b\r\n")

    def test_do_not_pass(self) -> None:
        """A code of another class, a 421, a broken reply and controls are replaced by ours."""
        for kind, *words in (
            (FailureKind.BACKEND_INCAPABLE, b"504 5.5.4 Unrecognized"),
            (FailureKind.BACKEND_BUSY, b"535 5.7.8 no"),
            (FailureKind.BACKEND_BUSY, b"421 4.7.0 closing"),
            (FailureKind.BACKEND_REFUSED, b"235 2.7.0 welcome"),
            (FailureKind.BACKEND_REFUSED, b"454 4.7.0 later"),
            (FailureKind.CREDENTIALS_REJECTED, b"534 5.7.9 other"),
            (FailureKind.CREDENTIALS_REJECTED, b"535-5.7.8 never ended"),
            (FailureKind.CREDENTIALS_REJECTED, b"535-5.7.8 a", b"235 2.7.0 b"),
            (FailureKind.CREDENTIALS_REJECTED, b"535 5.7.8 a\r\n235 2.7.0 b"),
            (FailureKind.CREDENTIALS_REJECTED, b"535 5.7.8 a\rb"),
            (FailureKind.CREDENTIALS_REJECTED, b"535 5.7.8 a\0b"),
            (FailureKind.CREDENTIALS_REJECTED, b"Wrong password"),
        ):
            self.assertEqual(rejected(kind, *words), rejected(kind), words)

    def test_acceptance(self) -> None:
        """235 passes as the backend worded it; anything else that was taken as consent is ours."""
        words = (b"235-2.7.0 Hello", b"235 2.7.0 alice")
        self.assertEqual(
            replies.acceptance(Accepted(words)), b"235-2.7.0 Hello\r\n235 2.7.0 alice\r\n"
        )
        ours = replies.ACCEPTED + b"\r\n"
        for other in ((), (b"Logged in",), (b"250 OK",), (b"535 no",), (b"235 a\r\n220 b",)):
            self.assertEqual(replies.acceptance(Accepted(other)), ours, other)

    def test_ehlo(self) -> None:
        """The name alone, or lines of which only the last has no hyphen (RFC 5321 4.1.1.1)."""
        self.assertEqual(replies.greeting_lines(b"mx", ()), b"250 mx\r\n")
        said = replies.greeting_lines(b"mx", (b"A", b"B 1"))
        self.assertEqual(said, b"250-mx\r\n250-A\r\n250 B 1\r\n")

    def test_our_lines_are_replies(self) -> None:
        """Everything that we say parses as one line of a reply."""
        for name, line in vars(replies).items():
            if isinstance(line, bytes) and name.isupper() and name[0] != "_":
                if name in ("DEFAULT_BANNER", "BAD_ARGUMENT", "BAD_SASL"):
                    continue
                parsed = reply_line(line.removesuffix(b"\r\n"))
                assert parsed is not None and parsed.is_last, (name, line)
