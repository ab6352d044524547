"""The mapping that can be changed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Row
from mailroute.tables.mapping_store import MappingRules, MappingStore
from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import Changes, Entry, ReadOnly, StringTable, TableSource, Values
from tests.tables.asking import AskingCase


class Memory(StringTable):
    """Entries in memory."""

    def __init__(self) -> None:
        self.entries: dict[str, Values] = {}
        self.notes: list[str] = []

    async def get(self, key: str) -> Values | None:
        return self.entries.get(key)

    async def set(self, key: str, values: Values) -> None:
        self.entries[key] = values

    async def write(self, changes: Changes) -> None:
        self.entries.update((*changes.new, *changes.changed))

    async def delete(self, key: str) -> bool:
        return self.entries.pop(key, None) is not None

    async def list(self) -> Sequence[Entry]:
        return list(self.entries.items())

    def check(self) -> Sequence[str]:
        return ["a warning"]

    async def start(self) -> None:
        self.notes.append("start")

    async def close(self) -> None:
        self.notes.append("close")


def lower(identifier: str) -> str:
    """A key."""
    if not identifier:
        raise ValueError("the account's name is empty")
    return identifier.lower()


class MappingStoreTests(AskingCase):
    """Who lives where."""

    def setUp(self) -> None:
        self.memory = Memory()
        rules = MappingRules(frozenset({"east", "west"}), lower, "+")
        self.store = MappingStore(TableSource(self.memory), self.memory, rules, [self.memory])

    def refused(self, coroutine: Any, kind: type[Exception]) -> str:
        """It raises this."""
        return str(self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value)

    def test_changes(self) -> None:
        """Set, move, look up, list and forget, whatever the case of the identifier is."""
        self.done(self.store.set("Joe@x", "east"))
        self.done(self.store.set("JOE@x", "west"))
        self.assertEqual(self.memory.entries, {"joe@x": ("west",)})
        self.assertEqual(self.done(self.store.get("jOe@x")), Row("west"))
        self.assertEqual(self.done(self.store.get("joe+spam@x")), Row("west"))
        self.assertEqual(self.done(self.store.list()), [("joe@x", "west")])
        self.assertTrue(self.done(self.store.delete("Joe@x")))
        self.assertFalse(self.done(self.store.delete("Joe@x")))
        self.assertIsNone(self.done(self.store.get("joe@x")))

    def test_undeclared(self) -> None:
        """A destination that nobody declared is refused before anything changes."""
        for destination in ("north", "East", "", "east "):
            text = self.refused(self.store.set("joe@x", destination), ValueError)
            self.assertIn(repr(destination), text)
        self.assertEqual(self.memory.entries, {})

    def test_bulk(self) -> None:
        """Entries are made as ``set`` makes them, and written together."""
        entry = self.store.entry("Joe@x", "east")
        self.assertEqual(entry, ("joe@x", ("east",)))
        self.done(self.store.write(Changes([entry])))
        self.assertEqual(self.memory.entries, {"joe@x": ("east",)})
        for identifier, destination in (("joe@x", "north"), ("", "east")):
            self.assertRaises(ValueError, self.store.entry, identifier, destination)
        self.patch(self.memory, "batch_size", 7)
        self.assertEqual(self.store.batch_size, 7)

    def test_no_identifier(self) -> None:
        """What cannot be an account's name is refused."""
        for attempt in (self.store.set("", "east"), self.store.get(""), self.store.delete("")):
            self.assertIn("is empty", self.refused(attempt, ValueError))

    def test_read_only(self) -> None:
        """What the entries cannot do, the mapping cannot either."""
        static = StaticTable([("joe@x", ("east",))])
        rules = MappingRules(frozenset({"east"}), lower)
        store = MappingStore(TableSource(static), static, rules)
        self.refused(store.set("joe@x", "east"), ReadOnly)
        self.refused(store.delete("joe@x"), ReadOnly)
        self.assertEqual(self.done(store.list()), [("joe@x", "east")])

    def test_failure(self) -> None:
        """A failure stays one."""

        async def fail(key: str) -> None:
            raise LookupFailed("gone")

        self.patch(self.memory, "get", fail)
        self.assertIn("gone", self.refused(self.store.get("joe@x"), LookupFailed))

    def test_life(self) -> None:
        """It lives as what it is made of does."""
        self.assertEqual(self.store.check(), ["a warning"])
        self.done(self.store.start())
        self.done(self.store.close())
        self.assertEqual(self.memory.notes, ["start", "close"])
