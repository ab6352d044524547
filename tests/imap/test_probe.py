"""What an IMAP server offers, asked without a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.imap.probe import ImapProbe, kept
from tests.support.dialogues import assert_transcript

NOBODY = Login(Identity("nobody"), "PLAIN", None)
OWN = ("IMAP4rev1", "SASL-IR", "LITERAL-", "ID")


class ProbeTests(SynchronousTestCase):
    """The dialogue."""

    def test_greeting(self) -> None:
        """The list may stand in the greeting."""
        assert_transcript(
            lambda: ImapProbe(NOBODY, False, True),
            "S: * OK [CAPABILITY IMAP4rev1 id] x\nC: mr1 LOGOUT\n= Accepted ID|IMAP4REV1\n",
        )

    def test_starttls(self) -> None:
        """What stood in the clear does not count."""
        assert_transcript(
            lambda: ImapProbe(NOBODY, True, True),
            """
            S: * OK [CAPABILITY IMAP4rev1 STARTTLS ID] x
            C: mr1 STARTTLS
            S: mr1 OK
            = StartTLS
            > tls
            C: mr2 CAPABILITY
            S: * CAPABILITY IMAP4rev1 AUTH=PLAIN
            S: mr2 OK
            C: mr3 LOGOUT
            = Accepted AUTH=PLAIN|IMAP4REV1
            """,
        )


class KeptTests(SynchronousTestCase):
    """What we may promise."""

    def test_intersection(self) -> None:
        """What a server lacks is not promised; what ends with us needs no server."""
        all_of_them = frozenset({"ID", "LITERAL-", "IDLE"})
        self.assertEqual(kept(OWN, [all_of_them]), OWN)
        self.assertEqual(
            kept(OWN, [all_of_them, frozenset({"ID"})]), ("IMAP4rev1", "SASL-IR", "ID")
        )
        self.assertEqual(kept(OWN, [frozenset()]), ("IMAP4rev1", "SASL-IR"))

    def test_literals(self) -> None:
        """RFC 7888 section 5: what takes LITERAL+ takes LITERAL-, and not the other way round."""
        self.assertEqual(kept(["LITERAL-"], [frozenset({"LITERAL+"})]), ("LITERAL-",))
        self.assertEqual(kept(["LITERAL+"], [frozenset({"LITERAL-"})]), ())
