"""What a ManageSieve server offers, asked without a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.managesieve.probe import ManageSieveProbe, kept
from tests.support.dialogues import assert_transcript

NOBODY = Login(Identity("nobody"), "PLAIN", None)


class ProbeTests(SynchronousTestCase):
    """The dialogue."""

    def test_extensions(self) -> None:
        """The greeting lists them."""
        assert_transcript(
            lambda: ManageSieveProbe(NOBODY, False, True),
            """
            S: "IMPLEMENTATION" "x"
            S: "SIEVE" "fileinto copy"
            S: OK "hi"
            C: LOGOUT
            = Accepted fileinto|copy
            """,
        )

    def test_starttls(self) -> None:
        """The list behind the handshake counts (RFC 5804 section 2.2)."""
        assert_transcript(
            lambda: ManageSieveProbe(NOBODY, True, True),
            """
            S: "SIEVE" "fileinto"
            S: "STARTTLS"
            S: OK
            C: STARTTLS
            S: OK
            = StartTLS
            > tls
            S: "SIEVE" "copy"
            S: OK
            C: LOGOUT
            = Accepted copy
            """,
        )


class KeptTests(SynchronousTestCase):
    """What we may promise."""

    def test_intersection(self) -> None:
        """What all have, ours first: scripts are the server's affair."""
        east, west = frozenset({"FILEINTO", "COPY", "BODY"}), frozenset({"BODY", "COPY", "DATE"})
        self.assertEqual(kept(("body", "fileinto"), [east, west]), ("body", "copy"))
