"""The configuration as values."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.model import Secret, SqlMapping


class SecretTests(SynchronousTestCase):
    """A secret is in no repr."""

    def test_hidden(self) -> None:
        """Neither the secret's own forms nor those of what holds it show it."""
        mapping = SqlMapping(Secret("mysql://u:s3cret@h/d"), "SELECT 1", 1, ("{user}",))
        for shown in (repr(mapping), str(mapping), repr(mapping.url), f"{mapping.url}"):
            self.assertNotIn("s3cret", shown)

    def test_revealed(self) -> None:
        """Whoever asks by name gets it, and equal secrets are equal."""
        self.assertEqual(Secret("s3cret").reveal(), "s3cret")
        self.assertEqual(Secret("a"), Secret("a"))
        self.assertNotEqual(Secret("a"), Secret("b"))

    def test_frozen(self) -> None:
        """Values do not change."""
        with self.assertRaises(FrozenInstanceError):
            Secret("a")._value = "b"  # type: ignore[misc]
