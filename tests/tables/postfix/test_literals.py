"""Quoted expansions as parameters; everything else refused."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.literals import MARK, Query, make_query
from mailroute.tables.postfix.template import parse_template
from mailroute.tables.sql_lexer import Dialect

ALL = tuple(Dialect)
KEY = "o'brien@mail.x.org"


class LiteralTests(SynchronousTestCase):
    """From a template to a statement."""

    def query(self, text: str, dialect: Dialect) -> Query:
        """Read a query."""
        return make_query(parse_template(text), dialect)

    def refused(self, text: str, *dialects: Dialect) -> None:
        """The query is a complaint."""
        for dialect in dialects or ALL:
            self.assertRaises(ConfigurationError, self.query, text, dialect)

    def test_whole_literal(self) -> None:
        """'%s' is a parameter: the key never stands in the query."""
        for dialect in ALL:
            query = self.query("SELECT a FROM t WHERE b = '%s' AND c='%d'", dialect)
            mark = "?" if dialect is Dialect.SQLITE else "%s"
            self.assertEqual(query.statement.sql, f"SELECT a FROM t WHERE b = {mark} AND c={mark}")
            self.assertEqual(query.values(KEY), (KEY, "mail.x.org"))

    def test_part_of_a_literal(self) -> None:
        """A literal stays one literal, with its text around the expansions."""
        for dialect in ALL:
            query = self.query("SELECT '%u@%2.%1', 'it''s 100%% %s', 'a%%'", dialect)
            self.assertEqual(query.values(KEY), ("o'brien@x.org", f"it's 100% {KEY}"))
            self.assertTrue(query.statement.sql.endswith(("'a%'", "'a%%'")))

    def test_without_expansions(self) -> None:
        """The same query for every key: a % of its own is left alone."""
        for dialect in ALL:
            query = self.query("SELECT 'a%%'", dialect)
            self.assertEqual((query.statement.sql, query.values(KEY)), ("SELECT 'a%'", ()))

    def test_mysql_strings(self) -> None:
        """MySQL's strings: either quotes, escapes read as the server reads them."""
        query = self.query(r"""SELECT "%s", "a""b%d", 'x\'\n\%%\\%s' """, Dialect.MYSQL)
        self.assertEqual(query.values("k@d"), ("k@d", 'a"bd', "x'\n\\%\\k@d"))

    def test_backslash_before(self) -> None:
        """In MySQL a backslash before an expansion would change the key's first sign."""
        self.refused(r"SELECT '\%s'", Dialect.MYSQL)
        query = self.query(r"SELECT '\%s'", Dialect.SQLITE)
        self.assertEqual(query.values("k"), ("\\k",))

    def test_escape_strings(self) -> None:
        """PostgreSQL's E'%s' is a literal, too, as long as nothing in it is escaped."""
        query = self.query("SELECT E'%s-'", Dialect.POSTGRESQL)
        self.assertEqual(query.values("a\\b"), ("a\\b-",))
        self.refused(r"SELECT E'\n%s'", Dialect.POSTGRESQL)

    def test_names(self) -> None:
        """Quoted names, dollar quotes and prefixes do not keep a key apart."""
        self.refused('SELECT "%s"', Dialect.SQLITE, Dialect.POSTGRESQL)
        self.refused("SELECT `%s`", Dialect.SQLITE, Dialect.MYSQL)
        self.refused("SELECT [%s]", Dialect.SQLITE)
        self.refused("SELECT $$%s$$", Dialect.POSTGRESQL)
        self.refused("SELECT X'%s'")
        self.refused("SELECT U&'%s'", Dialect.POSTGRESQL)
        self.refused("SELECT a FROM t%s")
        self.refused("SELECT a FROM %u.t%s")
        self.refused("SELECT '%s")

    def test_side_by_side(self) -> None:
        """Strings side by side are one string for the server: a parameter there is none."""
        self.refused("SELECT 'a' '%s'")
        self.refused("SELECT '%s'\n'a'")
        self.refused("SELECT '%s' '%d'")

    def test_bare(self) -> None:
        """Outside of quotes an expansion takes digits only, as a number."""
        for dialect in ALL:
            query = self.query("SELECT a FROM t WHERE id = %u", dialect)
            self.assertEqual(query.values("42@x.org"), (42,))
            for key in ("1 or 1=1@x", "-1@x", "abc@x", "1e3@x", "\u0663@x", "9" * 19 + "@x"):
                self.assertRaises(LookupFailed, query.values, key)

    def test_comments(self) -> None:
        """In a comment an expansion is left out."""
        for dialect in ALL:
            query = self.query("SELECT 1 /* %s */ + '%d'", dialect)
            self.assertIn("/*  */", query.statement.sql)
            self.assertEqual(query.values("a*/@d"), ("d",))

    def test_statements(self) -> None:
        """SQLite runs the first statement, PostgreSQL all, MySQL takes only one."""
        text = "SELECT '%s'; SELECT 2;"
        self.assertEqual(self.query(text, Dialect.SQLITE).statement.sql, "SELECT ?")
        several = self.query(text, Dialect.POSTGRESQL)
        self.assertEqual((several.statement.sql, several.count), ("SELECT %s; SELECT 2", 2))
        self.refused(text, Dialect.MYSQL)
        for dialect in ALL:
            self.assertEqual(self.query("SELECT 1 ; -- x", dialect).statement.sql, "SELECT 1 ")
        self.refused(" ; ")

    def test_own_parameters(self) -> None:
        """A ? of the query's own would be a parameter without a value in SQLite."""
        self.refused("SELECT ?, '%s'", Dialect.SQLITE)
        self.assertIn("@> ?", self.query("SELECT a @> ? '%s'", Dialect.POSTGRESQL).statement.sql)

    def test_mark(self) -> None:
        """The sign that stands for expansions is not the query's own."""
        self.refused(f"SELECT '{MARK}%s'")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text("a'\"\\;-/*%`$@.", max_size=12))
    def test_key_is_no_query(self, key: str) -> None:
        """Whatever the key, the query's text is the same and the key is one value."""
        for dialect in ALL:
            query = self.query("SELECT a FROM t WHERE b = '%s'", dialect)
            before = query.statement.sql
            self.assertEqual(query.values(key), (key,))
            self.assertEqual(query.statement.sql, before)
