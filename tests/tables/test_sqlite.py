"""The check of an SQLite table; lookups are tested in tests.integration."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables import sqlite
from mailroute.tables.sql_table import SqlSettings
from mailroute.tables.sql_url import SqliteTarget
from mailroute.tables.sqlite import SqliteTable
from tests.tables.idle_reactor import IdleReactor


class CheckTests(SynchronousTestCase):
    """Bad SQL is a complaint, a missing or unreadable file a warning."""

    def setUp(self) -> None:
        """A database with one table."""
        self.path = Path(self.mktemp()).absolute()
        connection = sqlite3.connect(self.path)
        connection.execute("CREATE TABLE routes (identifier, destination)")
        connection.close()

    def check(self, query: str) -> Sequence[str]:
        """Check a query."""
        target = SqliteTarget(str(self.path))
        return SqliteTable(target, SqlSettings("", query), IdleReactor()).check()

    def test_fine(self) -> None:
        """Nothing to say."""
        query = "SELECT destination FROM routes WHERE identifier = $1 AND ? <> :client_ip"
        self.assertEqual(self.check(query), [])

    def test_bad(self) -> None:
        """The driver's own words."""
        for query, words in (
            ("SELEC $1", "syntax error"),
            ("SELECT $1 FROM nowhere", "no such table: nowhere"),
            ("SELECT colour FROM routes WHERE identifier = ?", "no such column: colour"),
        ):
            error = self.assertRaises(ConfigurationError, self.check, query)
            self.assertIn(words, str(error))
            self.assertIn("mapping.sql.query", str(error))

    def test_missing(self) -> None:
        """A missing file is not created."""
        self.path.unlink()
        self.assertIn("cannot be asked", self.check("SELECT $1")[0])
        self.assertFalse(self.path.exists())

    def test_no_database(self) -> None:
        """A file of another kind may be replaced: a warning."""
        self.path.write_bytes(b"no database " * 100)
        self.assertIn("not a database", self.check("SELECT $1 FROM routes")[0])

    def test_locked(self) -> None:
        """So may a file that somebody writes just now."""
        writer = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("BEGIN EXCLUSIVE")
        self.patch(sqlite, "CHECK_SECONDS", 0)
        self.assertIn("locked", self.check("SELECT $1 FROM routes")[0])
