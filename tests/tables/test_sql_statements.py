"""Statements as they are written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_statements import SqlStatements


class StatementsTests(SynchronousTestCase):
    """What they need, and what they are called."""

    def test_writable(self) -> None:
        """Whatever is no lookup or list opens the database for more than lookups."""
        self.assertFalse(SqlStatements("SELECT 1", list="SELECT 1").writable)
        for texts in (
            SqlStatements("SELECT 1", add="x"),
            SqlStatements("SELECT 1", set="x"),
            SqlStatements("SELECT 1", delete="x"),
        ):
            self.assertTrue(texts.writable)
        self.assertTrue(SqlStatements("SELECT 1", init=("CREATE TABLE t (a)",)).writable)

    def test_names(self) -> None:
        """They are known by their keys in the configuration, on every engine."""
        texts = SqlStatements(
            "SELECT :key",
            ("SELECT 1", "SELECT 2"),
            list="SELECT 3",
            add="SELECT :key, :value",
            set="SELECT $2, $1",
            delete="SELECT ?",
        )
        for dialect in Dialect:
            read = texts.read("table.x", dialect)
            names = {name: statement.names for name, statement in read.items()}
            self.assertEqual(
                names,
                {
                    "lookup": ("key",),
                    "list": (),
                    "add": ("key", "value"),
                    "set": ("value", "key"),
                    "del": ("key",),
                },
            )
            places = list(texts.read_init("table.x", dialect))
            self.assertEqual(places, ["table.x.init, item 1", "table.x.init, item 2"])
