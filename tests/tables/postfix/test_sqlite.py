"""SQLite's side: how the query is checked, and that no file is ever made."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.literals import make_query
from mailroute.tables.postfix.sqlite import SqliteServer
from mailroute.tables.postfix.template import parse_template
from mailroute.tables.sql_lexer import Dialect


class CheckTests(SynchronousTestCase):
    """Before the reactor runs.  Lookups are tested with the real engine."""

    def setUp(self) -> None:
        """A database."""
        self.path = self.mktemp()
        with closing(sqlite3.connect(self.path)) as database:
            database.execute("CREATE TABLE t (a, b)")

    def check(self, query: str, path: str | None = None) -> str | None:
        """Check a query."""
        made = make_query(parse_template(query), Dialect.SQLITE)
        return SqliteServer(path or self.path, made, 1.0, Clock()).check()  # type: ignore[arg-type]

    def test_good(self) -> None:
        """A query that can be prepared; nothing is done by it."""
        self.assertIsNone(self.check("SELECT a FROM t WHERE b = '%s' AND a = %u"))

    def test_bad(self) -> None:
        """Other queries are complaints."""
        for query in ("SELECT c FROM t WHERE b = '%s'", "SELECT", "SELECT a FROM gone"):
            complaint = str(self.assertRaises(ConfigurationError, self.check, query))
            self.assertTrue(complaint.startswith("query: "), complaint)

    def test_missing_file(self) -> None:
        """A missing file is a complaint that names it, and stays missing."""
        path = f"{self.path}.no"
        complaint = str(self.assertRaises(ConfigurationError, self.check, "SELECT 1", path))
        self.assertIn(f"dbpath: {path}: unable to open", complaint)
        self.assertFalse(os.path.exists(path))

    def test_locked(self) -> None:
        """A file that another process has for itself is a warning only."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as holder:
            holder.execute("BEGIN EXCLUSIVE")
            self.patch(sqlite3, "connect", _impatient(sqlite3.connect))
            self.assertEqual(self.check("SELECT a FROM t"), "database is locked")


def _impatient(connect):  # type: ignore[no-untyped-def]
    def connected(**arguments):  # type: ignore[no-untyped-def]
        return connect(**{**arguments, "timeout": 0.0})

    return connected
