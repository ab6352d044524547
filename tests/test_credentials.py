"""Identities and credentials."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Credentials, Identity


class IdentityTests(SynchronousTestCase):
    """The names in a login (RFC 4422 section 3.4.1)."""

    def test_account(self) -> None:
        """The name that is acted for chooses the backend, where there is one."""
        self.assertEqual(Identity("master", "alice").account, "alice")
        self.assertEqual(Identity("alice").account, "alice")

    def test_is_a_value(self) -> None:
        """Equal names are equal, and nothing changes them."""
        self.assertEqual(Identity("alice"), Identity("alice", ""))
        self.assertNotEqual(Identity("alice"), Identity("Alice"))
        with self.assertRaises(AttributeError):
            Identity("alice").authcid = "bob"  # type: ignore[misc]


class CredentialsTests(SynchronousTestCase):
    """A name and a password."""

    def test_secret_is_not_shown(self) -> None:
        """The secret is in no repr; the name is."""
        shown = repr(Credentials(Identity("alice"), b"hunter2"))
        self.assertNotIn("hunter2", shown)
        self.assertIn("alice", shown)
