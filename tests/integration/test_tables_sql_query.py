"""Tables of statements in the three databases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables import mysql, postgres
from mailroute.tables.mapping_sql import MappingStatements, SqlMappingEntries
from mailroute.tables.sql_query import SqlQueryTable
from mailroute.tables.sql_statements import SqlStatements
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import parse_url
from mailroute.tables.stores import make_store
from mailroute.tables.string_table import Changes, TableSource, Values
from tests.integration import engines
from tests.integration.engines import Engine
from tests.tables.contract_tests import INJECTIONS, TableContract
from tests.tables.hostile_keys import hostile_keys

KEY_COLUMN = {"mysql": "VARCHAR(200) CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin PRIMARY KEY"}
CHANGES = {
    "list": "SELECT k, v FROM query_table ORDER BY k",
    "add": "INSERT INTO query_table (k, v) VALUES (:key, :value)",
    "set": "UPDATE query_table SET v = :value WHERE k = :key",
    "delete": "DELETE FROM query_table WHERE k = :key",
}
PATIENCE_SECONDS = 60


class QueryCase(TestCase):
    """An engine with a table of keys and values."""

    timeout = 120
    engine: Engine

    def setUp(self) -> None:
        """Make the table anew."""
        # A check gives up after three seconds, which may pass on a machine that stands still.
        for engine in (mysql, postgres):
            self.patch(engine, "CHECK_SECONDS", PATIENCE_SECONDS)
        kind = self.engine.url.partition(":")[0]
        column = KEY_COLUMN.get(kind, "VARCHAR(20000) PRIMARY KEY")
        self.engine.execute(
            "DROP TABLE IF EXISTS query_table",
            "DROP TABLE IF EXISTS made_table",
            f"CREATE TABLE query_table (k {column}, v VARCHAR(100), n INTEGER)",
        )

    def make(self, seconds: float = 20.0, **texts: Any) -> SqlQueryTable:
        """A table that is closed at the end of the test."""
        statements = SqlStatements(
            **{"lookup": "SELECT v FROM query_table WHERE k = :key", **texts}
        )
        settings = StoreSettings(4, seconds, statements.writable)
        store = make_store(parse_url(self.engine.url), settings, reactor)
        return SqlQueryTable("table.x", statements, store, reactor, seconds)

    async def serve(self, seconds: float = 20.0, **texts: Any) -> SqlQueryTable:
        """A started table."""
        table = self.make(seconds, **texts)
        await table.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def answers(self, table: SqlQueryTable, answers: Mapping[str, Values | None]) -> None:
        """The table says this of these keys."""
        for key, values in answers.items():
            self.assertEqual(await table.get(key), values, repr(key))

    async def fails(self, table: SqlQueryTable, key: str = "k") -> str:
        """Expect a failed lookup; return its reason."""
        try:
            values = await table.get(key)
        except LookupFailed as failed:
            return failed.reason
        raise self.failureException(f"answered {values!r}")


class QueryTests:
    """A mixin: the documented behaviour, by the drivers themselves."""

    async def test_lookup(self: Any) -> None:
        """Found, absent, empty, a number, NULL, and the forms of placeholders."""
        self.engine.execute(
            "INSERT INTO query_table VALUES ('k', 'x', 5), ('e', '', NULL), ('n', NULL, NULL)"
        )
        for form in (":key", "$1", "?", "?1"):
            table = await self.serve(lookup=f"SELECT v FROM query_table WHERE k = {form}")
            self.assertEqual(table.check(), [])
            await self.answers(table, {"k": ("x",), "e": ("",), "none": None})
            self.assertIn("NULL", await self.fails(table, "n"))
        numbers = await self.serve(lookup="SELECT n FROM query_table WHERE k = :key")
        await self.answers(numbers, {"k": ("5",)})
        columns = await self.serve(lookup="SELECT v, n FROM query_table WHERE k = :key")
        self.assertIn("2 columns", await self.fails(columns))
        await self.answers(columns, {"none": None})

    async def test_rows(self: Any) -> None:
        """Every row is a value, in their order."""
        self.engine.execute("INSERT INTO query_table VALUES ('a', '1', 7), ('b', '2', 7)")
        table = await self.serve(
            lookup="SELECT v FROM query_table WHERE CAST(n AS CHAR(1)) = $1 ORDER BY v"
        )
        await self.answers(table, {"7": ("1", "2"), "8": None})

    async def test_changes(self: Any) -> None:
        """Set adds or replaces, delete tells whether something was there, list lists."""
        table = await self.serve(**CHANGES)
        self.assertEqual(table.check(), [])
        await table.set("k", ("1",))
        await table.set("a", ("2",))
        await self.answers(table, {"k": ("1",), "a": ("2",)})
        await table.set("k", ("3",))
        # The same again: the row is found, though nothing in it changes.
        await table.set("k", ("3",))
        self.assertEqual(await table.list(), [("a", ("2",)), ("k", ("3",))])
        self.assertTrue(await table.delete("k"))
        self.assertFalse(await table.delete("k"))
        await self.answers(table, {"k": None, "a": ("2",)})

    async def test_set_in_vain(self: Any) -> None:
        """A value that does not fit anywhere is a failure, and changes nothing."""
        table = await self.serve(
            **{**CHANGES, "add": "INSERT INTO query_table (k, missing) VALUES (:key, :value)"}
        )
        with self.assertRaises(LookupFailed):
            await table.set("k", ("1",))
        await self.answers(table, {"k": None})

    async def test_bulk(self: Any) -> None:
        """Many entries are one transaction: one that fails undoes the others."""
        add = f"{CHANGES['add']} -- a comment has an end"
        table = await self.serve(**{**CHANGES, "add": add})
        hostile = [(f"{number} {key}"[:200], (key[::-1],)) for number, key in enumerate(INJECTIONS)]
        many = [(f"n{number}", (f"{number}%s",)) for number in range(500)]
        await table.set("k", ("1",))
        await table.write(Changes([*many, *hostile], [("k", ("2",))]))
        await self.answers(table, {"k": ("2",), "n499": ("499%s",), **dict(hostile)})
        before = await table.list()
        with self.assertRaises(LookupFailed):
            await table.write(Changes([("m", ("1",)), ("n7", ("is there",)), ("o", ("1",))]))
        self.assertEqual(await table.list(), before)
        # The connection that failed is not used on in the middle of its transaction.
        await table.set("m", ("3",))
        other = await self.serve(**CHANGES)
        await self.answers(other, {"m": ("3",), "o": None})

    async def test_keys_are_data(self: Any) -> None:
        """Hostile keys and values are kept and found as they are; nothing else changes."""
        table = await self.serve(**CHANGES)
        await table.set("k", ("x",))
        for key in INJECTIONS:
            await self.answers(table, {key: None})
            await table.set(key, (key[::-1],))
            await self.answers(table, {key: (key[::-1],), "k": ("x",)})
            self.assertTrue(await table.delete(key))
        self.assertEqual(await table.list(), [("k", ("x",))])

    async def test_any_key_is_data(self: Any) -> None:
        """Whatever a query could be made of: as a key it finds nothing, or exactly its own row."""
        table = await self.serve(**CHANGES)
        await table.set("k", ("x",))
        keys = hostile_keys()
        for key in keys:
            await self.answers(table, {key: None})
        for number, key in enumerate(keys):
            await table.set(key, (str(number),))
        await self.answers(table, {key: (str(number),) for number, key in enumerate(keys)})
        listed = dict(await table.list())
        expected = {key: (str(number),) for number, key in enumerate(keys)}
        self.assertEqual(listed, {**expected, "k": ("x",)})

    async def test_init(self: Any) -> None:
        """Statements to begin with are carried out before the first lookup, once."""
        init = ("CREATE TABLE made_table (a INTEGER)", "INSERT INTO made_table VALUES (7)")
        table = await self.serve(
            lookup="SELECT a FROM made_table WHERE CAST(a AS CHAR(1)) = $1", init=init
        )
        for answer in await gatherResults(
            [Deferred.fromCoroutine(table.get("7")) for _ in range(3)]
        ):
            self.assertEqual(answer, ("7",))

    async def test_check(self: Any) -> None:
        """Bad SQL is a complaint with its place; what comes first is carried out."""
        for name, place in {"lookup": "lookup", "add": "add", "delete": "del"}.items():
            texts = {**CHANGES, name: "SELECT missing FROM query_table"}
            with self.assertRaises(ConfigurationError) as raised:
                self.make(**texts).check()
            self.assertIn(f"table.x.{place}: the database refuses it", str(raised.exception))
        init = ("CREATE TABLE made_table (a INTEGER)", "INSERT INTO made_table VALUES (7)")
        lookup = "SELECT a FROM made_table WHERE CAST(a AS CHAR(1)) = $1"
        table = await self.serve(lookup=lookup, init=init)
        self.assertEqual(table.check(), [])
        await self.answers(table, {"7": ("7",)})

    async def test_mapping(self: Any) -> None:
        """The statements of a mapping: move an account, list, forget."""
        kind = self.engine.url.partition(":")[0]
        conflict = "ON CONFLICT (k) DO UPDATE SET v = $2"
        if kind == "mysql":
            conflict = "ON DUPLICATE KEY UPDATE v = $2"
        statements = MappingStatements(
            f"INSERT INTO query_table (k, v) VALUES ($1, $2) {conflict}",
            "DELETE FROM query_table WHERE k = $1",
            "SELECT k, v FROM query_table ORDER BY k",
        )
        store = make_store(parse_url(self.engine.url), StoreSettings(2, 20.0, True), reactor)
        entries = SqlMappingEntries(statements, store, reactor, 20.0)
        self.assertEqual(entries.check(), [])
        await entries.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(entries.close()))
        for destination in ("east", "west", "west"):
            await entries.set("joe", (destination,))
        await entries.set("amy", ("east",))
        self.assertEqual(await entries.list(), [("amy", ("east",)), ("joe", ("west",))])
        self.assertTrue(await entries.delete("joe"))
        self.assertFalse(await entries.delete("joe"))
        self.assertEqual(await entries.list(), [("amy", ("east",))])


class QueryContract(TableContract):
    """A mixin: the table as a mapping's source."""

    async def provide(self: Any, rows: Mapping[str, str]) -> None:
        """Write by the table itself."""
        if not hasattr(self, "strings"):
            self.strings = await self.serve(**CHANGES)
            self.table = TableSource(self.strings)
        for key, _ in await self.strings.list():
            await self.strings.delete(key)
        for key, value in rows.items():
            await self.strings.set(key, (value,))

    async def damage(self: Any) -> None:
        """SQL that was good turns bad."""
        self.engine.execute("ALTER TABLE query_table RENAME TO query_gone")

    async def mend(self: Any) -> None:
        """Undo it."""
        self.engine.execute("ALTER TABLE query_gone RENAME TO query_table")

    async def stall(self: Any) -> None:
        """The server hangs."""
        self.table = TableSource(await self.serve(0.4))
        self.engine.hang()
        self.addCleanup(self.engine.release)


class SqliteQueryTests(QueryTests, QueryCase):
    """SQLite."""

    def setUp(self) -> None:
        """A file."""
        self.engine = engines.sqlite()
        super().setUp()


class SqliteQueryContractTests(QueryContract, QueryCase):
    """SQLite keeps the contract."""

    def setUp(self) -> None:
        """A file."""
        self.engine = engines.sqlite()
        super().setUp()


class PostgresQueryTests(QueryTests, QueryCase):
    """PostgreSQL."""

    def setUp(self) -> None:
        """A server."""
        self.engine = engines.postgresql()
        super().setUp()


class PostgresQueryContractTests(QueryContract, QueryCase):
    """PostgreSQL keeps the contract."""

    def setUp(self) -> None:
        """A server."""
        self.engine = engines.postgresql()
        super().setUp()


class MariadbQueryTests(QueryTests, QueryCase):
    """MariaDB."""

    def setUp(self) -> None:
        """A server."""
        self.engine = engines.mariadb()
        super().setUp()


class MariadbQueryContractTests(QueryContract, QueryCase):
    """MariaDB keeps the contract."""

    def setUp(self) -> None:
        """A server."""
        self.engine = engines.mariadb()
        super().setUp()
