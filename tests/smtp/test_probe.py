"""What a submission server offers, asked without a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.smtp.probe import SmtpProbe, kept
from tests.support.dialogues import assert_transcript

NOBODY = Login(Identity("nobody"), "PLAIN", None)
OWN = ("PIPELINING", "8BITMIME", "ENHANCEDSTATUSCODES", "SIZE")


def found(*lines: str) -> frozenset[str]:
    """What a server has said."""
    return frozenset(lines)


class ProbeTests(SynchronousTestCase):
    """The dialogue."""

    def test_keywords(self) -> None:
        """EHLO is said again behind the handshake, and its second answer counts (RFC 3207 4.2)."""
        assert_transcript(
            lambda: SmtpProbe(NOBODY, True, True, b"proxy.example"),
            """
            S: 220 mx
            C: EHLO proxy.example
            S: 250-mx
            S: 250-DSN
            S: 250 STARTTLS
            C: STARTTLS
            S: 220 go
            = StartTLS
            > tls
            C: EHLO proxy.example
            S: 250-mx
            S: 250-SIZE 1000
            S: 250 AUTH PLAIN
            C: QUIT
            = Accepted SIZE 1000|AUTH PLAIN
            """,
        )

    def test_refused(self) -> None:
        """A server that knows no EHLO cannot be asked."""
        assert_transcript(
            lambda: SmtpProbe(NOBODY, False, True, b"proxy.example"),
            "S: 220 mx\nC: EHLO proxy.example\nS: 502 what?\n= Rejected backend-incapable\n",
        )


class KeptTests(SynchronousTestCase):
    """What we may promise."""

    def test_intersection(self) -> None:
        """What one server lacks would make MAIL fail there with 555 (RFC 5321 4.1.1.11)."""
        east = found("PIPELINING", "8BITMIME", "SIZE", "DSN", "SMTPUTF8", "CHUNKING")
        west = found("PIPELINING", "SIZE", "CHUNKING", "SMTPUTF8")
        self.assertEqual(kept(OWN, [east, west]), ("PIPELINING", "SIZE", "CHUNKING", "SMTPUTF8"))

    def test_own_words(self) -> None:
        """Ours come first and as the operator wrote them, if all servers have them."""
        self.assertEqual(kept(("x-mine", "X-OTHER"), [found("X-MINE")]), ("x-mine",))

    def test_never_passed(self) -> None:
        """What concerns the channel and the login is never learnt."""
        line = found("STARTTLS", "AUTH PLAIN", "XCLIENT NAME", "XFORWARD", "BURL IMAP", "VRFY")
        self.assertEqual(kept(OWN, [line]), ())

    def test_unprintable(self) -> None:
        """What no reply may hold (RFC 5321 4.1.1.1) is not repeated, and breaks no EHLO of ours."""
        for line in ("LIMITS RCPTMAX=\ufffd", "DSN \0", "DSN a\rb", "LIMITS \x1b[2J", "DSN \x7f"):
            self.assertEqual(kept(OWN, [found(line)]), (), line)

    def test_sizes(self) -> None:
        """The least limit that anybody has; none and zero are no limit (RFC 1870 section 4)."""
        for own, lines, size in (
            ("SIZE", ("SIZE 300", "SIZE 200"), "SIZE 200"),
            ("SIZE 100", ("SIZE 300", "SIZE 200"), "SIZE 100"),
            ("SIZE", ("SIZE", "SIZE 0"), "SIZE"),
            ("SIZE", ("SIZE", "SIZE 7"), "SIZE 7"),
            ("SIZE", ("SIZE x", "SIZE"), "SIZE"),
        ):
            self.assertEqual(kept([own], [found(line) for line in lines]), (size,))
        self.assertEqual(kept(["SIZE"], [found("SIZE 1"), found("DSN")]), ())

    def test_other_parameters(self) -> None:
        """A parameter has to be the same everywhere."""
        one, other = found("LIMITS RCPTMAX=10"), found("LIMITS RCPTMAX=20")
        self.assertEqual(kept([], [one, one]), ("LIMITS RCPTMAX=10",))
        self.assertEqual(kept([], [one, other]), ())
