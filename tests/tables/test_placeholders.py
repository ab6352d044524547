"""Translating placeholders, and reading them by a database that is at hand."""

from __future__ import annotations

import sqlite3
from typing import ClassVar

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Key
from mailroute.tables.placeholders import NAMES, Statement, Vocabulary, translate
from mailroute.tables.sql_lexer import Dialect
from tests.tables.test_sql_lexer import FRAGMENTS, MYSQL, POSTGRESQL, SQLITE

KEY = Key("joe+x@example.org", "imap", "192.0.2.1", "192.0.2.2", "mail.example.org", "+")
FORMAT = (MYSQL, POSTGRESQL)


class PlaceholderTests(SynchronousTestCase):
    """Which signs are placeholders, and which are text."""

    def names(self, query: str, dialect: Dialect) -> tuple[str, ...]:
        """What the placeholders of a query stand for."""
        return translate(query, dialect).names

    def refused(self, query: str, *parts: str) -> None:
        """The query is a complaint with these parts, in every dialect."""
        for dialect in Dialect:
            error = self.assertRaises(ConfigurationError, translate, query, dialect)
            self.assertTrue(str(error).startswith("mapping.sql.query: "), str(error))
            for part in parts:
                self.assertIn(part, str(error))

    def test_forms(self) -> None:
        """Every form works on every engine, and a key may be used twice."""
        for dialect in Dialect:
            for form in ("$1", "?", "?1", ":key"):
                self.assertEqual(self.names(f"SELECT a FROM b WHERE c={form}", dialect), ("key",))
            self.assertEqual(self.names("SELECT $1, $1", dialect), ("key", "key"))
            self.assertEqual(self.names("SELECT $1, :sni", dialect), ("key", "sni"))

    def test_names(self) -> None:
        """All names, and their values."""
        query = "SELECT " + ", ".join(f":{name}" for name in sorted(NAMES))
        for dialect in Dialect:
            statement = translate(query, dialect)
            values = dict(zip(statement.names, statement.parameters(KEY, "tried"), strict=True))
            self.assertEqual(
                values,
                {
                    "key": "tried",
                    "user": "joe@example.org",
                    "local": "joe",
                    "domain": "example.org",
                    "ext": "x",
                    "protocol": "imap",
                    "client_ip": "192.0.2.1",
                    "server_ip": "192.0.2.2",
                    "sni": "mail.example.org",
                },
            )
            self.assertEqual(
                statement.varies_on, frozenset({"protocol", "client_ip", "server_ip", "sni"})
            )
        self.assertEqual(translate("SELECT $1, :user", SQLITE).varies_on, frozenset())

    def test_unknown(self) -> None:
        """Another number or name is a complaint with its place."""
        self.refused("SELECT\n $2", "line 2, column 2", "$2", "$1")
        self.refused("SELECT ?2", "line 1, column 8", "?2")
        self.refused("SELECT $10", "$10")
        self.refused("SELECT :password", ":password", ":key", ":client_ip")

    def test_text_is_left_alone(self) -> None:
        """Signs in strings, names and comments are no placeholders."""
        for dialect in Dialect:
            query = "SELECT ':key ? $1', a::key, b /* ? :x */ -- $2 :y\n FROM c WHERE d = $1"
            statement = translate(query, dialect)
            self.assertEqual(statement.names, ("key",))
            self.assertEqual("$1".join(statement.pieces), query)

    def test_question_mark_on_postgresql(self) -> None:
        """There it is a placeholder only if nothing else is: it is jsonb's operator, too."""
        query = "SELECT d FROM t WHERE j ? 'k' AND j ?| a AND i = "
        self.assertEqual(translate(f"{query}$1", POSTGRESQL).pieces, (query, ""))
        self.assertEqual(translate(f"{query}:key", POSTGRESQL).pieces, (query, ""))
        self.assertEqual(self.names("SELECT d WHERE i = ? OR e = ?", POSTGRESQL), ("key", "key"))
        operators = "SELECT d WHERE j ?| a AND j ?& a AND j @? b AND i = ?||''"
        self.assertEqual(self.names(operators, POSTGRESQL), ("key",))
        self.assertEqual(self.names("SELECT d WHERE i = ? OR e = $1", SQLITE), ("key", "key"))

    def test_slices(self) -> None:
        """On PostgreSQL the colon of a slice follows an operand; a value never does."""
        for text in (
            "a[1:2]",
            "a[b:key]",
            "a[f(1):key]",
            "a[b[1]:key]",
            "a['1':key]",
            'a["b":key]',
        ):
            self.assertEqual(self.names(f"SELECT {text}, $1", POSTGRESQL), ("key",), text)
        for text in ("ARRAY[:key]", "ARRAY[1, :key]", "a[1 + :key]", "a[(b = :key)::int]"):
            self.assertEqual(self.names(f"SELECT {text}", POSTGRESQL), ("key",), text)

    def test_neighbours(self) -> None:
        """A value must not become part of a word or string beside it."""
        for text in ("E?", "N:key", "a = 'b'?", "?'b'", "x ?1a", "'b' ?", "E'b'\n$1"):
            self.refused(f"SELECT {text}", "placeholder")
        # A dollar inside a name is a part of the name.
        self.assertEqual(self.names("SELECT E$1", POSTGRESQL), ())
        for text in ("(?)", "a=?", "?,?", "?::text", "a<?", "-?"):
            self.assertTrue(self.names(f"SELECT {text}", POSTGRESQL), text)

    def test_one_statement(self) -> None:
        """A closing semicolon is cut, a second statement refused."""
        for dialect in Dialect:
            statement = translate("SELECT ';', $1 ; -- the end\n", dialect)
            self.assertEqual(statement.pieces, ("SELECT ';', ", " "))
        self.refused("SELECT $1; DROP TABLE a", "line 1, column 12", "one statement")
        self.refused("SELECT $1;;", "one statement")
        for empty in ("", " \n", "-- a", "/* */"):
            self.refused(empty, "empty")


class StatementTests(SynchronousTestCase):
    """The texts that go to the drivers."""

    def test_sqlite(self) -> None:
        """sqlite3 takes question marks and leaves percent signs alone."""
        statement = translate("SELECT '%', :user, $1", SQLITE)
        self.assertEqual(statement.sql, "SELECT '%', ?, ?")
        self.assertEqual(statement.prepared, statement.sql)
        self.assertEqual(statement.parameters(KEY, "k"), ("joe@example.org", "k"))

    def test_format(self) -> None:
        """PyMySQL and psycopg2 format the text: percent signs are doubled, if there is a value."""
        for dialect in FORMAT:
            statement = translate("SELECT 7 % 2, '%s', $1", dialect)
            self.assertEqual(statement.sql, "SELECT 7 %% 2, '%%s', %s")
            self.assertEqual(statement.sql % "x", "SELECT 7 % 2, '%s', x")
            self.assertEqual(translate("SELECT '%'", dialect).sql, "SELECT '%'")
            self.assertEqual(translate("SELECT '%'", dialect).parameters(KEY, "k"), ())

    def test_prepared(self) -> None:
        """The servers' own form, every place on its own."""
        query = "SELECT '%', $1, :sni, $1"
        self.assertEqual(translate(query, POSTGRESQL).prepared, "SELECT '%', $1, $2, $3")
        self.assertEqual(translate(query, MYSQL).prepared, "SELECT '%', ?, ?, ?")

    def test_ansi_quotes(self) -> None:
        """A backslash in double quotes is read in two ways by MySQL's modes."""
        self.assertTrue(translate(r'SELECT "a\"", ?', MYSQL).depends_on_ansi_quotes)
        self.assertFalse(translate(r"""SELECT "a", 'b\'', ?""", MYSQL).depends_on_ansi_quotes)
        self.assertFalse(translate(r'SELECT "a\", $1', POSTGRESQL).depends_on_ansi_quotes)

    @given(FRAGMENTS | st.text(), st.sampled_from(list(Dialect)))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_no_surprise(self, query: str, dialect: Dialect) -> None:
        """The only error is ConfigurationError; the pieces are the query's, in order."""
        try:
            statement = translate(query, dialect)
        except ConfigurationError:
            return
        self.assertEqual(len(statement.pieces), len(statement.names) + 1)
        position = 0
        for piece in statement.pieces:
            position = query.index(piece, position) + len(piece)
        self.assertEqual(query[: len(statement.pieces[0])], statement.pieces[0])
        if dialect is not SQLITE and statement.names:
            plain = statement.sql % tuple("?" for _ in statement.names)
            self.assertEqual(plain, "?".join(statement.pieces))

    @given(FRAGMENTS)
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_sqlite_agrees(self, text: str) -> None:
        """Where SQLite accepts the translation it counts as many parameters as we do."""
        try:
            statement = translate(f"SELECT 1, {text}", SQLITE)
        except ConfigurationError:
            return
        self.assertNotIn("Incorrect number", _complaint(statement))


def _complaint(statement: Statement) -> str:
    connection = sqlite3.connect(":memory:")
    try:
        connection.execute(f"EXPLAIN {statement.sql}", statement.parameters(KEY, "k"))
    except sqlite3.OperationalError:
        # Most random text is no SQL.
        return ""
    except (sqlite3.Error, ValueError) as error:
        return str(error)
    finally:
        connection.close()
    return ""


class VocabularyTests(SynchronousTestCase):
    """Statements with other values than a lookup has."""

    PAIR: ClassVar = Vocabulary(frozenset({"key", "value"}), ("key", "value"))

    def test_forms(self) -> None:
        """Numbers and names on every engine; question marks stand for one after the other."""
        for dialect in Dialect:
            for values in ("$1, $2", "?, ?", "?1, ?2", ":key, :value"):
                statement = translate(f"INSERT INTO t VALUES ({values})", dialect, self.PAIR)
                self.assertEqual(statement.names, ("key", "value"))
                bound = statement.bound({"key": "k", "value": "v"})
                self.assertEqual(bound, ("k", "v"))
            turned = translate("UPDATE t SET v = $2, w = $2 WHERE k = $1", dialect, self.PAIR)
            self.assertEqual(turned.bound({"key": "k", "value": "v"}), ("v", "v", "k"))

    def refused(self, query: str, vocabulary: Vocabulary, part: str) -> None:
        """The query is a complaint in every dialect."""
        for dialect in Dialect:
            error = self.assertRaises(ConfigurationError, translate, query, dialect, vocabulary)
            self.assertIn(part, str(error))

    def test_unknown(self) -> None:
        """What has no value is a complaint that says what has."""
        self.refused("SELECT $3", self.PAIR, "only $1 (key), $2 (value) exist")
        self.refused("SELECT :sni", self.PAIR, ":key :value")
        self.refused("SELECT ?, ?, ?", self.PAIR, "3 question marks for 2 values")
        nothing = Vocabulary(frozenset(), ())
        for query in ("SELECT $1", "SELECT ?1"):
            self.refused(query, nothing, "no values")
        self.refused("SELECT ?", nothing, "1 question marks for 0 values")
        self.refused("SELECT :key", nothing, "none of none")
