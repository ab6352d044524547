"""``[mapping]``"""

from __future__ import annotations

import os

from mailroute.config.model import FileMapping, LookupSettings, Secret, SqlMapping
from mailroute.config.reader import read
from mailroute.config.table_model import RedisSettings
from tests.config.reading import SECTIONS, ConfigurationCase, configuration

QUERY = "SELECT destination FROM routes WHERE identifier = $1"


def sql(url: str, extra: str = "") -> str:
    """A mapping to a database whose URL is given as TOML."""
    return (
        f'[mapping]\nsource = "sql"\n[mapping.sql]\nurl = {url}\nquery = """{QUERY}"""\n{extra}\n'
    )


class MappingTests(ConfigurationCase):
    """Where accounts are looked up."""

    def test_sql_defaults(self) -> None:
        """What a short file means."""
        url = Secret(f"sqlite://{self.folder}/routes.db")
        expected = LookupSettings(
            source="sql",
            normalize="none",
            positive_ttl_seconds=600,
            negative_ttl_seconds=30,
            stale_ttl_seconds=86400,
            cache_max_entries=1000000,
            lookup_timeout_seconds=5,
            on_error="tempfail",
            sql=SqlMapping(url, QUERY, 16, ("{user}",)),
            file=None,
        )
        found = self.read_sections().mapping
        self.assertEqual(found, expected)
        self.assertEqual(found.table_timeout_seconds, 4.9)

    def test_short_timeout(self) -> None:
        """A table has nearly all of a short time, too."""
        mapping = '[mapping]\nsource = "sql"\nlookup_timeout = "100ms"\n[mapping.sql]\n'
        mapping += f'url = "sqlite:routes.db"\nquery = "{QUERY}"\n'
        found = self.read_sections(mapping=mapping).mapping
        self.assertAlmostEqual(found.table_timeout_seconds, 0.095)

    def test_all(self) -> None:
        """Every key reaches its field."""
        found = self.read_sections(
            routing='[routing]\ndefault_destination = "east"\n',
            mapping='[mapping]\nsource = "sql"\nnormalize = "lowercase"\npositive_ttl = "1s"\n'
            'negative_ttl = "2s"\nstale_ttl = "3s"\ncache_max_entries = 4\n'
            'lookup_timeout = "6s"\non_error = "default"\n[mapping.sql]\npool_size = 7\n'
            'url = "mysql://h/d"\nquery = "SELECT 1"\nkeys = ["{user}", "@{domain}", "*"]\n',
        ).mapping
        sql = SqlMapping(Secret("mysql://h/d"), "SELECT 1", 7, ("{user}", "@{domain}", "*"))
        expected = LookupSettings("sql", "lowercase", 1, 2, 3, 4, 6, "default", sql, None)
        self.assertEqual(found, expected)

    def test_file(self) -> None:
        """The file is found beside the configuration, and has to be readable."""
        path = self.write("routes", "alice east\n")
        text = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'
        found = self.read_sections(mapping=text).mapping
        self.assertEqual((found.file, found.sql), (FileMapping(path), None))
        self.complains(
            "mapping.file.path", "No such file", mapping=text.replace("routes", "missing")
        )

    def test_source(self) -> None:
        """The source is never guessed."""
        self.complains("mapping.source", "missing", mapping="")
        self.complains(
            "mapping.source", "sql, file, redis, table", mapping='[mapping]\nsource = "x"\n'
        )

    def test_redis(self) -> None:
        """A Redis server: its URL, a prefix for the keys, the number of connections."""
        text = '[mapping]\nsource = "redis"\n[mapping.redis]\nurl = "redis://:s3cret@h:1/2"\n'
        found = self.read_sections(mapping=text).mapping
        expected = RedisSettings(Secret("redis://:s3cret@h:1/2"), "route:", 16)
        self.assertEqual((found.redis, found.sql, found.file), (expected, None, None))
        self.assertNotIn("s3cret", repr(found))
        self.complains("mapping.redis.url", "missing", mapping='[mapping]\nsource = "redis"\n')
        self.complains(
            "mapping.redis.url", "rediss://", mapping=text.replace("redis://", "http://")
        )

    def test_table(self) -> None:
        """A table of the file, which has to be there; one with faults of its own is."""
        text = '[mapping]\nsource = "table"\n[mapping.table]\nname = "routes"\n'
        table = '[table.routes]\ntype = "identity"\n'
        self.assertEqual(self.read_sections(mapping=text + table).mapping.table, "routes")
        self.complains("mapping.table.name", "no table 'routes'; there are: none", mapping=text)
        self.complains("table.routes.type", mapping=text + table.replace("identity", "identty"))
        self.complains("mapping.table.name", "missing", mapping='[mapping]\nsource = "table"\n')

    def test_what_the_source_needs(self) -> None:
        """A database needs URL and query, a file its path."""
        found = self.complaints(configuration(mapping='[mapping]\nsource = "sql"\n'))
        self.assertEqual(
            [c.split(": ")[1] for c in found], ["mapping.sql.url", "mapping.sql.query"]
        )
        self.complains("mapping.file.path", "missing", mapping='[mapping]\nsource = "file"\n')

    def test_idle_table(self) -> None:
        """The settings of the other source are not used, and that is said."""
        self.write("routes", "")
        self.warns(
            "mapping.file",
            "not used",
            mapping=SECTIONS["mapping"] + '[mapping.file]\npath = "routes"\n',
        )
        self.warns(
            "mapping.sql",
            "not used",
            mapping='[mapping]\nsource = "file"\nfile.path = "routes"\nsql.url = "mysql://h/d"\n',
        )

    def test_urls(self) -> None:
        """Relative SQLite paths start at the configuration; other URLs stay as they are."""
        for given, expected in (
            ("sqlite:///var/lib/r.db", "sqlite:///var/lib/r.db"),
            ("sqlite:/var/lib/r.db", "sqlite:///var/lib/r.db"),
            ("sqlite:data/r.db?x=1", f"sqlite://{self.folder}/data/r.db?x=1"),
            ("sqlite://r.db", f"sqlite://{self.folder}/r.db"),
            ("postgres://u@a,b/d?sslmode=require", "postgres://u@a,b/d?sslmode=require"),
            ("postgresql://h/d", "postgresql://h/d"),
        ):
            found = self.read_sections(mapping=sql(f'"{given}"')).mapping.sql
            assert found is not None
            self.assertEqual(found.url.reveal(), expected)

    def test_folder_with_signs(self) -> None:
        """The folder becomes part of a URL: what means something there is percent-encoded."""
        folder = os.path.join(self.folder, "a?b%20c")
        os.mkdir(folder)
        for name in ("chain.pem", "key.pem"):
            os.link(os.path.join(self.folder, name), os.path.join(folder, name))
        path = self.write("a?b%20c/m.toml", configuration(mapping=sql('"sqlite:x%20y.db"')))
        found = read(path, environment={}).mapping.sql
        assert found is not None
        self.assertEqual(found.url.reveal(), f"sqlite://{self.folder}/a%3Fb%2520c/x%20y.db")

    def test_bad_urls(self) -> None:
        """A complaint about a URL never shows it: it may hold a password."""
        for url in ("s3cret", "redis://:s3cret@h", "mysql:s3cret", "sqlite:", "s3cret://h/d"):
            found = self.complaints(configuration(mapping=sql(f'"{url}"')))
            self.assertEqual(len(found), 1, found)
            self.assertIn("mapping.sql.url: ", found[0])
            self.assertNotIn("s3cret", found[0])
        self.complains("mapping.sql.url", "$CREDENTIALS", mapping=sql('{ credential = "x" }'))

    def test_url_from_elsewhere(self) -> None:
        """The URL may be kept outside of the file."""
        text = configuration(mapping=sql('{ env = "DB" }'))
        found = self.read(text, DB="mysql://u:s3cret@h/d")
        assert found.mapping.sql is not None
        self.assertEqual(found.mapping.sql.url.reveal(), "mysql://u:s3cret@h/d")
        self.assertNotIn("s3cret", repr(found))

    def test_open_password(self) -> None:
        """A password in a file that everybody can read is worth a warning; else there is none."""
        for url, mode, environment, expected in (
            ('"mysql://u:s3cret@h/d"', 0o644, {}, 1),
            ('"postgres://u@h/d?password=s3cret"', 0o644, {}, 1),
            ('"mysql://u:s3cret@h/d"', 0o640, {}, 0),
            ('"mysql://u@h/d"', 0o644, {}, 0),
            ('{ env = "DB" }', 0o644, {"DB": "mysql://u:s3cret@h/d"}, 0),
        ):
            path = self.write("open.toml", configuration(mapping=sql(url)))
            os.chmod(path, mode)
            warnings = read(path, environment=environment).warnings
            self.assertEqual(len(warnings), expected, (url, warnings))
            for warning in warnings:
                self.assertIn("mapping.sql.url: ", warning)
                self.assertNotIn("s3cret", warning)

    def test_key_templates(self) -> None:
        """A template names parts of the account; anything else is a mistake."""
        for template in (
            "{usr}",
            "{user",
            "{}",
            "{0}",
            "{user!r}",
            "{user:>9}",
            "{user.x}",
            "{{x}}",
            "",
        ):
            self.complains(
                "mapping.sql.keys", mapping=sql('"mysql://h/d"', f'keys = ["{template}"]')
            )

    def test_changes(self) -> None:
        """Statements that change and list the mapping."""
        keys = ("upsert_query", "delete_query", "list_query")
        text = "\n".join(f'{key} = "{key} $1"' for key in keys)
        found = self.read_sections(mapping=sql('"mysql://h/d"', text)).mapping.sql
        for key in keys:
            self.assertEqual(getattr(found, key), f"{key} $1")
            self.complains(f"mapping.sql.{key}", mapping=sql('"mysql://h/d"', f'{key} = " "'))

    def test_bad_values(self) -> None:
        """Times, sizes and words."""
        for text in (
            'normalize = "upper"',
            "positive_ttl = 600",
            'lookup_timeout = "0s"',
            'on_error = "reject"',
            "cache_max_entries = 0",
        ):
            self.complains(
                f"mapping.{text.partition(' ')[0]}",
                mapping=SECTIONS["mapping"].replace("[mapping]\n", f"[mapping]\n{text}\n"),
            )
