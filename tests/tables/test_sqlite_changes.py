"""Changes of an SQLite file, seen by a connection that reads it."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.sqlite_changes import LOOK_SECONDS, SqliteChanges
from mailroute.tables.sqlite_file import FileConnection, SqliteFile


class _Pool:
    """One connection, whose work is done at once; or ``held`` until the test says so."""

    def __init__(self, path: str) -> None:
        self._file = SqliteFile(path)
        self.fault: Exception | None = None
        self.held: Deferred[None] | None = None
        self.open()

    def open(self) -> None:
        self.connection = sqlite3.connect(**self._file.arguments(0))

    async def run(self, work: Callable[[FileConnection, float], Any], until: float) -> Any:
        if self.held is not None:
            await self.held
        if self.fault is not None:
            raise self.fault
        return work(cast(FileConnection, self.connection), time.monotonic() + 60)


class ChangesTests(SynchronousTestCase):
    """Whoever remembers what a file said is told."""

    def setUp(self) -> None:
        path = self.mktemp()
        self.writer = sqlite3.connect(path, isolation_level=None)
        self.addCleanup(self.writer.close)
        self.writer.execute("CREATE TABLE t (a)")
        self.clock = Clock()
        self.pool = _Pool(str(Path(path).absolute()))
        self.told = 0
        self.changes = SqliteChanges(cast(BlockingPool, self.pool), self.clock)

    def start(self) -> None:
        """Begin; before the first look anything may have happened."""
        self.pool.open()
        self.changes.watch(self.tell)
        self.changes.start()
        self.assertEqual(self.passed(0), 1)

    def tell(self) -> None:
        self.told += 1

    def passed(self, seconds: float = LOOK_SECONDS) -> int:
        """Let time pass; how often a change was told meanwhile."""
        self.told = 0
        self.clock.advance(seconds)
        return self.told

    def test_other_connections(self) -> None:
        """What another program commits is told once; what it has only begun is not."""
        for mode in ("DELETE", "WAL"):
            self.writer.execute(f"PRAGMA journal_mode = {mode}")
            self.start()
            self.assertEqual(self.passed(), 0)
            self.writer.execute("BEGIN")
            self.writer.execute("INSERT INTO t VALUES (1)")
            self.assertEqual(self.passed(), 0, mode)
            self.writer.execute("COMMIT")
            self.assertEqual((self.passed(), self.passed()), (1, 0), mode)
            self.pool.connection.execute("SELECT * FROM t").fetchall()
            self.assertEqual(self.passed(), 0, mode)
            self.changes.stop()

    def test_new_connection(self) -> None:
        """It may have missed some: the file was replaced, or could not be read for a while."""
        self.start()
        self.pool.open()
        self.assertEqual((self.passed(), self.passed()), (1, 0))

    def test_not_now(self) -> None:
        """A file that cannot be asked changes nothing; it is looked at again."""
        self.start()
        for fault in (LookupFailed("gone"), sqlite3.OperationalError("database is locked")):
            self.pool.fault = fault
            self.assertEqual((self.passed(), self.passed()), (0, 0))
        self.writer.execute("INSERT INTO t VALUES (1)")
        self.pool.fault = None
        self.assertEqual((self.passed(), self.passed()), (1, 0))

    def test_defect(self) -> None:
        """A defect of ours is logged, and ends no look but this one."""
        self.start()
        self.pool.fault = ZeroDivisionError()
        self.assertEqual(self.passed(), 0)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.pool.fault = None
        self.writer.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(self.passed(), 1)

    def test_nobody(self) -> None:
        """Nobody wants to know: nobody looks."""
        self.changes.start()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.changes.stop()

    def test_stopped(self) -> None:
        """Also with a look under way."""
        self.start()
        self.changes.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.start()
        self.pool.held = Deferred()
        self.writer.execute("INSERT INTO t VALUES (1)")
        self.assertEqual(self.passed(), 0)
        self.changes.stop()
        self.pool.held.callback(None)
        self.assertEqual(self.told, 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
