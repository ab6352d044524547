"""How an SQLite file is opened, and when it is opened anew."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.sqlite_file import SqliteFile, end_in_time, refuses

ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


class FileTests(SynchronousTestCase):
    """A file with one table."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()).absolute()
        self.make(self.path)

    def make(self, path: Path) -> None:
        connection = sqlite3.connect(path)
        connection.execute("CREATE TABLE t (a)")
        connection.close()

    def open(self, writable: bool = False) -> Any:
        """A connection as a pool opens it."""
        driver = SqliteFile(str(self.path), writable).driver(0.0)
        connection = sqlite3.connect(**driver.arguments)
        self.addCleanup(connection.close)
        driver.opened(connection)
        self.usable = driver.usable
        return connection

    def test_missing(self) -> None:
        """A missing file is not made, not even by whoever may write."""
        self.path.unlink()
        for writable in (False, True):
            self.assertRaises(sqlite3.OperationalError, self.open, writable)
            self.assertFalse(self.path.exists())

    def test_rights(self) -> None:
        """Lookups cannot write."""
        words = "INSERT INTO t VALUES (1)"
        error = self.assertRaises(sqlite3.OperationalError, self.open().execute, words)
        self.assertIn("readonly", str(error))
        self.open(writable=True).execute(words)

    def test_replaced(self) -> None:
        """A file in the place of the one that is open is another one; a missing one is a fault."""
        connection = self.open()
        self.assertTrue(self.usable(connection))
        other = Path(self.mktemp()).absolute()
        self.make(other)
        other.replace(self.path)
        self.assertFalse(self.usable(connection))
        self.assertTrue(self.usable(self.open()))
        self.path.unlink()
        failed = self.assertRaises(LookupFailed, self.usable, connection)
        self.assertIn(str(self.path), failed.reason)

    def test_deadline(self) -> None:
        """A query ends behind its time, and the next one has its own."""
        connection = self.open()
        end_in_time(connection, time.monotonic() - 1)
        self.assertRaises(sqlite3.OperationalError, connection.execute, ENDLESS)
        end_in_time(connection, time.monotonic() + 60)
        self.assertEqual(connection.execute("SELECT 1").fetchall(), [(1,)])

    def test_refuses(self) -> None:
        """An error is about the statement, or about the file."""
        connection = self.open()
        refused = self.assertRaises(sqlite3.Error, connection.execute, "SELEC 1")
        self.assertTrue(refuses(refused))
        numbers = self.assertRaises(sqlite3.Error, connection.execute, "SELECT ?", ())
        self.assertTrue(refuses(numbers))
        writer = self.open(writable=True)
        writer.execute("BEGIN EXCLUSIVE")
        locked = self.assertRaises(sqlite3.Error, connection.execute, "SELECT * FROM t")
        self.assertFalse(refuses(locked))
