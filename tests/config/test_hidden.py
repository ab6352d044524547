"""Texts that nobody is shown."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.hidden import Secret


class SecretTests(SynchronousTestCase):
    """A secret is in no repr."""

    def test_hidden(self) -> None:
        """None of its forms shows it."""
        for shown in (repr(Secret("s3cret")), str(Secret("s3cret")), f"{[Secret('s3cret')]}"):
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
