"""Tables as values."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.config.hidden import Secret
from mailroute.config.table_model import RedisSettings, SqlQueryTable


class TableModelTests(SynchronousTestCase):
    """Values that hold secrets."""

    def test_hidden(self) -> None:
        """What holds a secret does not show it."""
        secret = Secret("s3cret")
        query = SqlQueryTable("postgres", secret, "SELECT 1", (), None, None, None, None)
        for settings in (query, RedisSettings(secret, "route:", 16)):
            self.assertNotIn("s3cret", f"{settings!r}{settings}")
