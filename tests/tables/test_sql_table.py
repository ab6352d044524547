"""From a key over the query's parameters to a row."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.contract import Key, Row
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_table import (
    NO_PLACEHOLDER,
    FirstRow,
    SqlSettings,
    SqlTable,
    bad_query,
    one_line,
    unreachable,
)


class _Table(SqlTable):
    """Notes the questions; answers out of a dictionary by the first parameter."""

    dialect = Dialect.POSTGRESQL
    names: tuple[str, ...] = ("d",)

    def __init__(self, settings: SqlSettings, clock: Clock) -> None:
        super().__init__(settings, clock)
        self.asked: list[tuple[tuple[str, ...], float]] = []
        self.rows: dict[str, tuple[object, ...]] = {}

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        self.asked.append((parameters, until))
        if parameters[0] not in self.rows:
            return None
        return FirstRow(self.names, self.rows[parameters[0]])

    def _check(self) -> str | None:
        return None


class SqlTableTests(SynchronousTestCase):
    """What the engines share."""

    def make(self, query: str = "SELECT d WHERE i = $1", *keys: str) -> _Table:
        """A table with five seconds for a lookup, at the hundredth second."""
        clock = Clock()
        clock.advance(100)
        return _Table(SqlSettings("sqlite:a", query, keys or ("{user}",), lookup_timeout=5), clock)

    def found(self, table: _Table, key: Key) -> Row | None:
        """Look up."""
        return self.successResultOf(Deferred.fromCoroutine(table.lookup(key)))

    def test_templates(self) -> None:
        """Keys are tried in order, within one time for all, until the first hit."""
        table = self.make("SELECT d WHERE i = $1", "{user}", "{domain}", "*")
        table.rows = {"x.org": ("east",), "*": ("west",)}
        self.assertEqual(self.found(table, Key("joe@x.org")), Row("east"))
        self.assertEqual(table.asked, [(("joe@x.org",), 105), (("x.org",), 105)])
        self.assertEqual(self.found(table, Key("joe")), Row("west"))

    def test_lookup_by(self) -> None:
        """Whoever tells what is asked sees each question of the same lookup, with its answer."""
        table = self.make("SELECT d WHERE i = $1", "{user}", "{domain}", "*")
        table.rows = {"x.org": ("east",), "*": ("west",)}
        seen: list[tuple[tuple[str, ...], Row | None]] = []

        async def answer(parameters: tuple[str, ...], until: float) -> Row | None:
            row = await table.answer(parameters, until)
            seen.append((parameters, row))
            return row

        found = Deferred.fromCoroutine(table.lookup_by(Key("joe@x.org"), answer))
        self.assertEqual(self.successResultOf(found), Row("east"))
        self.assertEqual(seen, [(("joe@x.org",), None), (("x.org",), Row("east"))])
        self.assertEqual(table.asked, [(("joe@x.org",), 105), (("x.org",), 105)])

    def test_empty_row_is_no_hit(self) -> None:
        """A row of NULLs is an absence: the next key is tried."""
        table = self.make("SELECT d WHERE i = $1", "{user}", "*")
        table.rows = {"joe": (None,), "*": ("west",)}
        self.assertEqual(self.found(table, Key("joe")), Row("west"))
        table.rows["*"] = ("",)
        self.assertIsNone(self.found(table, Key("joe")))

    def test_no_key(self) -> None:
        """Without a key to try there is no question."""
        table = self.make()
        self.assertIsNone(self.found(table, Key("")))
        self.assertEqual(table.asked, [])

    def test_varies_on(self) -> None:
        """The table names the session's values that its query uses."""
        table = self.make("SELECT d WHERE i = :key AND p = :protocol AND u = :user")
        self.assertEqual(table.varies_on, frozenset({"protocol"}))
        self.found(table, Key("joe", protocol="imap"))
        self.assertEqual(table.asked, [(("joe", "imap", "joe"), 105)])

    def test_unreadable_row(self) -> None:
        """A value that is no text is a failure."""
        table = self.make()
        table.rows = {"joe": (b"\xff",)}
        self.failureResultOf(Deferred.fromCoroutine(table.lookup(Key("joe"))), LookupFailed)

    def test_unknown_columns(self) -> None:
        """They are logged once."""
        events = []

        @implementer(ILogObserver)  # type: ignore[untyped-decorator]
        def observe(event: LogEvent) -> None:
            if event["log_level"] is LogLevel.warn:
                events.append(event["text"])

        globalLogPublisher.addObserver(observe)
        self.addCleanup(globalLogPublisher.removeObserver, observe)
        table = self.make()
        table.names = ("d", "colour")
        table.rows = {"joe": ("east", "red")}
        for _ in range(2):
            self.found(table, Key("joe"))
        self.assertEqual(events, ["columns of the query are ignored: colour"])

    def test_check(self) -> None:
        """A query without a placeholder is a warning: perhaps it stands in quotes."""
        self.assertEqual(self.make().check(), [])
        self.assertEqual(self.make("SELECT d WHERE i = '$1'").check(), [NO_PLACEHOLDER])

    def test_configuration(self) -> None:
        """Query and templates are read at once."""
        self.assertRaises(ConfigurationError, self.make, "SELECT $2")
        self.assertRaises(ConfigurationError, self.make, "SELECT $1", "{who}")

    def test_messages(self) -> None:
        """One line of bounded length; the URL is in no repr."""
        self.assertEqual(one_line(ValueError("a\n  b\r\nc")), "a b c")
        self.assertEqual(one_line(ValueError()), "ValueError")
        self.assertLess(len(one_line(ValueError("a" * 10_000))), 400)
        self.assertIn("mapping.sql.query", bad_query(ValueError("a")))
        self.assertIn("mapping.sql.url", unreachable(ValueError("a")))
        self.assertNotIn("s3cret", repr(SqlSettings("mysql://u:s3cret@h/d", "q")))
