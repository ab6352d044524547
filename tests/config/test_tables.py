"""``[table.NAME]``."""

from __future__ import annotations

import os

from mailroute.config.hidden import Secret
from mailroute.config.reader import read
from mailroute.config.table_model import (
    ChainStep,
    ChainTable,
    FileTable,
    PlainTable,
    PostfixTable,
    RedisSettings,
    RegexpTable,
    SqlQueryTable,
    StaticTable,
    TableSettings,
    WithDomainTable,
)
from mailroute.config.tables import SECTIONS
from tests.config.reading import ConfigurationCase, configuration

SQL = 'type = "sql_query"\ndriver = "postgres"\ndsn = "dbname=d"\nlookup = "SELECT $1"'


def table(text: str, name: str = "t") -> str:
    """A section with a table."""
    return f"[table.{name}]\n{text}\n"


class TablesTests(ConfigurationCase):
    """Tables in the configuration."""

    def one(self, text: str) -> TableSettings:
        """The settings of a table."""
        return self.read_sections(capabilities=table(text)).tables["t"]

    def refused(self, key: str, text: str, *parts: str) -> None:
        """There is one complaint, about this key of the table."""
        self.complains(f"table.t.{key}", *parts, capabilities=table(text))

    def test_none(self) -> None:
        """A file without tables has none."""
        self.assertEqual(self.read_sections().tables, {})

    def test_plain(self) -> None:
        """Tables without settings."""
        for kind in ("identity", "dummy", "email_localpart", "email_localpart_optional"):
            self.assertEqual(self.one(f'type = "{kind}"'), PlainTable(kind))

    def test_file(self) -> None:
        """The file is found beside the configuration; it need not be there yet."""
        found = self.one('type = "file"\nfile = "aliases"')
        self.assertEqual(found, FileTable(os.path.join(self.folder, "aliases")))

    def test_static(self) -> None:
        """Entries of a key and one or more values, which may be empty."""
        found = self.one('type = "static"\nentries = [["k", "v1", "v2"], ["e", ""]]')
        self.assertEqual(found, StaticTable((("k", ("v1", "v2")), ("e", ("",)))))

    def test_static_faults(self) -> None:
        """Fewer than two words are no entry."""
        for entry in ("[]", '["k"]', '"k"', '["k", 1]', "{ k = 1 }"):
            self.refused("entries", f'type = "static"\nentries = [["a", "b"], {entry}]', "item 2")

    def test_regexp(self) -> None:
        """Every option is yes unless the file says otherwise."""
        text = 'type = "regexp"\nregexp = "(.+)@.+"'
        self.assertEqual(self.one(text), RegexpTable("(.+)@.+", (), True, True, True))
        options = ("full_match", "case_insensitive", "expand_placeholders")
        text += '\nreplacements = ["$1", "x"]\n' + "".join(f"{key} = false\n" for key in options)
        self.assertEqual(self.one(text), RegexpTable("(.+)@.+", ("$1", "x"), False, False, False))

    def test_with_domain(self) -> None:
        """At least one domain."""
        found = self.one('type = "email_with_domain"\ndomains = ["a.org", "b.org"]')
        self.assertEqual(found, WithDomainTable(("a.org", "b.org")))
        self.refused("domains", 'type = "email_with_domain"\ndomains = []', "empty")

    def test_sql_query(self) -> None:
        """Driver, place and lookup; everything else if the table can be changed."""
        expected = SqlQueryTable(
            "postgres", Secret("dbname=d"), "SELECT $1", (), None, None, None, None
        )
        self.assertEqual(self.one(SQL), expected)
        keys = ("list", "add", "set", "del")
        text = SQL + '\ninit = ["i"]\nnamed_args = false\n'
        text += "".join(f'{key} = "{key}"\n' for key in keys)
        expected = SqlQueryTable("postgres", Secret("dbname=d"), "SELECT $1", ("i",), *keys)
        self.assertEqual(self.one(text), expected)

    def test_sqlite_file(self) -> None:
        """SQLite's file is found beside the configuration, in every form of its name."""
        text = SQL.replace("postgres", "sqlite3")
        for dsn in ("d.db", "./d.db", "file:d.db?mode=rwc", "sqlite:d.db"):
            found = self.one(text.replace("dbname=d", dsn))
            assert isinstance(found, SqlQueryTable)
            self.assertEqual(found.dsn.reveal(), os.path.join(self.folder, "d.db"))
        found = self.one(text.replace("dbname=d", "sqlite:///tmp/d.db"))
        assert isinstance(found, SqlQueryTable)
        self.assertEqual(found.dsn.reveal(), "/tmp/d.db")

    def test_sql_query_faults(self) -> None:
        """Driver, place and lookup are needed; add and set need each other."""
        for key in ("driver", "dsn", "lookup"):
            lines = [line for line in SQL.splitlines() if not line.startswith(key)]
            self.refused(key, "\n".join(lines), "missing")
        self.refused("driver", SQL.replace("postgres", "oracle"), "sqlite3, postgres, mysql")
        self.warns("table.t.set", "add and set", capabilities=table(f'{SQL}\nadd = "x"'))
        self.warns("table.t.add", "add and set", capabilities=table(f'{SQL}\nset = "x"'))

    def test_redis(self) -> None:
        """The settings are those of the mapping."""
        found = self.one('type = "redis"\nurl = "redis://h"\nkey_prefix = ""')
        self.assertEqual(found, RedisSettings(Secret("redis://h"), "", 16))

    def test_open_password(self) -> None:
        """A password that everybody can read is warned of, in every form."""
        for key, text in (
            ("dsn", SQL.replace("dbname=d", "dbname=d password = s3cret")),
            ("dsn", SQL.replace("dbname=d", "postgres://u:s3cret@h/d")),
            ("url", 'type = "redis"\nurl = "redis://:s3cret@h"'),
        ):
            path = self.write("open.toml", configuration(capabilities=table(text)))
            os.chmod(path, 0o644)
            (warning,) = read(path, environment={}).warnings
            self.assertIn(f"table.t.{key}: everybody on this machine", warning)
            self.assertNotIn("s3cret", warning)
            self.assertEqual(self.read_sections(capabilities=table(text)).warnings, ())

    def test_postfix(self) -> None:
        """A map of Postfix by its own name."""
        found = self.one('type = "postfix"\nmap = "sqlite:/etc/postfix/routes.cf"')
        self.assertEqual(found, PostfixTable("sqlite:/etc/postfix/routes.cf", "/etc/postfix"))
        self.refused("map", 'type = "postfix"', "missing")

    def test_type(self) -> None:
        """The type is named, and one of those that are there."""
        self.refused("type", "", "missing")
        self.refused("type", 'type = "ldap"', *SECTIONS, "'ldap'")
        self.refused("type", "type = 1")
        self.complains("table.t", "must be a table", server="table.t = 1\n[server]\n")

    def test_unknown_key(self) -> None:
        """Each type has keys of its own."""
        self.refused("fil", 'type = "file"\nfile = "x"\nfil = "y"', "did you mean table.t.file?")
        self.refused("file", 'type = "dummy"\nfile = "x"', "unknown key")


class ChainTests(ConfigurationCase):
    """Chains name tables."""

    def chains(self, **steps: str) -> str:
        """Chains of steps, their names separated by blanks, and a table end."""
        text = table('type = "identity"', "end")
        for name, names in steps.items():
            items = ", ".join(f'{{ table = "{step}" }}' for step in names.split())
            text += table(f'type = "chain"\nsteps = [{items}]', name)
        return text

    def test_steps(self) -> None:
        """A step is needed unless it says that it is optional."""
        text = 'type = "chain"\nsteps = [{ table = "end" }, { table = "end", optional = true }]'
        found = self.read_sections(capabilities=self.chains() + table(text)).tables["t"]
        self.assertEqual(found, ChainTable((ChainStep("end", False), ChainStep("end", True))))

    def test_unknown(self) -> None:
        """A step names a table that is there."""
        self.complains(
            "table.a.steps",
            "there is no table 'email_local_part'; there are: a, end",
            capabilities=self.chains(a="end email_local_part"),
        )

    def test_bad_steps(self) -> None:
        """A step is a table's name, and nothing more than that it is optional."""
        for step in ('"end"', "{}", "{ table = 1 }", '{ table = "end", optonal = true }'):
            self.complains(
                "table.t.steps",
                "item 1",
                capabilities=self.chains() + table(f'type = "chain"\nsteps = [{step}]'),
            )
        step = '{ table = "end", optional = 1 }'
        text = table(f'type = "chain"\nsteps = [{step}]')
        self.complains("table.t.steps", "true or false", capabilities=self.chains() + text)

    def test_rings(self) -> None:
        """A chain that leads back to itself would never end: told once for each ring."""
        self.complains("table.a.steps", "a -> a", capabilities=self.chains(a="end a"))
        ring = self.chains(b="end c", c="a", a="end b", d="a end")
        self.complains("table.a.steps", "itself: a -> b -> c -> a", capabilities=ring)

    def test_no_ring(self) -> None:
        """A table may be used twice."""
        self.read_sections(capabilities=self.chains(a="b c", b="c c", c="end end"))
