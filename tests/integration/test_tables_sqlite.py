"""Lookups in real SQLite files."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key, Row
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import SqlSettings, SqlTable
from tests.tables.contract_tests import ALICE, BOB, TableContract

QUERY = "SELECT destination FROM routes WHERE identifier = $1"
SECONDS = 30
"""For what is bound to happen."""
# Endless, and without a read lock that anybody could wait for.
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"


class SqliteCase(TestCase):
    """A folder with a database and a table that asks it."""

    timeout = 60

    def setUp(self) -> None:
        """Make the file."""
        self.folder = Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "routes #1?.sqlite"
        self.execute("CREATE TABLE routes (identifier TEXT PRIMARY KEY, destination TEXT)")

    def execute(self, *statements: str, path: Path | None = None) -> None:
        """Run statements in a connection of its own."""
        connection = sqlite3.connect(path or self.path, isolation_level=None)
        for statement in statements:
            connection.execute(statement)
        connection.close()

    async def serve(self, **settings: Any) -> SqlTable:
        """Start a table on the file; it is closed at the end of the test."""
        url = f"sqlite://{str(self.path).replace('?', '%3F')}"
        given = {"url": url, "query": QUERY, "lookup_timeout": 20.0, **settings}
        table = make_sql_table(SqlSettings(**given), reactor)
        await table.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def fails(self, table: SqlTable, identifier: str = ALICE) -> str:
        """Expect a failed lookup; return its reason."""
        try:
            row = await table.lookup(Key(identifier))
        except LookupFailed as failed:
            return failed.reason
        raise self.failureException(f"answered {row}")


class SqliteContractTests(TableContract, SqliteCase):
    """SQLite keeps the contract."""

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write with a connection of our own while the table is open."""
        writer = sqlite3.connect(self.path)
        with writer:
            writer.execute("DELETE FROM routes")
            writer.executemany("INSERT INTO routes VALUES (?, ?)", rows.items())
        writer.close()
        if not hasattr(self, "table"):
            self.table = await self.serve()

    async def damage(self) -> None:
        """SQL that was good turns bad."""
        self.execute("ALTER TABLE routes RENAME TO gone")

    async def mend(self) -> None:
        """Undo it."""
        self.execute("ALTER TABLE gone RENAME TO routes")

    async def stall(self) -> None:
        """A writer locks the file."""
        self.table = await self.serve(lookup_timeout=0.4)
        writer = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("BEGIN EXCLUSIVE")


class SqliteTests(SqliteCase):
    """What is SQLite's own."""

    async def test_missing_file(self) -> None:
        """A missing file is a failure, not absence, and is not created; it may come later."""
        table = await self.serve()
        self.path.unlink()
        self.assertIn("SQLite file", await self.fails(table))
        self.assertFalse(self.path.exists())
        self.replace("north")
        self.assertEqual(await table.lookup(Key(ALICE)), Row("north"))

    def replace(self, destination: str) -> None:
        """A new file under the old name, moved there whole."""
        new = self.folder / "new"
        self.execute(
            "CREATE TABLE routes (identifier TEXT PRIMARY KEY, destination TEXT)",
            f"INSERT INTO routes VALUES ('{ALICE}', '{destination}')",
            path=new,
        )
        os.replace(new, self.path)

    async def test_replaced_file(self) -> None:
        """A file moved into the place of the open one is noticed by the next lookup."""
        table = await self.serve()
        self.assertIsNone(await table.lookup(Key(ALICE)))
        for destination in ("north", "south"):
            self.replace(destination)
            self.assertEqual(await table.lookup(Key(ALICE)), Row(destination))

    async def test_file_removed_while_open(self) -> None:
        """A file removed under an open connection is a failure: what it said is no news."""
        table = await self.serve()
        self.assertIsNone(await table.lookup(Key(ALICE)))
        self.path.unlink()
        await self.fails(table)

    async def test_writer_beside_readers(self) -> None:
        """In WAL mode a long write holds up no lookup, and shows when it is committed."""
        self.execute("PRAGMA journal_mode = wal")
        table = await self.serve()
        writer = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("BEGIN IMMEDIATE")
        writer.execute("INSERT INTO routes VALUES (?, 'east')", (ALICE,))
        self.assertIsNone(await table.lookup(Key(ALICE)))
        writer.execute("COMMIT")
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_locked_for_a_while(self) -> None:
        """Without WAL a writer holds up a lookup, which waits instead of failing."""
        self.execute(f"INSERT INTO routes VALUES ('{ALICE}', 'east')")
        table = await self.serve()
        writer = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("BEGIN EXCLUSIVE")
        lookup = Deferred.fromCoroutine(table.lookup(Key(ALICE)))
        await deferLater(reactor, 0.3)
        self.assertNoResult(lookup)
        writer.execute("COMMIT")
        self.assertEqual(await lookup, Row("east"))

    async def test_read_only(self) -> None:
        """A query that writes fails and changes nothing."""
        table = await self.serve(
            query="INSERT INTO routes VALUES ($1, 'east') RETURNING destination"
        )
        self.assertIn("readonly", await self.fails(table))
        self.assertIsNone(await (await self.serve()).lookup(Key(ALICE)))

    async def test_endless_query(self) -> None:
        """Queries without an end: answered in time, two threads, which come back."""
        table = await self.serve(query=f"{ENDLESS} WHERE i <> $1", lookup_timeout=0.5)
        before = threading.active_count()
        waiting = [Deferred.fromCoroutine(self.fails(table)) for _ in range(20)]
        reasons = await gatherResults(waiting)
        self.assertEqual(len(reasons), 20)
        self.assertTrue(any("became free" in reason for reason in reasons), reasons)
        self.assertLessEqual(threading.active_count(), before + 2)
        # The threads were not abandoned for good: a later question gets one.
        give_up = time.monotonic() + SECONDS
        while "became free" in await self.fails(table):
            self.assertLess(time.monotonic(), give_up)

    async def test_not_utf8(self) -> None:
        """Bytes that are no UTF-8 are a failure, not a name."""
        self.execute(f"INSERT INTO routes VALUES ('{ALICE}', x'ff41')")
        self.execute(f"INSERT INTO routes VALUES ('{BOB}', CAST(x'ff41' AS TEXT))")
        table = await self.serve()
        self.assertIn("UTF-8", await self.fails(table))
        self.assertIn("UTF-8", await self.fails(table, BOB))

    async def test_several_rows(self) -> None:
        """The first row counts, and the next question is answered as well."""
        self.execute("INSERT INTO routes VALUES ('a', 'legacy'), ('b', 'new')")
        query = "SELECT destination FROM routes WHERE identifier <> ? ORDER BY destination DESC"
        table = await self.serve(query=query)
        for _ in range(2):
            self.assertEqual(await table.lookup(Key(ALICE)), Row("new"))

    async def test_columns_and_types(self) -> None:
        """Integers are decimal text, text is trimmed, NULL is nothing."""
        query = (
            "SELECT 7, ' 993 ' AS port, 5.0 AS TTL, NULL AS host, x'6162' AS username WHERE ?<>''"
        )
        table = await self.serve(query=query)
        row = await table.lookup(Key(ALICE))
        self.assertEqual(row, Row("7", {"port": "993", "ttl": "5", "username": "ab"}))

    async def test_named_parameters_and_templates(self) -> None:
        """Templates are tried in order, the first hit wins, named values reach the query."""
        self.execute("INSERT INTO routes VALUES ('example.org/imap', 'east')")
        self.execute("INSERT INTO routes VALUES ('*/imap', 'west')")
        table = await self.serve(
            query="SELECT destination FROM routes WHERE identifier = :key || '/' || :protocol",
            keys=("{user}", "{domain}", "*"),
        )
        self.assertEqual(table.varies_on, frozenset({"protocol"}))
        self.assertEqual(await table.lookup(Key(ALICE, protocol="imap")), Row("east"))
        self.assertEqual(await table.lookup(Key("bob", protocol="imap")), Row("west"))
        self.assertIsNone(await table.lookup(Key(ALICE, protocol="pop3")))

    async def test_close(self) -> None:
        """Afterwards no thread is left, and a lookup fails."""
        before = set(threading.enumerate())
        table = await self.serve()
        await table.lookup(Key(ALICE))
        # A second one helps out where the first is slow.
        self.assertIn(len(set(threading.enumerate()) - before), (1, 2))
        await table.close()
        # Those that were slow to end were not waited for.
        give_up = time.monotonic() + SECONDS
        while set(threading.enumerate()) - before:
            self.assertLess(time.monotonic(), give_up)
            await deferLater(reactor, 0.05)
        await self.fails(table)

    async def test_no_noise(self) -> None:
        """Failed lookups leave no traceback in the log."""
        table = await self.serve(query="SELECT x FROM nowhere WHERE a = ?")
        await self.fails(table)
        self.assertEqual(self.flushLoggedErrors(), [])


class SqliteCheckTests(SqliteCase):
    """The check at the start, against real files (bad SQL: tests.tables.test_sqlite)."""

    def test_wal_file_without_helpers(self) -> None:
        """A WAL file that nobody has open can be checked and asked."""
        self.execute("PRAGMA journal_mode = wal")
        table = Deferred.fromCoroutine(self.serve())
        return table.addCallback(lambda made: self.assertEqual(made.check(), []))  # type: ignore[return-value]
