"""The URL chooses the table."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.mysql import MysqlTable
from mailroute.tables.postgres import PostgresTable
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import SqlSettings, SqlTable
from mailroute.tables.sqlite import SqliteTable
from tests.tables.idle_reactor import IdleReactor


class MakeSqlTableTests(SynchronousTestCase):
    """``make_sql_table``."""

    def make(self, url: str) -> SqlTable:
        """A table for a URL."""
        return make_sql_table(SqlSettings(url, "SELECT $1"), IdleReactor())

    def test_engines(self) -> None:
        """One for each scheme; nothing is opened."""
        for url, kind in (
            ("sqlite:nowhere/at/all", SqliteTable),
            ("mysql://h.invalid/d", MysqlTable),
            ("postgres://h.invalid/d", PostgresTable),
            ("postgresql://h.invalid/d", PostgresTable),
        ):
            self.assertIsInstance(self.make(url), kind)

    def test_bad_url(self) -> None:
        """Another scheme is a complaint."""
        self.assertRaises(ConfigurationError, self.make, "redis://h")
