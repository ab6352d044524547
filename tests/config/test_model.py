"""The configuration as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.model import Secret, SqlMapping


class ModelTests(SynchronousTestCase):
    """Values that hold secrets."""

    def test_hidden(self) -> None:
        """What holds a secret does not show it."""
        mapping = SqlMapping(Secret("mysql://u:s3cret@h/d"), "SELECT 1", 1, ("{user}",))
        for shown in (repr(mapping), str(mapping), repr(mapping.url), f"{mapping.url}"):
            self.assertNotIn("s3cret", shown)
