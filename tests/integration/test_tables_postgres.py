"""Lookups in a real PostgreSQL server."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables import postgres
from mailroute.tables.contract import Key, Row
from mailroute.tables.postgres import PostgresTable
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import CHECK_SECONDS, SqlSettings
from tests.integration.certificates import Authority
from tests.integration.postgresql import PostgresServer, shared_server
from tests.tables.contract_tests import ALICE, BOB, TableContract

QUERY = "SELECT destination FROM routes WHERE identifier = $1"
SETUP = (
    "DROP TABLE IF EXISTS routes, gone",
    "CREATE TABLE routes (identifier TEXT PRIMARY KEY, destination TEXT)",
    f"INSERT INTO routes VALUES ('{ALICE}', 'east')",
)
RECOVERY_SECONDS = 30


class PostgresCase(TestCase):
    """The shared server with a fresh table ``routes``."""

    timeout = 120

    def setUp(self) -> None:
        """Start the server, once, and fill the table."""
        self.server: PostgresServer = shared_server()
        self.server.execute(*SETUP)
        # What a check says is not about how fast the server is today.
        self.patch(postgres, "CHECK_SECONDS", RECOVERY_SECONDS)

    def make(self, **settings: Any) -> PostgresTable:
        """A table that is closed at the end of the test."""
        given = {"url": self.server.url(), "query": QUERY, "lookup_timeout": 20.0, **settings}
        table = make_sql_table(SqlSettings(**given), reactor)
        assert isinstance(table, PostgresTable)
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def fails(self, table: PostgresTable, identifier: str = ALICE) -> str:
        """Expect a failed lookup; return its reason."""
        try:
            row = await table.lookup(Key(identifier))
        except LookupFailed as failed:
            return failed.reason
        raise self.failureException(f"answered {row}")

    async def recovers(self, table: PostgresTable) -> None:
        """Ask until there is an answer."""
        give_up = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
                return
            except LookupFailed:
                if time.monotonic() > give_up:
                    raise
                await self.pause(0.1)

    async def pause(self, seconds: float) -> None:
        """Let the reactor run."""
        await deferLater(reactor, seconds, lambda: None)

    async def within_time(self, seconds: float, action: Callable[[], Awaitable[Any]]) -> Any:
        """Run and fail if it blocks: generous, since the machine is noisy."""
        began = time.monotonic()
        result = await action()
        self.assertLess(time.monotonic() - began, seconds + 5)
        return result


class PostgresContractTests(TableContract, PostgresCase):
    """PostgreSQL keeps the contract."""

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write with a connection of our own while the table is open."""
        writer = self.server.connect()
        with writer.cursor() as cursor:
            cursor.execute("DELETE FROM routes")
            cursor.executemany("INSERT INTO routes VALUES (%s, %s)", list(rows.items()))
        writer.close()
        if not hasattr(self, "table"):
            self.table = self.make()
            await self.table.start()

    async def damage(self) -> None:
        """SQL that was good turns bad."""
        self.server.execute("ALTER TABLE routes RENAME TO gone")

    async def mend(self) -> None:
        """Undo it."""
        self.server.execute("ALTER TABLE gone RENAME TO routes")

    async def stall(self) -> None:
        """Somebody holds an exclusive lock."""
        self.table = self.make(lookup_timeout=0.4)
        locker = self.server.connect()
        self.addCleanup(locker.close)
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE routes IN ACCESS EXCLUSIVE MODE")


class PostgresTests(PostgresCase):
    """What is PostgreSQL's own."""

    async def test_restart(self) -> None:
        """Stopped: failures. Started again: the table recovers by itself, without noise."""
        table = self.make(pool_size=3)
        rows = [Deferred.fromCoroutine(table.lookup(Key(ALICE))) for _ in range(3)]
        await gatherResults(rows)
        self.assertEqual(table.connections, 3)
        self.server.stop()
        try:
            await self.within_time(20, lambda: self.fails(table))
            self.assertEqual(table.connections, 0)
        finally:
            self.server.start()
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_restart_between_lookups(self) -> None:
        """A restart that nobody noticed costs no lookup."""
        table = self.make(pool_size=2)
        await table.lookup(Key(ALICE))
        self.server.stop()
        self.server.start()
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_cut_connections(self) -> None:
        """Connections cut by the administrator are replaced, idle ones without a log entry."""
        table = self.make(pool_size=2)
        await table.lookup(Key(ALICE))
        cut = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'mailroute'"
        )
        self.server.execute(cut)
        # The server has told its processes to end, and they do so when they come to it.
        give_up = time.monotonic() + RECOVERY_SECONDS
        while table.connections:
            self.assertLess(time.monotonic(), give_up)
            await self.pause(0.05)
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_started_without_server(self) -> None:
        """A table whose server is down at the start serves failures until it is up."""
        self.server.stop()
        try:
            table = self.make()
            self.assertIn("cannot be asked", table.check()[0])
            await table.start()
            self.assertIn("refused", await self.fails(table))
        finally:
            self.server.start()
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_hung_server(self) -> None:
        """A server that hangs: failures in time, bounded connections, recovery, no blocking."""
        table = self.make(pool_size=2, lookup_timeout=1.0)
        # So short a time may pass before a good answer, too.
        await self.recovers(table)
        self.server.suspend()
        try:
            for _ in range(2):
                asked = [Deferred.fromCoroutine(self.fails(table)) for _ in range(10)]
                self.assertLessEqual(table.connections, 2)
                reasons = await self.within_time(1, partial(gatherResults, asked))
                self.assertEqual(len(reasons), 10)
                self.assertEqual(table.connections, 0)
        finally:
            self.server.resume()
        await self.recovers(table)

    async def test_close_while_hung(self) -> None:
        """Closing does not wait for a server that hangs; whoever waits is told."""
        table = self.make(pool_size=1, lookup_timeout=20.0)
        await table.lookup(Key(ALICE))
        self.server.suspend()
        try:
            waiting = [Deferred.fromCoroutine(self.fails(table)) for _ in range(3)]
            await self.within_time(3, table.close)
            reasons = await gatherResults(waiting)
            self.assertTrue(all("closed" in reason or "lost" in reason for reason in reasons))
            self.assertEqual(table.connections, 0)
        finally:
            self.server.resume()

    async def test_cancelled_lookup(self) -> None:
        """A lookup that is cancelled under way closes its connection and frees its slot."""
        table = self.make(pool_size=1, query="SELECT pg_sleep(15) WHERE $1 <> ''")
        asked = Deferred.fromCoroutine(table.lookup(Key(ALICE)))
        while not self.server.execute(
            "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep(15)%'"
        ):
            await self.pause(0.05)
        asked.addErrback(lambda _: None)
        await self.within_time(1, lambda: _cancelled(asked))
        self.assertEqual(table.connections, 0)
        table.statement = self.make().statement
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_statement_timeout(self) -> None:
        """The server ends a query that nobody waits for any more."""
        table = self.make(lookup_timeout=0.5, query="SELECT pg_sleep(60) WHERE $1 <> ''")
        await self.fails(table)
        give_up = time.monotonic() + RECOVERY_SECONDS
        while self.server.execute(
            "SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(60)%'"
            " AND pid <> pg_backend_pid()"
        ):
            self.assertLess(time.monotonic(), give_up)
            await self.pause(0.1)

    async def test_error_keeps_connection(self) -> None:
        """An error of the query, a lock time-out for one, says nothing about the connection."""
        query = "SELECT 'east' FROM pg_sleep(0) WHERE $1::int > 0"
        table = self.make(query=query)
        for _ in range(3):
            self.assertIn("integer", await self.fails(table))
            self.assertEqual(table.connections, 1)
        self.assertEqual(await table.lookup(Key("7")), Row("east"))
        locked = self.make(url=self.server.url(options="-c lock_timeout=50ms"))
        self.assertEqual(await locked.lookup(Key(ALICE)), Row("east"))
        locker = self.server.connect()
        self.addCleanup(locker.close)
        locker.autocommit = False
        locker.cursor().execute("LOCK TABLE routes IN ACCESS EXCLUSIVE MODE")
        self.assertIn("lock timeout", await self.fails(locked))
        self.assertEqual(locked.connections, 1)

    async def test_standard_conforming_strings_off(self) -> None:
        """The role's setting does not change how the query and its values are read."""
        self.server.execute(
            "DROP ROLE IF EXISTS oldstyle",
            "CREATE ROLE oldstyle LOGIN",
            "GRANT SELECT ON routes TO oldstyle",
            "ALTER ROLE oldstyle SET standard_conforming_strings = off",
        )
        url = self.server.url().replace("postgres:secret@", "oldstyle@")
        query = r"SELECT destination FROM routes WHERE identifier = $1 AND '\' <> '?$1'"
        table = self.make(url=url, query=query)
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        self.assertIsNone(await table.lookup(Key("\\' OR 1=1 -- ")))
        self.server.execute(r"INSERT INTO routes VALUES ('a\b', 'west')")
        self.assertEqual(await table.lookup(Key("a\\b")), Row("west"))

    async def test_lexer_agrees_with_the_server(self) -> None:
        """What is text for the lexer is text for the server: one placeholder in all of this."""
        query = r"""
            SELECT E'it\'s $1 ?' AS "a $1 ""b?", $x$ ? $1 ' $$ $x$ AS c, 100 % 7 AS "%s",
                   '{"k": 1}'::jsonb ? 'k' AS d, (ARRAY[1,2,3])[1:2] AS e, /* ? /* $1 */ ' */
                   U&'\0061' AS f, E'a' -- it's
                   '\'?' AS g, '%' AS host
              FROM routes WHERE identifier = $1 -- ?'"""
        table = self.make(query=query)
        self.assertEqual(table.check(), [])
        row = await table.lookup(Key(ALICE))
        self.assertEqual(row, Row("it's $1 ?", {"host": "%"}))

    async def test_latin1_database(self) -> None:
        """A database in LATIN1: names in its signs are found, others are a failure."""
        self.server.execute(
            "DROP DATABASE IF EXISTS latin",
            "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0",
            database="postgres",
        )
        self.server.execute(
            *SETUP, "INSERT INTO routes VALUES ('ål@example.org', 'øst')", database="latin"
        )
        table = self.make(url=self.server.url("latin"))
        self.assertEqual(await table.lookup(Key("ål@example.org")), Row("øst"))
        self.assertIsNone(await table.lookup(Key("ål'@example.org")))
        self.assertIn("LATIN1", await self.fails(table, "€@example.org"))
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_sql_ascii_database(self) -> None:
        """Text that is no UTF-8 is a failure, and the connection goes on."""
        self.server.execute(
            "DROP DATABASE IF EXISTS bytes",
            "CREATE DATABASE bytes ENCODING 'SQL_ASCII' LOCALE 'C' TEMPLATE template0",
            database="postgres",
        )
        self.server.execute(
            *SETUP, f"INSERT INTO routes VALUES ('{BOB}', E'\\xff')", database="bytes"
        )
        table = self.make(url=self.server.url("bytes"))
        await self.fails(table, BOB)
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_several_rows(self) -> None:
        """The first row counts, and the next question is answered as well."""
        self.server.execute(
            "DELETE FROM routes", "INSERT INTO routes VALUES ('a', 'legacy'), ('b', 'new')"
        )
        query = "SELECT destination FROM routes WHERE identifier <> $1 ORDER BY destination DESC"
        table = self.make(query=query)
        await table.start()
        for _ in range(2):
            self.assertEqual(await table.lookup(Key(ALICE)), Row("new"))

    async def test_collation(self) -> None:
        """Identifiers are compared exactly: case, accents and blanks count."""
        table = self.make()
        for other in (ALICE.upper(), ALICE.replace("e", "é"), f"{ALICE} "):
            self.assertIsNone(await table.lookup(Key(other)))

    async def test_several_hosts(self) -> None:
        """The next host is asked when one does not answer; names are resolved by the reactor."""
        port = self.server.port
        url = f"postgres://postgres@127.0.0.1:1,localhost:{port}/mailroute?sslmode=disable"
        table = self.make(url=url)
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        url = "postgres://postgres@nowhere.invalid/mailroute"
        self.assertIn("nowhere.invalid", await self.fails(self.make(url=url)))

    async def test_socket(self) -> None:
        """A Unix socket's folder is a host."""
        host = quote(str(self.server.folder), safe="")
        table = self.make(url=f"postgres://postgres@{host}:{self.server.port}/mailroute")
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_tls(self) -> None:
        """TLS with a verified name."""
        query = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid() AND $1 <> ''"
        options = {"sslmode": "verify-full", "sslrootcert": str(self.server.folder / "ca.pem")}
        url = self.server.url(**options)
        for good in (url, url.replace("127.0.0.1", "localhost")):
            table = self.make(url=good, query=query)
            self.assertEqual(table.check(), [])
            self.assertEqual(await table.lookup(Key(ALICE)), Row("true"))

    async def test_tls_untrusted(self) -> None:
        """A certificate of an unknown authority is a failure."""
        folder = Path(self.mktemp())
        folder.mkdir()
        options = {"sslmode": "verify-ca", "sslrootcert": str(Authority(folder).ca_file)}
        table = self.make(url=self.server.url(**options))
        self.assertIn("cannot be asked", table.check()[0])
        self.assertIn("certificate", await self.fails(table))

    async def test_tls_wrong_name(self) -> None:
        """The name is checked although the address is given to libpq beside it."""
        options = {"sslmode": "verify-full", "sslrootcert": str(self.server.folder / "ca.pem")}
        url = self.server.url(hostaddr="127.0.0.1", **options)
        table = self.make(url=url.replace("127.0.0.1:", "other.example:"))
        self.assertIn("other.example", await self.fails(table))

    def test_check(self) -> None:
        """Bad SQL is a complaint with the driver's words; what only PREPARE cannot tell is not."""
        for bad in (
            "SELEC destination FROM routes WHERE identifier = $1",
            "SELECT destination FROM nowhere WHERE identifier = $1",
            "SELECT nothing FROM routes WHERE identifier = $1",
            "SELECT destination FROM nowhere.routes WHERE identifier = $1",
            "SELECT destination FROM routes WHERE identifier = no_function($1)",
        ):
            error = self.assertRaises(ConfigurationError, self.make(query=bad).check)
            self.assertIn("mapping.sql.query", str(error))
            self.assertNotIn("secret", str(error))
        for fine in (
            QUERY,
            "SELECT destination FROM routes WHERE identifier = ? AND identifier LIKE '%'",
            "SELECT 'east' WHERE $1 IS NOT NULL",
            "SELECT 'east' WHERE $1 = 7",
        ):
            self.assertEqual(self.make(query=fine).check(), [], fine)
        self.assertIn("no placeholder", self.make(query="SELECT '$1'").check()[0])

    def test_check_of_denied_login(self) -> None:
        """A server that does not let us in is out of reach: a warning."""
        url = self.server.url().replace("postgres:secret@", "nobody:secret@")
        warning = self.make(url=url).check()[0]
        self.assertIn("nobody", warning)
        self.assertNotIn("secret", warning)

    async def test_check_of_hung_server(self) -> None:
        """A server that hangs holds up the start for a short time only."""
        self.patch(postgres, "CHECK_SECONDS", CHECK_SECONDS)
        table = self.make()
        self.server.suspend()
        try:
            began = time.monotonic()
            self.assertIn("cannot be asked", table.check()[0])
            self.assertLess(time.monotonic() - began, 30)
        finally:
            self.server.resume()


async def _cancelled(deferred: Deferred[Any]) -> None:
    deferred.cancel()
