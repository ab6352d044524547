"""How a store opens an SQLite file; its answers are tested in tests.integration."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import StoreSettings, read_statement
from mailroute.tables.sql_url import SqliteTarget
from mailroute.tables.sqlite_store import SqliteStore
from tests.tables.idle_reactor import IdleReactor


class CheckTests(SynchronousTestCase):
    """The check before the reactor runs."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()

    def check(self, statement: str, *first: str, writable: bool = True) -> str | None:
        """Try a statement behind others."""
        store = SqliteStore(
            SqliteTarget(str(self.path)), StoreSettings(writable=writable), IdleReactor()
        )
        read = {text: read_statement(text, "init", Dialect.SQLITE) for text in first}
        return store.check({"lookup": read_statement(statement, "lookup", Dialect.SQLITE)}, read)

    def test_missing(self) -> None:
        """A missing file is no complaint, and is not made, unless something makes its tables."""
        for writable in (False, True):
            self.assertIn(str(self.path), self.check("SELECT 1", writable=writable) or "")
            self.assertFalse(self.path.exists())
        self.assertIsNone(self.check("SELECT a FROM t", "CREATE TABLE t (a)"))
        self.assertEqual(os.stat(self.path).st_mode & 0o007, 0)

    def test_refused(self) -> None:
        """Bad SQL is a complaint with its place, also in what comes first."""
        error = self.assertRaises(ConfigurationError, self.check, "SELECT a FROM t", "SELECT 1")
        self.assertTrue(str(error).startswith("lookup: "), str(error))
        error = self.assertRaises(ConfigurationError, self.check, "SELECT 1", "CREATE TABL t")
        self.assertTrue(str(error).startswith("CREATE TABL t: "), str(error))

    def test_read_only(self) -> None:
        """A store for lookups cannot write, be it by its first statements."""
        sqlite3.connect(self.path).close()
        fault = self.check("SELECT 1", "CREATE TABLE t (a)", writable=False)
        self.assertIn("readonly", fault or "")
