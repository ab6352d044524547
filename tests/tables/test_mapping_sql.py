"""Statements that change the mapping."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.mapping_sql import MappingStatements, SqlMappingEntries
from mailroute.tables.string_table import Changes, ReadOnly
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import INJECTIONS
from tests.tables.local_store import LocalStore

STATEMENTS = {
    "upsert": "INSERT INTO routes VALUES ($1, $2) "
    "ON CONFLICT (identifier) DO UPDATE SET destination = $2",
    "delete": "DELETE FROM routes WHERE identifier = $1",
    "list": "SELECT identifier, destination, 'x' FROM routes ORDER BY 1",
}


class EntriesTests(AskingCase):
    """The entries of a mapping in a database."""

    def setUp(self) -> None:
        self.store = LocalStore()
        self.store.database.execute(
            "CREATE TABLE routes (identifier TEXT PRIMARY KEY, destination TEXT)"
        )

    def entries(self, **statements: str) -> SqlMappingEntries:
        """Entries changed by these statements."""
        return SqlMappingEntries(MappingStatements(**statements), self.store, Clock(), 5.0)

    def refused(self, coroutine: Any, kind: type[Exception]) -> str:
        """It raises this."""
        return str(self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value)

    def test_changes(self) -> None:
        """$1 is the identifier, $2 the destination; deleting tells whether there was a row."""
        entries = self.entries(**STATEMENTS)
        self.assertEqual(entries.check(), [])
        self.done(entries.set("joe", ("east",)))
        self.done(entries.set("joe", ("west",)))
        self.done(entries.set("amy", ("east",)))
        self.assertEqual(self.done(entries.list()), [("amy", ("east",)), ("joe", ("west",))])
        self.assertTrue(self.done(entries.delete("joe")))
        self.assertFalse(self.done(entries.delete("joe")))

    def test_bulk(self) -> None:
        """Many entries are one transaction: one that fails undoes the others."""
        entries = self.entries(**STATEMENTS)
        self.done(entries.set("joe", ("east",)))
        both = Changes([("amy", ("east",))], [("joe", ("west",))])
        self.done(entries.write(both))
        wanted = [("amy", ("east",)), ("joe", ("west",))]
        self.assertEqual(self.done(entries.list()), wanted)
        self.store.database.execute("CREATE UNIQUE INDEX i ON routes (destination)")
        clash = Changes([("bob", ("north",)), ("eve", ("north",))])
        self.refused(entries.write(clash), LookupFailed)
        self.assertEqual(self.done(entries.list()), wanted)

    def test_nothing(self) -> None:
        """No changes are no transaction, but a mapping that could not write them says so."""
        self.store.away = "gone"
        self.done(self.entries(**STATEMENTS).write(Changes()))
        text = self.refused(self.entries(delete=STATEMENTS["delete"]).write(Changes()), ReadOnly)
        self.assertIn("upsert_query", text)

    def test_names(self) -> None:
        """:key and :value are the same."""
        entries = self.entries(upsert="INSERT INTO routes VALUES (:key, :value)")
        self.done(entries.set("joe", ("east",)))
        found = self.store.database.execute("SELECT * FROM routes").fetchall()
        self.assertEqual(found, [("joe", "east")])

    def test_injections(self) -> None:
        """Identifiers are data."""
        entries = self.entries(**STATEMENTS)
        self.done(entries.set("joe", ("east",)))
        for name in INJECTIONS:
            self.done(entries.set(name, ("west",)))
            self.assertTrue(self.done(entries.delete(name)))
        self.assertEqual(self.done(entries.list()), [("joe", ("east",))])

    def test_no_destination(self) -> None:
        """A row without a destination is listed as one."""
        self.store.database.execute("INSERT INTO routes VALUES ('joe', NULL)")
        self.assertEqual(self.done(self.entries(**STATEMENTS).list()), [("joe", ("",))])

    def test_read_only(self) -> None:
        """What is missing is named by its key."""
        entries = self.entries()
        for attempt, key in (
            (entries.set("joe", ("east",)), "mapping.sql.upsert_query"),
            (entries.delete("joe"), "mapping.sql.delete_query"),
            (entries.list(), "mapping.sql.list_query"),
        ):
            self.assertIn(f"{key} is not configured", self.refused(attempt, ReadOnly))

    def test_faults(self) -> None:
        """Statements that cannot be read, or that the database refuses, are complaints."""
        error = self.assertRaises(
            ConfigurationError, self.entries, upsert="SELECT $3", delete="x $2", list="x $1"
        )
        places = [complaint.split(": ")[0] for complaint in error.complaints]
        names = ("upsert_query", "delete_query", "list_query")
        self.assertEqual(places, [f"mapping.sql.{name}" for name in names])
        broken = self.entries(delete="DELETE FROM missing WHERE a = $1")
        error = self.assertRaises(ConfigurationError, broken.check)
        self.assertIn("mapping.sql.delete_query: the database refuses it", str(error))
        self.store.away = "gone"
        self.assertIn("gone", self.entries().check()[0])

    def test_failure(self) -> None:
        """A list of one column, and a database that is away, are failures."""
        one = self.entries(list="SELECT identifier FROM routes")
        self.assertIn("identifiers and destinations", self.refused(one.list(), LookupFailed))
        self.store.away = "gone"
        entries = self.entries(**STATEMENTS)
        self.assertIn("gone", self.refused(entries.set("joe", ("east",)), LookupFailed))
