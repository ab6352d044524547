"""EXTERNAL (RFC 4422 appendix A)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.sasl.external import External
from mailroute.sasl.mechanism import BadMessage, NotAllowed

NAMES = ("alice@example.org", "a.smith@example.org")


class ExternalTests(SynchronousTestCase):
    """The certificate has said who it is."""

    def test_nobody_named(self) -> None:
        """An empty message means the certificate's own, most important name."""
        login = External(NAMES).login([b""])
        self.assertEqual(login, Login(Identity("alice@example.org"), "EXTERNAL", b""))

    def test_one_of_its_names(self) -> None:
        """The message may choose among the names that were proved."""
        login = External(NAMES).login([b"a.smith@example.org"])
        self.assertEqual(login.identity, Identity("a.smith@example.org"))

    def test_somebody_else(self) -> None:
        """A name that was not proved is refused, also if it only differs in letters' case."""
        for other in (b"bob@example.org", b"Alice@example.org", b"alice"):
            self.assertRaises(NotAllowed, External(NAMES).login, [other])

    def test_malformed(self) -> None:
        """A name is UTF-8 without NUL."""
        for bad in (b"\xff", b"alice@example.org\0"):
            self.assertRaises(BadMessage, External(NAMES).login, [bad])
