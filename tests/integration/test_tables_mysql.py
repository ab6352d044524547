"""Lookups in a real MariaDB server."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any
from urllib.parse import quote

import pymysql
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables import mysql
from mailroute.tables.contract import Key, Row
from mailroute.tables.mysql import MysqlTable
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import CHECK_SECONDS, SqlSettings
from tests.integration.mariadb import MariadbServer, shared_server
from tests.tables.contract_tests import ALICE, BOB, TableContract

QUERY = "SELECT destination FROM routes WHERE identifier = ?"
SETUP = (
    "DROP TABLE IF EXISTS routes, gone",
    "CREATE TABLE routes"
    " (identifier VARCHAR(200) COLLATE utf8mb4_nopad_bin, destination VARCHAR(200))",
    f"INSERT INTO routes VALUES ('{ALICE}', 'east')",
)
RECOVERY_SECONDS = 30
PATIENCE_SECONDS = 60
NOISE_SECONDS = 15
"""For which a noisy machine may stand still."""


class MysqlCase(TestCase):
    """The shared server with a fresh table ``routes``."""

    timeout = 120

    def setUp(self) -> None:
        """Start the server, once, and fill the table."""
        self.server: MariadbServer = shared_server()
        self.server.execute(*SETUP)
        self.threads = threading.active_count()
        # A check gives up after three seconds, which may pass on a machine that stands still.
        self.patch(mysql, "CHECK_SECONDS", PATIENCE_SECONDS)

    async def serve(self, **settings: Any) -> MysqlTable:
        """A started table that is closed at the end of the test."""
        table = self.make(**settings)
        await table.start()
        return table

    def make(self, **settings: Any) -> MysqlTable:
        """A table that is closed at the end of the test."""
        given = {"url": self.server.url(), "query": QUERY, "lookup_timeout": 20.0, **settings}
        table = make_sql_table(SqlSettings(**given), reactor)
        assert isinstance(table, MysqlTable)
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def fails(self, table: MysqlTable, identifier: str = ALICE) -> str:
        """Expect a failed lookup; return its reason."""
        try:
            row = await table.lookup(Key(identifier))
        except LookupFailed as failed:
            return failed.reason
        raise self.failureException(f"answered {row}")

    async def recovers(self, table: MysqlTable) -> None:
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
        """Run and fail if it blocks."""
        began = time.monotonic()
        result = await action()
        self.assertLess(time.monotonic() - began, seconds + NOISE_SECONDS)
        return result


class MysqlContractTests(TableContract, MysqlCase):
    """MariaDB keeps the contract."""

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write with a connection of our own while the table is open."""
        writer = self.server.connect()
        with writer.cursor() as cursor:
            cursor.execute("DELETE FROM routes")
            cursor.executemany("INSERT INTO routes VALUES (%s, %s)", list(rows.items()))
        writer.close()
        if not hasattr(self, "table"):
            self.table = await self.serve()

    async def damage(self) -> None:
        """SQL that was good turns bad."""
        self.server.execute("RENAME TABLE routes TO gone")

    async def mend(self) -> None:
        """Undo it."""
        self.server.execute("RENAME TABLE gone TO routes")

    async def stall(self) -> None:
        """Somebody holds a table lock."""
        self.table = await self.serve(lookup_timeout=0.4)
        locker = self.server.connect()
        self.addCleanup(locker.close)
        locker.cursor().execute("LOCK TABLES routes WRITE")


class NoBackslashContractTests(MysqlContractTests):
    """The contract, injections above all, on a server in NO_BACKSLASH_ESCAPES mode."""

    def setUp(self) -> None:
        """Set the mode of all new sessions, as an administrator would."""
        super().setUp()
        self.server.execute("SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES')")
        mode = "SET GLOBAL sql_mode = REPLACE(@@global.sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
        self.addCleanup(self.server.execute, mode)

    async def test_query_with_backslash(self) -> None:
        """A backslash in the query escapes in every mode of the server, as the lexer takes it."""
        query = r"SELECT 'it\'s ?' FROM routes WHERE identifier = ? AND '\\' = ':key' IS FALSE"
        table = await self.serve(query=query)
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("it's ?"))


class MysqlTests(MysqlCase):
    """What is MySQL's own."""

    async def test_restart(self) -> None:
        """Stopped: failures. Started again: the first lookup of each connection is answered."""
        table = await self.serve(pool_size=3)
        rows = [Deferred.fromCoroutine(table.lookup(Key(ALICE))) for _ in range(9)]
        await gatherResults(rows)
        self.server.stop()
        try:
            self.assertIn("refused", await self.within_time(20, lambda: self.fails(table)))
        finally:
            self.server.start()
        rows = [Deferred.fromCoroutine(table.lookup(Key(ALICE))) for _ in range(9)]
        self.assertEqual(await gatherResults(rows), [Row("east")] * 9)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_cut_connections(self) -> None:
        """A connection that the server cut while idle costs no lookup and no log entry."""
        table = await self.serve(pool_size=1)
        await table.lookup(Key(ALICE))
        clients = "SELECT id FROM information_schema.processlist WHERE user = 'mailroute'"
        for (number,) in self.server.execute(clients):
            # One of an earlier test may have ended meanwhile.
            with contextlib.suppress(pymysql.OperationalError):
                self.server.execute(f"KILL {number}")
        while self.server.execute(clients):
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
        """A server that hangs: failures in time, bounded threads, recovery."""
        table = await self.serve(pool_size=2, lookup_timeout=1.0)
        await self.recovers(table)
        self.server.suspend()
        try:
            for _ in range(3):
                # One pair after the other would take twenty seconds.
                asked = [Deferred.fromCoroutine(self.fails(table)) for _ in range(40)]
                reasons = await self.within_time(1, partial(gatherResults, asked))
                self.assertEqual(len(reasons), 40)
                self.assertLessEqual(table.busy, 2)
                self.assertLessEqual(threading.active_count(), self.threads + 2)
        finally:
            self.server.resume()
        await self.recovers(table)
        self.assertEqual(self.flushLoggedErrors(), [])

    async def test_close_while_hung(self) -> None:
        """Closing does not wait for a thread that hangs; whoever waits is told."""
        table = await self.serve(pool_size=1, lookup_timeout=20.0)
        await table.lookup(Key(ALICE))
        self.server.suspend()
        try:
            waiting = [Deferred.fromCoroutine(self.fails(table)) for _ in range(3)]
            await self.within_time(3, table.close)
            self.assertTrue(waiting[1].called)
            self.assertTrue(waiting[2].called)
        finally:
            self.server.resume()
        await waiting[0].addErrback(lambda _: None)
        while threading.active_count() > self.threads:
            await self.pause(0.05)

    async def test_thread_comes_back(self) -> None:
        """A thread abandoned to a slow query is used again when the server ends the query."""
        table = await self.serve(
            pool_size=1, lookup_timeout=0.5, query="SELECT SLEEP(60) + (? = '')"
        )
        await self.fails(table)
        give_up = time.monotonic() + RECOVERY_SECONDS
        while table.busy:
            self.assertLess(time.monotonic(), give_up)
            await self.pause(0.05)
        sleeping = "SELECT 1 FROM information_schema.processlist WHERE info LIKE 'SELECT SLEEP%'"
        while self.server.execute(sleeping):
            self.assertLess(time.monotonic(), give_up)
            await self.pause(0.05)

    async def test_session(self) -> None:
        """The server itself ends a query that nobody waits for any more."""
        table = await self.serve(query="SELECT @@max_statement_time * 1000 WHERE ? <> ''")
        self.assertEqual(await table.lookup(Key(ALICE)), Row("20000"))

    async def test_no_stale_snapshot(self) -> None:
        """Each lookup sees what was committed before it, also where sessions start otherwise."""
        self.server.execute("SET GLOBAL autocommit = 0")
        self.addCleanup(self.server.execute, "SET GLOBAL autocommit = 1")
        table = await self.serve(pool_size=1)
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        self.server.execute("UPDATE routes SET destination = 'west'")
        self.assertEqual(await table.lookup(Key(ALICE)), Row("west"))

    async def test_names_of_every_plane(self) -> None:
        """Four-byte UTF-8 is found again, in keys and in values."""
        self.server.execute("INSERT INTO routes VALUES ('\U0001f418@ål.example', '\U0001f30d')")
        table = await self.serve()
        self.assertEqual(await table.lookup(Key("\U0001f418@ål.example")), Row("\U0001f30d"))
        self.assertIsNone(await table.lookup(Key("?@ål.example")))

    async def test_several_rows(self) -> None:
        """The first row counts, and the next question is answered as well."""
        self.server.execute(
            "DELETE FROM routes", "INSERT INTO routes VALUES ('a', 'legacy'), ('b', 'new')"
        )
        query = "SELECT destination FROM routes WHERE identifier <> ? ORDER BY destination DESC"
        table = await self.serve(query=query)
        for _ in range(2):
            self.assertEqual(await table.lookup(Key(ALICE)), Row("new"))

    async def test_collation(self) -> None:
        """The server's default collation ignores case, accents and trailing blanks.

        ``utf8mb4_bin`` ignores trailing blanks still, ``utf8mb4_nopad_bin`` compares exactly.
        """
        case, accent, blank = ALICE.upper(), ALICE.replace("e", "é"), f"{ALICE} "
        table = await self.serve()
        for collation, equal in (
            ("utf8mb4_nopad_bin", ()),
            ("utf8mb4_bin", (blank,)),
            ("utf8mb4_general_ci", (case, accent, blank)),
        ):
            self.server.execute(
                f"ALTER TABLE routes MODIFY identifier VARCHAR(200) COLLATE {collation}"
            )
            for other in (case, accent, blank):
                expected = Row("east") if other in equal else None
                self.assertEqual(await table.lookup(Key(other)), expected, (collation, other))

    async def test_latin1_table(self) -> None:
        """A column in latin1: names in its signs are found, others are a failure."""
        self.server.execute(
            "DROP TABLE routes",
            "CREATE TABLE routes (identifier VARCHAR(200), destination VARCHAR(200))"
            " CHARACTER SET latin1",
            "INSERT INTO routes VALUES ('ål@example.org', 'øst')",
        )
        table = await self.serve()
        self.assertEqual(await table.lookup(Key("ål@example.org")), Row("øst"))
        self.assertIn("collations", await self.fails(table, "\U0001f418@example.org"))

    async def test_bytes(self) -> None:
        """A binary column is UTF-8 or a failure."""
        self.server.execute(
            "ALTER TABLE routes MODIFY destination VARBINARY(200)",
            f"INSERT INTO routes VALUES ('{BOB}', x'ff')",
        )
        table = await self.serve()
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))
        self.assertIn("UTF-8", await self.fails(table, BOB))
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_lexer_agrees_with_the_server(self) -> None:
        """What is text for the lexer is text for the server: one placeholder in all of this."""
        query = r"""
            SELECT 'it\'s ? ''?' AS `a ? ``b`, "say \"?\" ""?" AS "c", 5--1 AS d, /* ? ' */
                   @a := 3 AS e, 100 % 7 AS f, '%' AS host -- it's ?
              FROM routes # ' ?
             WHERE identifier = :key"""
        table = await self.serve(query=query)
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("it's ? '?", {"host": "%"}))

    async def test_ansi_quotes(self) -> None:
        """A query that ANSI_QUOTES would read differently is refused on such a server."""
        self.server.execute("SET GLOBAL sql_mode = CONCAT(@@sql_mode, ',ANSI_QUOTES')")
        mode = "SET GLOBAL sql_mode = REPLACE(@@global.sql_mode, 'ANSI_QUOTES', '')"
        self.addCleanup(self.server.execute, mode)
        names = await self.serve(query='SELECT "destination" FROM routes WHERE "identifier" = ?')
        self.assertEqual(names.check(), [])
        self.assertEqual(await names.lookup(Key(ALICE)), Row("east"))
        table = await self.serve(query=r'SELECT "a\"b" FROM routes WHERE identifier = ?')
        error = self.assertRaises(ConfigurationError, table.check)
        self.assertIn("ANSI_QUOTES", str(error))
        self.assertIn("ANSI_QUOTES", await self.fails(table))

    async def test_socket(self) -> None:
        """A Unix socket."""
        socket = quote(self.server.socket)
        url = f"mysql://mailroute:p%C3%A4ss%40@localhost/mailroute?socket={socket}"
        table = await self.serve(url=url)
        self.assertEqual(table.check(), [])
        self.assertEqual(await table.lookup(Key(ALICE)), Row("east"))

    async def test_tls(self) -> None:
        """TLS unverified and verified."""
        query = (
            "SELECT IF(variable_value = '', 'clear', 'encrypted') FROM"
            " information_schema.session_status WHERE variable_name = 'Ssl_cipher' AND ? <> ''"
        )
        ca = str(self.server.folder / "ca.pem")
        for options, expected in (
            ({"ssl": "disabled"}, "clear"),
            ({"ssl": "required"}, "encrypted"),
            ({"ssl-mode": "VERIFY_CA", "ssl-ca": ca}, "encrypted"),
            ({"ssl": "verify", "ssl_ca": ca}, "encrypted"),
        ):
            url = self.server.url(**options).replace("127.0.0.1", "localhost")
            table = await self.serve(url=url, query=query)
            self.assertEqual(table.check(), [])
            self.assertEqual(await table.lookup(Key(ALICE)), Row(expected), options)

    async def test_tls_untrusted(self) -> None:
        """A wrong authority or name is a failure."""
        url = self.server.url(ssl="verify_ca").replace("127.0.0.1", "localhost")
        unknown = await self.serve(url=url)
        self.assertIn("cannot be asked", unknown.check()[0])
        self.assertIn("certificate", await self.fails(unknown))
        ca = str(self.server.folder / "ca.pem")
        misnamed = await self.serve(url=self.server.url(ssl="verify", ssl_ca=ca))
        self.assertIn("127.0.0.1", misnamed.check()[0])
        self.assertIn("certificate is not valid", await self.fails(misnamed))
        named = await self.serve(url=self.server.url(ssl="verify_ca", ssl_ca=ca))
        self.assertEqual(named.check(), [])

    async def test_no_select(self) -> None:
        """A statement without a result is a failure."""
        table = await self.serve(query="DO ? <> ''")
        self.assertIn("SELECT", await self.fails(table))

    def test_check(self) -> None:
        """Bad SQL is a complaint with the driver's words."""
        for bad in (
            "SELEC destination FROM routes WHERE identifier = ?",
            "SELECT destination FROM nowhere WHERE identifier = ?",
            "SELECT nothing FROM routes WHERE identifier = ?",
            "SELECT destination FROM mysql.user WHERE user = ?",
        ):
            error = self.assertRaises(ConfigurationError, self.make(query=bad).check)
            self.assertIn("mapping.sql.query", str(error))
            self.assertNotIn("päss", str(error))
        fine = "SELECT destination FROM routes WHERE identifier = $1 AND identifier LIKE '%'"
        self.assertEqual(self.make(query=fine).check(), [])
        self.assertIn("no placeholder", self.make(query="SELECT '?'").check()[0])

    def test_check_of_denied_login(self) -> None:
        """A server that does not let us in is out of reach: a warning without the password."""
        warning = self.make(url=self.server.url().replace("p%C3%A4ss", "wrong")).check()[0]
        self.assertIn("Access denied", warning)
        self.assertNotIn("wrong", warning)

    def test_check_of_hung_server(self) -> None:
        """A server that hangs holds up the start for a short time only."""
        table = self.make()
        self.patch(mysql, "CHECK_SECONDS", CHECK_SECONDS)
        self.server.suspend()
        try:
            began = time.monotonic()
            self.assertIn("cannot be asked", table.check()[0])
            self.assertLess(time.monotonic() - began, 30)
        finally:
            self.server.resume()
