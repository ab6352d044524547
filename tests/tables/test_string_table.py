"""Tables from text to texts, and such a table as a mapping's source."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key, Row
from mailroute.tables.string_table import Changes, ReadOnly, StringTable, TableSource, Values


class Listed(StringTable):
    """A table of a few entries; the values None fail."""

    kind = "listed"

    def __init__(self, entries: Mapping[str, Values | None]) -> None:
        self.entries = entries

    async def get(self, key: str) -> Values | None:
        if self.entries.get(key, ()) is None:
            raise LookupFailed("out of order")
        return self.entries.get(key)


class StringTableTests(SynchronousTestCase):
    """What a table can do that gives nothing but its answers."""

    def run_now(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_read_only(self) -> None:
        """What a table cannot do is refused by name, not ignored."""
        table = Listed({"a": ("1",)})
        attempts = {
            "set": table.set("a", ("2",)),
            "delete": table.delete("a"),
            "list": table.list(),
        }
        for action, attempt in attempts.items():
            refused = self.failureResultOf(Deferred.fromCoroutine(attempt), ReadOnly)
            self.assertEqual(
                str(refused.value), f"a table of type listed is read-only: it cannot {action}"
            )

    def test_bulk(self) -> None:
        """Many entries are refused as one is, and even none; an entry has one value."""
        table = Listed({})
        refused = Deferred.fromCoroutine(table.write(Changes()))
        self.assertIn("cannot set", str(self.failureResultOf(refused, ReadOnly).value))
        table.admit("a", ("1",))
        self.assertRaises(ValueError, table.admit, "a", ("1", "2"))
        self.assertEqual(len(Changes([("a", ("1",))], [("b", ("2",))])), 2)

    def test_life(self) -> None:
        """A table without connections or files needs no life of its own."""
        table = Listed({})
        self.assertEqual(table.check(), ())
        self.run_now(table.start())
        self.run_now(table.reload())
        self.run_now(table.close())


class TableSourceTests(SynchronousTestCase):
    """A table of texts as the mapping."""

    def lookup(self, table: StringTable, key: Key) -> Row | None:
        source = TableSource(table)
        self.successResultOf(Deferred.fromCoroutine(source.start()))
        found = self.successResultOf(Deferred.fromCoroutine(source.lookup(key)))
        self.successResultOf(Deferred.fromCoroutine(source.close()))
        return found

    def test_found(self) -> None:
        """The first value is the destination, without the white space round it."""
        table = Listed({"joe": (" east ", "west")})
        self.assertEqual(self.lookup(table, Key("joe")), Row("east"))

    def test_absent(self) -> None:
        """A key that is not there is absent; so is one whose value names nothing."""
        table = Listed({"empty": ("",), "blank": (" \t",)})
        for name in ("joe", "empty", "blank"):
            self.assertIsNone(self.lookup(table, Key(name)))

    def test_failed(self) -> None:
        """A failure stays one: it is no absence."""
        looked_up = TableSource(Listed({"joe": None})).lookup(Key("joe"))
        self.failureResultOf(Deferred.fromCoroutine(looked_up), LookupFailed)

    def test_key(self) -> None:
        """The key is the identifier without its extension; nothing else changes the answer."""
        table = Listed({"joe@example.org": ("east",)})
        key = Key("joe+spam@example.org", extension_delimiter="+")
        self.assertEqual(self.lookup(table, key), Row("east"))
        self.assertEqual(TableSource(table).varies_on, frozenset())
