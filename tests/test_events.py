"""Actions and milestones."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import (
    Accepted,
    Challenge,
    Login,
    Rejected,
    Response,
    TLSInfo,
    Write,
)


class SecretTests(SynchronousTestCase):
    """Events pass through logs and tracebacks: what may be a secret is in no repr."""

    def test_not_shown(self) -> None:
        """Octets that a user or a backend exchanges in a login."""
        for event in (
            Write(b"a LOGIN alice hunter2\r\n"),
            Login(Identity("alice"), "PLAIN", b"\0alice\0hunter2"),
            Response(b"hunter2"),
            Challenge(b"hunter2"),
            Accepted((b"Logged in",), (), b"hunter2"),
        ):
            self.assertNotIn("hunter2", repr(event))

    def test_shown(self) -> None:
        """What the log needs: whose login, by which mechanism, and how it failed."""
        self.assertIn("alice", repr(Login(Identity("alice"), "PLAIN", None)))
        rejected = Rejected(Failure(FailureKind.BACKEND_BUSY, "421 busy"))
        self.assertIn("421 busy", repr(rejected))


class ValueTests(SynchronousTestCase):
    """Events are values."""

    def test_cancelled_is_not_empty(self) -> None:
        """A cancellation is another thing than an empty response."""
        self.assertNotEqual(Response(None), Response(b""))

    def test_defaults(self) -> None:
        """Nothing is said unless somebody said it."""
        self.assertEqual(Accepted(), Accepted((), (), None))
        rejected = Rejected(Failure(FailureKind.INTERNAL, ""))
        self.assertEqual((rejected.words, rejected.untagged), ((), ()))
        self.assertIsNone(TLSInfo("TLSv1.3").server_name)
