"""From the configuration's tables to the tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock

from mailroute import composition, table_composition
from mailroute.errors import ConfigurationError
from mailroute.table_composition import check_tables, make_tables
from mailroute.tables.contract import Key, Row
from mailroute.tables.named import NamedTables
from mailroute.tables.redis import RedisSettings, RedisTable
from mailroute.tables.sql_query import SqlQueryTable
from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import StringTable, TableSource, Values
from tests.config.reading import ConfigurationCase
from tests.tables.local_store import LocalStore

TABLES = r"""
[table.end]
type = "static"
entries = [["bob@y", "west", "x"], ["bob", "east"]]
[table.both]
type = "chain"
steps = [{ table = "aliases", optional = true }, { table = "end" }]
[table.aliases]
type = "static"
entries = [["al@x", "bob@y"]]
[table.parts]
type = "regexp"
regexp = "(.)@(.)"
replacements = ["$2", "$$"]
case_insensitive = false
[table.same]
type = "identity"
[table.none]
type = "dummy"
[table.local]
type = "email_localpart"
[table.local_or_all]
type = "email_localpart_optional"
[table.addresses]
type = "email_with_domain"
domains = ["d"]
[table.rows]
type = "sql_query"
driver = "sqlite3"
dsn = "rows.db"
lookup = "SELECT b FROM t WHERE a = :key"
list = "SELECT a FROM t"
[table.cache]
type = "redis"
url = "redis://192.0.2.1"
[table.lines]
type = "file"
file = "lines"
"""
MAPPING = '[mapping]\nsource = "table"\n[mapping.table]\nname = "{}"\n'


class TableCompositionTests(ConfigurationCase):
    """Tables of every type."""

    def tables(self, text: str = TABLES, mapping: str = MAPPING.format("same")) -> NamedTables:
        """The tables of a configuration."""
        text = text if "[table.same]" in text else text + '[table.same]\ntype = "identity"\n'
        configuration = self.read_sections(mapping=mapping, capabilities=text)
        return make_tables(configuration, MemoryReactorClock())

    def test_some(self) -> None:
        """Of tables asked for by name only they are made, and what they are made of."""
        configuration = self.read_sections(mapping=MAPPING.format("same"), capabilities=TABLES)
        made = make_tables(configuration, MemoryReactorClock(), ["both", "none"])
        self.assertEqual(set(made), {"both", "aliases", "end", "none"})

    def ask(self, tables: NamedTables, name: str, key: str) -> Values | None:
        """What a table says."""
        return self.successResultOf(Deferred.fromCoroutine(tables[name].get(key)))

    def test_types(self) -> None:
        """Each type is the table that it says, with its settings."""
        tables = self.tables()
        for name, key, values in (
            ("end", "bob@y", ("west", "x")),
            ("both", "al@x", ("west", "x")),
            ("both", "bob", ("east",)),
            ("parts", "a@b", ("b", "$")),
            ("same", "k", ("k",)),
            ("none", "k", None),
            ("local", "a@b", ("a",)),
            ("local", "a", None),
            ("local_or_all", "a", ("a",)),
            ("addresses", "a", ("a@d",)),
        ):
            self.assertEqual(self.ask(tables, name, key), values, name)
        self.assertIsInstance(tables["cache"], RedisTable)
        self.assertIsInstance(tables["rows"], SqlQueryTable)
        self.assertEqual(len(tables), 12)

    def test_regexp(self) -> None:
        """Each of its options changes the answer."""
        text = (
            '[table.a]\ntype = "regexp"\nregexp = "(a)"\nreplacements = ["$1"]\n'
            "full_match = {}\ncase_insensitive = {}\nexpand_placeholders = {}\n"
        )
        for options, answers in (
            (("true", "true", "true"), {"A": ("A",), "ab": None}),
            (("false", "true", "true"), {"A": ("A",), "ab": ("a",)}),
            (("true", "false", "true"), {"A": None, "a": ("a",), "ab": None}),
            (("true", "true", "false"), {"A": ("$1",), "ab": None}),
        ):
            tables = self.tables(text.format(*options))
            for key, values in answers.items():
                self.assertEqual(self.ask(tables, "a", key), values, options)

    def test_sql_query(self) -> None:
        """Each of its statements is carried out for what it is there for."""
        self.patch(table_composition, "make_store", lambda *_: LocalStore())
        text = (
            '[table.a]\ntype = "sql_query"\ndriver = "sqlite3"\ndsn = "rows.db"\n'
            'lookup = "SELECT b FROM t WHERE a = :key"\n'
            "init = [\"CREATE TABLE t (a UNIQUE, b)\", \"INSERT INTO t VALUES ('x', '0')\"]\n"
            'list = "SELECT a, b FROM t ORDER BY a"\n'
            'add = "INSERT INTO t VALUES (:key, :value)"\n'
            "set = \"UPDATE t SET b = :value || '!' WHERE a = :key\"\n"
            "del = \"DELETE FROM t WHERE a = :key AND b <> '0'\"\n"
        )
        for named in ("true", "false"):
            table = self.tables(f"{text}named_args = {named}\n")["a"]
            for key, value in (("k", "1"), ("k", "2"), ("l", "3")):
                self.done(table.set(key, (value,)))
            self.assertEqual(
                self.done(table.list()), [("k", ("2!",)), ("l", ("3",)), ("x", ("0",))]
            )
            self.assertEqual([self.done(table.delete(key)) for key in ("k", "x")], [True, False])
            self.assertIsNone(self.done(table.get("k")))

    def test_redis(self) -> None:
        """The server, the prefix and the connections of a table, and of the mapping."""
        made: list[tuple[str, RedisSettings]] = []
        self.patch(table_composition, "RedisTable", lambda *a: made.append(a[:2]))
        self.patch(composition, "RedisTable", lambda *a: made.append(a[:2]))
        keys = 'url = "redis://h/3"\nkey_prefix = "p/"\npool_size = 2\n'
        self.tables(f'[table.a]\ntype = "redis"\n{keys}')
        mapping = f'[mapping]\nsource = "redis"\nlookup_timeout = "7s"\n[mapping.redis]\n{keys}'
        composition.make_source(self.read_sections(mapping=mapping), MemoryReactorClock())
        (_, table), (place, redis) = made
        self.assertEqual(place, "mapping.redis")
        for settings in (table, redis):
            self.assertEqual(settings.url, "redis://h/3")
            self.assertEqual((settings.key_prefix, settings.pool_size), ("p/", 2))
        self.assertLess(table.lookup_seconds, redis.lookup_seconds)

    def done(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """What it returns."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def test_check(self) -> None:
        """Tables are tried: files are read, statements prepared."""
        text = TABLES.replace('[table.cache]\ntype = "redis"\nurl = "redis://192.0.2.1"\n', "")
        self.write("lines", "a: b\n")
        database = sqlite3.connect(Path(self.folder) / "rows.db")
        database.execute("CREATE TABLE t (a, b)")
        database.close()
        tables = self.tables(text)
        self.assertEqual(tables.check(), [])
        self.assertEqual(self.ask(tables, "lines", "a"), ("b",))
        self.write("lines", ": b\n")
        error = self.assertRaises(ConfigurationError, self.tables(text).check)
        self.assertIn("lines:1: ", str(error))

    def test_shared(self) -> None:
        """A table that a chain names is the table of that name, not another one."""
        tables = self.tables()
        self.assertIs(tables["both"]._steps[1].table, tables["end"])  # type: ignore[attr-defined]

    def test_wrap(self) -> None:
        """Each table is in its wrap, also where a chain or the mapping asks it."""
        wrapped: list[str] = []

        def wrap(place: str, table: StringTable) -> StringTable:
            wrapped.append(place)
            return StaticTable([("al@x", "west")]) if place == "table.end" else table

        configuration = self.read_sections(mapping=MAPPING.format("both"), capabilities=TABLES)
        tables = make_tables(configuration, MemoryReactorClock(), wrap=wrap)
        self.assertEqual(set(wrapped), {f"table.{name}" for name in tables})
        self.assertIsInstance(tables["end"], StaticTable)
        self.assertIs(tables["both"]._steps[1].table, tables["end"])  # type: ignore[attr-defined]
        wrapped.clear()
        composition.make_source(configuration, MemoryReactorClock(), wrap=wrap)
        self.assertIn("table.both", wrapped)
        redis = '[mapping]\nsource = "redis"\n[mapping.redis]\nurl = "redis://h"\n'
        wrapped.clear()
        composition.make_source(self.read_sections(mapping=redis), MemoryReactorClock(), wrap=wrap)
        self.assertEqual(wrapped, ["mapping.redis"])

    def test_postfix(self) -> None:
        """A map of Postfix; one that is none is a complaint with the table's name."""
        self.write("main.cf", "")
        self.write("lines", "joe@x  smtp:[mx.x]\n")
        text = (
            f'[table.a]\ntype = "postfix"\nmap = "texthash:{self.folder}/lines"\n'
            f'config_directory = "{self.folder}"\n'
        )
        tables = self.tables(text)
        tables.check()
        self.successResultOf(Deferred.fromCoroutine(tables.start()))
        self.assertEqual(self.ask(tables, "a", "joe@x"), ("smtp:[mx.x]",))
        self.assertIsNone(self.ask(tables, "a", "amy@x"))
        error = self.assertRaises(ConfigurationError, self.tables, text.replace("text", ""))
        self.assertTrue(str(error).startswith("table.a.map: hash:"), str(error))

    def test_complaints(self) -> None:
        """Everything that cannot be made is told at once, with its table."""
        text = (
            '[table.a]\ntype = "regexp"\nregexp = "("\n'
            '[table.b]\ntype = "sql_query"\ndriver = "mysql"\ndsn = "x"\nlookup = "SELECT 1"\n'
            '[table.c]\ntype = "chain"\nsteps = [{ table = "a" }]\n'
            '[table.d]\ntype = "redis"\nurl = "redis://h/x"\n'
            '[table.e]\ntype = "sql_query"\ndriver = "sqlite3"\ndsn = "x"\nlookup = "SELECT $2"\n'
            '[table.f]\ntype = "sql_query"\ndriver = "mysql"\ndsn = "mysql://h/d?ssl_ca=/nowhere"\n'
            'lookup = "SELECT 1"\n'
        )
        error = self.assertRaises(ConfigurationError, self.tables, text)
        places = [complaint.split(": ")[0] for complaint in error.complaints]
        wanted = ["table.a", "table.b.dsn", "table.d.url", "table.e.lookup", "table.f.dsn"]
        self.assertEqual(places, wanted, error.complaints)


class MappingTests(ConfigurationCase):
    """A table as the mapping."""

    def source(self, mapping: str, share: bool = False) -> TableSource:
        """The mapping's source."""
        configuration = self.read_sections(mapping=mapping, capabilities=TABLES)
        reactor = MemoryReactorClock()
        tables = make_tables(configuration, reactor) if share else None
        source = composition.make_source(configuration, reactor, tables)
        assert isinstance(source, TableSource)
        return source

    def test_table(self) -> None:
        """Any table can be the mapping: its first value is the destination."""
        for share in (False, True):
            source = self.source(MAPPING.format("both"), share)
            found = Deferred.fromCoroutine(source.lookup(Key("al@x")))
            self.assertEqual(self.successResultOf(found), Row("west"))

    def test_life(self) -> None:
        """The mapping owns its tables unless they are somebody else's."""
        self.assertIsInstance(self.source(MAPPING.format("both"))._life, NamedTables)
        self.assertIsNone(self.source(MAPPING.format("both"), share=True)._life)

    def test_only_what_serves(self) -> None:
        """Tables that the mapping does not ask are not opened for it."""
        life = self.source(MAPPING.format("both"))._life
        assert isinstance(life, NamedTables)
        self.assertEqual(set(life), {"both", "aliases", "end"})

    def test_faults(self) -> None:
        """What cannot be made is complained of, whether a login asks it or not."""
        configuration = self.read_sections(
            mapping=MAPPING.format("same"), capabilities=TABLES.replace('"(.)@(.)"', '"("')
        )
        (complaint,) = check_tables(configuration, MemoryReactorClock())
        self.assertIn("table.parts", complaint)
        good = self.read_sections(mapping=MAPPING.format("same"), capabilities=TABLES)
        self.assertEqual(check_tables(good, MemoryReactorClock()), [])

    def test_redis(self) -> None:
        """A Redis server; nothing is opened for it."""
        source = self.source('[mapping]\nsource = "redis"\n[mapping.redis]\nurl = "redis://h"\n')
        self.assertIsInstance(source._life, RedisTable)
        self.successResultOf(Deferred.fromCoroutine(source.start()))
        self.successResultOf(Deferred.fromCoroutine(source.close()))
