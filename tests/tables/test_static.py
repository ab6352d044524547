"""Entries in the configuration."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import TableSource
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import ALICE, TableContract


class StaticContractTests(TableContract, AskingCase):
    """Entries keep the contract; they cannot be broken, or slow."""

    answers_when_broken = True

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Nothing waits."""
        self.done(coroutine)

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Configure anew."""
        self.table = TableSource(StaticTable([(key, (value,)) for key, value in rows.items()]))

    async def damage(self) -> None:
        """There is nothing that could be taken away."""

    async def mend(self) -> None:
        """Nor given back."""

    def test_slow(self) -> None:
        """An answer is there at once."""
        self.finish(self.provide({ALICE: "east"}))
        self.finish(self._expect(ALICE, "east"))


class StaticTableTests(AskingCase):
    """A table of type static."""

    def test_entries(self) -> None:
        """A key leads to all its values; an empty value is found; case counts."""
        table = StaticTable([("k", ("v1", "v2")), ("empty", ("",))])
        self.answers(table, {"k": ("v1", "v2"), "empty": ("",), "K": None, "": None, "k ": None})
        self.survives_odd_keys(table)

    def test_repeated(self) -> None:
        """The last definition of a key wins entirely: values are not added."""
        table = StaticTable([("k", ("1", "2")), ("a", ("b",)), ("k", ("3",))])
        self.answers(table, {"k": ("3",), "a": ("b",)})
        self.assertEqual(self.done(table.list()), (("a", ("b",)), ("k", ("3",))))

    def test_no_value(self) -> None:
        """An entry without a value is a fault."""
        error = self.assertRaises(ValueError, StaticTable, [("k", ())])
        self.assertIn("'k'", str(error))
