"""What the stores of all engines share; the engines are tested in tests.integration."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import (
    KEY_AND_VALUE,
    Answer,
    Question,
    read_statement,
    refused,
    within,
)
from tests.tables.local_store import LocalStore


class StoreTests(SynchronousTestCase):
    """Statements, questions, answers."""

    def test_place(self) -> None:
        """A complaint names the statement's place and nothing of the mapping."""
        error = self.assertRaises(
            ConfigurationError, read_statement, "SELECT $2", "table.x.lookup", Dialect.MYSQL
        )
        self.assertTrue(str(error).startswith("table.x.lookup: line 1, column 8: "), str(error))
        error = self.assertRaises(ConfigurationError, read_statement, " ", "t", Dialect.SQLITE)
        self.assertEqual(str(error), "t: the query is empty")

    def test_refused(self) -> None:
        """The database's words on one line."""
        error = refused("table.x.add", ValueError("no\n such\ttable"))
        self.assertEqual(str(error), "table.x.add: the database refuses it: no such table")

    def test_parameters(self) -> None:
        """Values come in the order of their placeholders."""
        statement = read_statement("SELECT $2, $1, $2", "t", Dialect.POSTGRESQL, KEY_AND_VALUE)
        question = Question(statement, {"key": "k", "value": "v"})
        self.assertEqual(question.parameters, ("v", "k", "v"))

    def test_limit(self) -> None:
        """More rows than the limit are a failure."""
        self.assertEqual(within([("a",), ("b",)], 2), [("a",), ("b",)])
        self.assertEqual(len(within([("a",)] * 9, None)), 9)
        self.assertRaises(LookupFailed, within, [("a",)] * 3, 2)

    def test_begin(self) -> None:
        """The first statements are put one after the other."""
        store = LocalStore()
        texts = ("CREATE TABLE t (a)", "INSERT INTO t VALUES (1)", "SELECT a FROM t")
        questions = [Question(read_statement(text, "t", Dialect.SQLITE)) for text in texts]
        self.successResultOf(Deferred.fromCoroutine(store.begin(questions[:2], 0)))
        answer = self.successResultOf(Deferred.fromCoroutine(store.run(questions[2], 0)))
        self.assertEqual(answer, Answer([(1,)], 1, 0))
