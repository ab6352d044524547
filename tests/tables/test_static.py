"""Entries in the configuration."""

from __future__ import annotations

from mailroute.tables.static import StaticTable
from tests.tables.asking import AskingCase


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
