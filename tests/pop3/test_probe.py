"""What a POP3 server offers, asked without a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.pop3.probe import Pop3Probe, kept
from tests.support.dialogues import assert_transcript

NOBODY = Login(Identity("nobody"), "PLAIN", None)
OWN = ("TOP", "UIDL", "RESP-CODES", "AUTH-RESP-CODE", "PIPELINING")


class ProbeTests(SynchronousTestCase):
    """The dialogue."""

    def test_list(self) -> None:
        """The names that CAPA lists, over TLS if it is wanted (RFC 2595 section 4)."""
        assert_transcript(
            lambda: Pop3Probe(NOBODY, True, True),
            """
            S: +OK
            C: STLS
            S: +OK
            = StartTLS
            > tls
            C: CAPA
            S: +OK
            S: UIDL
            S: SASL PLAIN
            S: .
            C: QUIT
            = Accepted SASL|UIDL
            """,
        )

    def test_no_list(self) -> None:
        """A server without CAPA promises nothing (RFC 2449 section 3)."""
        assert_transcript(
            lambda: Pop3Probe(NOBODY, False, True),
            "S: +OK\nC: CAPA\nS: -ERR what?\nC: QUIT\n= Accepted USER\n",
        )


class KeptTests(SynchronousTestCase):
    """What we may promise."""

    def test_intersection(self) -> None:
        """What the server has to keep is asked of all; our own response codes stay."""
        full = frozenset({"TOP", "UIDL", "PIPELINING"})
        self.assertEqual(kept(OWN, [full]), OWN)
        self.assertEqual(
            kept(OWN, [full, frozenset({"UIDL"})]), ("UIDL", "RESP-CODES", "AUTH-RESP-CODE")
        )
