"""Tables of statements in SQL."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.sql_query import VALUES_LIMIT, SqlQueryTable
from mailroute.tables.sql_statements import SqlStatements
from mailroute.tables.string_table import Changes, Entry, ReadOnly
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import INJECTIONS
from tests.tables.local_store import LocalStore

LOOKUP = "SELECT b FROM t WHERE a = :key"
CHANGES = {
    "list": "SELECT a FROM t ORDER BY a",
    "add": "INSERT INTO t (a, b) VALUES (:key, :value)",
    "set": "UPDATE t SET b = :value WHERE a = :key",
    "delete": "DELETE FROM t WHERE a = :key",
}


class SqlQueryCase(AskingCase):
    """A database with a table t."""

    def setUp(self) -> None:
        self.store = LocalStore()
        self.store.database.execute("CREATE TABLE t (a TEXT, b TEXT UNIQUE, c TEXT, n)")

    def fill(self, *rows: tuple[Any, ...]) -> None:
        """Rows of a, b, c and n."""
        filled = [(*row, *[None] * (4 - len(row))) for row in rows]
        self.store.database.executemany("INSERT INTO t VALUES (?, ?, ?, ?)", filled)

    def table(self, lookup: str = LOOKUP, **statements: Any) -> SqlQueryTable:
        """A table of these statements."""
        texts = SqlStatements(lookup, **statements)
        return SqlQueryTable("table.x", texts, self.store, Clock(), 5.0)


class LookupTests(SqlQueryCase):
    """Looking up."""

    def test_found_and_absent(self) -> None:
        """One row is found, none is absent, an empty text is found."""
        self.fill(("k", "x"), ("empty", ""))
        self.answers(self.table(), {"k": ("x",), "none": None, "empty": ("",), "K": None})

    def test_several_rows(self) -> None:
        """Every row is a value; the first is the one that counts where one is wanted."""
        self.fill(("k", "x"), ("k", "y"))
        self.answers(self.table(f"{LOOKUP} ORDER BY b"), {"k": ("x", "y")})

    def test_null(self) -> None:
        """NULL is a failure, not absence, in any of the rows."""
        self.fill(("k", "x"), ("k", None), ("n", None))
        for key in ("k", "n"):
            self.assertIn("NULL", self.fails(self.table(), key))

    def test_columns(self) -> None:
        """More than one column is a failure if there is a row; without one it is absence."""
        self.fill(("k", "x", "y"))
        table = self.table("SELECT b, c FROM t WHERE a = :key")
        self.assertIn("2 columns", self.fails(table, "k"))
        self.assertIsNone(self.ask(table, "none"))

    def test_numbers(self) -> None:
        """Numbers become text."""
        self.fill(("k", "x", None, 5))
        self.answers(self.table("SELECT n FROM t WHERE a = :key"), {"k": ("5",)})

    def test_placeholders(self) -> None:
        """$1 and :key are understood, whatever named_args says."""
        self.fill(("k", "x"))
        for form in ("$1", ":key", "?", "?1"):
            self.answers(self.table(LOOKUP.replace(":key", form)), {"k": ("x",)})

    def test_no_question(self) -> None:
        """A lookup that returns no columns is a failure."""
        self.assertIn("SELECT", self.fails(self.table("DELETE FROM t WHERE a = :key"), "k"))

    def test_failure(self) -> None:
        """A database that cannot answer is a failure."""
        table = self.table()
        self.store.away = "gone"
        self.assertEqual(self.fails(table, "k"), "gone")

    def test_bound(self) -> None:
        """A key with very many rows is a failure, not a full memory."""
        self.fill(*(("k", str(number)) for number in range(VALUES_LIMIT + 1)))
        self.assertIn("more than", self.fails(self.table(), "k"))

    def test_injections(self) -> None:
        """A key is data."""
        self.fill(("k", "x"))
        table = self.table(**CHANGES)
        for key in INJECTIONS:
            self.assertIsNone(self.ask(table, key))
            self.done(table.set(key, (f"v {key}",)))
            self.answers(table, {key: (f"v {key}",), "k": ("x",)})
            self.assertTrue(self.done(table.delete(key)))
        self.assertEqual(self.done(table.list()), [("k", ())])


class WatchTests(SqlQueryCase):
    """Who remembers answers."""

    def test_store(self) -> None:
        """The database knows of changes, if anybody does."""
        asked: list[object] = []
        self.patch(self.store, "watch", asked.append)
        self.table().watch(self.fail)
        self.assertEqual(asked, [self.fail])


class CheckTests(SqlQueryCase):
    """Before anything is served."""

    def complaints(self, **statements: Any) -> list[str]:
        """What is said against these statements."""
        try:
            self.table(**statements).check()
        except ConfigurationError as error:
            return error.complaints
        raise self.failureException("nothing was said")

    def test_prepared(self) -> None:
        """A missing table or bad SQL stops the start, whichever statement it is in."""
        self.assertEqual(self.table(**CHANGES).check(), [])
        for name, place in {"list": "list", "add": "add", "set": "set", "delete": "del"}.items():
            found = self.complaints(**{**CHANGES, name: "SELECT x FROM missing"})
            self.assertEqual(len(found), 1)
            self.assertTrue(found[0].startswith(f"table.x.{place}: the database refuses it"), found)
        self.assertIn("table.x.lookup: ", self.complaints(lookup="SELEC 1")[0])

    def test_placeholders(self) -> None:
        """What has no value is told, all of it, with its place."""
        found = self.complaints(
            lookup="SELECT :value", list="SELECT :key", add="SELECT $3", delete="SELECT $2"
        )
        places = [complaint.split(":")[0] for complaint in found]
        self.assertEqual(places, ["table.x.lookup", "table.x.list", "table.x.add", "table.x.del"])
        self.assertIn("table.x.init, item 2: ", self.complaints(init=("SELECT 1", "SELECT $1"))[0])

    def test_away(self) -> None:
        """A database that is out of reach is a warning."""
        self.store.away = "gone"
        (warning,) = self.table().check()
        self.assertIn("table.x.dsn", warning)
        self.assertIn("gone", warning)


class InitTests(SqlQueryCase):
    """Statements to begin with."""

    INIT = (
        "CREATE TABLE u (a TEXT PRIMARY KEY, b TEXT)",
        "INSERT INTO u VALUES ('k', 'x')",
    )

    def test_at_the_check(self) -> None:
        """They are carried out once, in order, before the others are prepared."""
        table = self.table("SELECT b FROM u WHERE a = $1", init=self.INIT)
        self.assertEqual(table.check(), [])
        self.answers(table, {"k": ("x",), "none": None})

    def test_later(self) -> None:
        """If the database was away they are carried out, once, before the first lookup."""
        table = self.table("SELECT b FROM u WHERE a = $1", init=self.INIT)
        self.store.away = "gone"
        table.check()
        self.assertEqual(self.fails(table, "k"), "gone")
        self.store.away = ""
        for _ in range(2):
            self.answers(table, {"k": ("x",)})

    def test_failure(self) -> None:
        """One that fails fails the lookup, and is tried again."""
        table = self.table("SELECT b FROM u WHERE a = $1", init=self.INIT[1:])
        self.assertIn("no such table", self.fails(table, "k"))
        self.store.database.execute(self.INIT[0])
        self.answers(table, {"k": ("x",)})


class ChangeTests(SqlQueryCase):
    """Tables that can be changed."""

    def test_set(self) -> None:
        """A new key is added; of one that is there the value is replaced."""
        self.store.database.execute("CREATE UNIQUE INDEX i ON t (a)")
        table = self.table(**CHANGES)
        self.done(table.set("k", ("1",)))
        self.answers(table, {"k": ("1",)})
        self.done(table.set("k", ("2",)))
        self.answers(table, {"k": ("2",)})
        rows = self.store.database.execute("SELECT a, b FROM t").fetchall()
        self.assertEqual(rows, [("k", "2")])

    def test_bulk(self) -> None:
        """New keys are added, the others replaced, all in one transaction."""
        table = self.table(init=["DROP INDEX IF EXISTS j"], **CHANGES)
        self.fill(("k", "1"))
        self.done(table.write(Changes([("n", ("5",))], [("k", ("2",))])))
        self.answers(table, {"k": ("2",), "n": ("5",)})
        self.store.database.execute("CREATE UNIQUE INDEX i ON t (a)")
        failed = Deferred.fromCoroutine(table.write(Changes([("m", ("6",)), ("k", ("7",))])))
        self.failureResultOf(failed, LookupFailed)
        self.answers(table, {"k": ("2",), "n": ("5",), "m": None})
        self.done(table.write(Changes()))
        refused = Deferred.fromCoroutine(self.table(add="SELECT $1, $2").write(Changes()))
        self.assertIn("table.x.set", str(self.failureResultOf(refused, ReadOnly).value))

    def test_set_in_vain(self) -> None:
        """What can neither be added nor replaced is told, with why it could not be added."""
        self.fill(("a", "1"))
        table = self.table(**CHANGES)
        failed = Deferred.fromCoroutine(table.set("b", ("1",)))
        reason = self.failureResultOf(failed, LookupFailed).value.reason
        self.assertIn("UNIQUE constraint failed: t.b", reason)
        self.assertIsNone(self.ask(table, "b"))

    def test_one_value(self) -> None:
        """A key has one value."""
        for values in ((), ("1", "2")):
            refused = Deferred.fromCoroutine(self.table(**CHANGES).set("k", values))
            self.failureResultOf(refused, ValueError)

    def test_delete(self) -> None:
        """Removing what is not there is no error, and is told."""
        self.fill(("k", "1"))
        table = self.table(**CHANGES)
        self.assertTrue(self.done(table.delete("k")))
        self.assertIsNone(self.ask(table, "k"))
        self.assertFalse(self.done(table.delete("k")))

    def listed(self, statement: str) -> list[Entry]:
        """What a list statement lists."""
        return list(self.done(self.table(list=statement).list()))

    def test_list(self) -> None:
        """Keys, and their values if there is a second column."""
        self.fill(("b", "2"), ("a", "1"))
        self.assertEqual(self.listed("SELECT a FROM t ORDER BY a"), [("a", ()), ("b", ())])
        both = self.listed("SELECT a, b FROM t ORDER BY a")
        self.assertEqual(both, [("a", ("1",)), ("b", ("2",))])
        failed = Deferred.fromCoroutine(self.table(list="SELECT a, b, c FROM t").list())
        self.assertIn("3 columns", self.failureResultOf(failed, LookupFailed).value.reason)

    def test_read_only(self) -> None:
        """What a table lacks a statement for is refused, naming the statement."""
        table = self.table()
        for coroutine, missing in (
            (table.set("a", ("1",)), "table.x.add and table.x.set"),
            (self.table(add="SELECT $1, $2").set("a", ("1",)), "needs table.x.set"),
            (self.table(set="SELECT $1, $2").set("a", ("1",)), "needs table.x.add"),
            (table.delete("a"), "table.x.del"),
            (table.list(), "table.x.list"),
        ):
            refused = self.failureResultOf(Deferred.fromCoroutine(coroutine), ReadOnly)
            self.assertIn("read-only", str(refused.value))
            self.assertIn(missing, str(refused.value))
