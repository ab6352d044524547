"""All tables together."""

from __future__ import annotations

from collections.abc import Callable

from mailroute.errors import ConfigurationError
from mailroute.tables.named import NamedTables
from mailroute.tables.string_table import StringTable, TableSource, Values
from tests.tables.asking import AskingCase


class NotingTable(StringTable):
    """Notes what it is told; ``fault`` is what goes wrong with everything."""

    def __init__(self, fault: Exception | None = None) -> None:
        self.notes: list[str] = []
        self._fault = fault

    async def get(self, key: str) -> Values | None:
        return None

    def _note(self, what: str) -> None:
        self.notes.append(what)
        if self._fault is not None:
            raise self._fault

    def check(self) -> list[str]:
        self._note("check")
        return ["a warning"]

    async def reload(self) -> None:
        self.notes.append("reload")

    def watch(self, changed: Callable[[], None]) -> None:
        changed()

    async def start(self) -> None:
        self._note("start")

    async def close(self) -> None:
        self._note("close")


class NamedTablesTests(AskingCase):
    """One life for all."""

    def test_life(self) -> None:
        """What is told to all is told to each, once."""
        tables = {"a": NotingTable(), "b": NotingTable()}
        named = NamedTables(tables)
        self.assertEqual(list(named.check()), ["a warning"] * 2)
        self.done(named.start())
        self.done(named.reload())
        self.done(named.close())
        for table in tables.values():
            self.assertEqual(table.notes, ["check", "start", "reload", "close"])
        self.assertEqual((dict(named), len(named)), (tables, 2))

    def test_watch(self) -> None:
        """A table that is a step of a chain changes the chain's answers."""
        told: list[bool] = []
        named = NamedTables({"a": NotingTable(), "b": NotingTable()})
        TableSource(named["a"], named).watch(lambda: told.append(True))
        self.assertEqual(len(told), 2)
        TableSource(named["a"]).watch(lambda: told.append(True))
        self.assertEqual(len(told), 2)

    def test_complaints(self) -> None:
        """Every complaint of every table comes at once."""
        named = NamedTables(
            {
                "a": NotingTable(ConfigurationError(["1", "2"])),
                "b": NotingTable(),
                "c": NotingTable(ConfigurationError(["3"])),
            }
        )
        error = self.assertRaises(ConfigurationError, named.check)
        self.assertEqual(error.complaints, ["1", "2", "3"])

    def test_broken(self) -> None:
        """A table that breaks does not keep the others from starting or ending."""
        good = NotingTable()
        named = NamedTables({"a": NotingTable(RuntimeError("broken")), "b": good})
        self.done(named.start())
        self.done(named.close())
        self.assertEqual(good.notes, ["start", "close"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
