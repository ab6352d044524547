"""The commands for tables, as processes, where the mapping is no database of its own."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration import engines
from tests.integration.console import mailroute
from tests.integration.daemon import capabilities, destinations, listener, table
from tests.integration.postmap import Ended
from tests.integration.redis_server import RedisServer

ROWS = 1200
ACCOUNTS = [f"user{number:05}@example.org" for number in range(ROWS)]
MAPPING_TABLE = '[mapping.table]\nname = "x"\n'
STATEMENTS = {
    "lookup": "SELECT v FROM t WHERE k = :key",
    "list": "SELECT k, v FROM t",
    "add": "INSERT INTO t VALUES (:key, :value)",
    "set": "UPDATE t SET v = :value WHERE k = :key",
    "del": "DELETE FROM t WHERE k = :key",
}


class TablesCase(TestCase):
    """A folder and a configuration in it."""

    timeout = 300

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-tables-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)

    def configure(self, mapping: str) -> None:
        """Write a configuration with this mapping, and the tables below it."""
        path = self.folder / "mailroute.toml"
        path.write_text(
            destinations(east=1143, west=1144)
            + listener(1142)
            + capabilities("imap")
            + '[server]\nhostname = "front.example.org"\n[mapping]\nlookup_timeout = "20s"\n'
            + mapping
        )
        path.chmod(0o600)

    def of_table(self, **settings: object) -> None:
        """Let a table be the mapping."""
        self.configure('source = "table"\n' + MAPPING_TABLE + table("table.x", **settings))

    def call(self, *arguments: str, stdin: str = "") -> Ended:
        """Call mailroute."""
        config = str(self.folder / "mailroute.toml")
        done = mailroute("--config", config, *arguments, stdin=stdin)
        self.assertNotIn("Traceback", done.stderr)
        return done

    def round(self) -> None:
        """Import, again, changed; export; the accounts that were there stay."""
        lines = "".join(f"{account},east\r\n" for account in ACCOUNTS)
        text = f"identifier,destination\r\n{lines}"
        for added, changed, unchanged in ((ROWS, 0, 0), (0, 0, ROWS)):
            done = self.call("import", "-", stdin=text)
            counts = f"added {added}, changed {changed}, unchanged {unchanged}, refused 0\n"
            self.assertEqual((done.status, done.stdout), (0, counts), done)
        changes = f"identifier,destination\r\n{ACCOUNTS[7]},west\r\n"
        self.assertIn("added 0, changed 1,", self.call("import", "-", stdin=changes).stdout)
        wanted = text.replace(f"{ACCOUNTS[7]},east", f"{ACCOUNTS[7]},west")
        self.assertEqual(self.call("export").stdout, wanted)
        self.assertEqual(self.call("table", "mapping", "delete", ACCOUNTS[7]).status, 0)
        done = self.call("table", "mapping", "get", ACCOUNTS[7], ACCOUNTS[8])
        self.assertEqual((done.status, done.stdout), (1, f"{ACCOUNTS[8]}\teast\n"))

    def refused(self, statement: str) -> None:
        """An import names the statement that is missing."""
        done = self.call("import", "/dev/null")
        self.assertEqual(done.status, 78)
        self.assertIn(statement, done.stderr)


class MappingTests(TablesCase):
    """What the mapping can be."""

    def test_redis(self) -> None:
        """Redis itself; away it is a temporary failure."""
        server = RedisServer()
        self.addCleanup(server.destroy)
        server.start()
        self.configure('source = "redis"\n' + table("mapping.redis", url=server.url()))
        self.round()
        server.stop()
        done = self.call("table", "mapping", "get", "joe")
        self.assertEqual((done.status, done.stdout), (75, ""))
        self.assertNotIn("s3cret", done.stderr)

    def test_sql_query(self) -> None:
        """A table of statements."""
        with closing(sqlite3.connect(self.folder / "t.db")) as database:
            database.execute("CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT)")
        settings = {"type": "sql_query", "driver": "sqlite3", "dsn": "t.db"}
        self.of_table(**settings, **STATEMENTS)
        self.round()
        for missing in ("add", "set", "list"):
            kept = {name: text for name, text in STATEMENTS.items() if name != missing}
            self.of_table(**settings, **kept)
            self.refused(f"table.x.{missing}")

    def test_sql_query_of_a_server(self) -> None:
        """The same statements on the other engines."""
        statements = {**STATEMENTS, "list": "SELECT k, v FROM t ORDER BY k"}
        for driver, engine in (("postgres", engines.postgresql()), ("mysql", engines.mariadb())):
            create = "CREATE TABLE t (k VARCHAR(100) PRIMARY KEY, v TEXT)"
            engine.execute("DROP TABLE IF EXISTS t", create)
            self.of_table(type="sql_query", driver=driver, dsn=engine.url, **statements)
            self.round()

    def test_file(self) -> None:
        """A file of lines, which keeps its comments."""
        (self.folder / "lines").write_text("# who lives where\n")
        self.of_table(type="file", file="lines")
        self.round()
        self.assertTrue((self.folder / "lines").read_text().startswith("# who lives where\n"))

    def test_mapping_file(self) -> None:
        """The mapping's own file."""
        (self.folder / "routes").write_text("# who lives where\n")
        self.configure('source = "file"\n' + table("mapping.file", path="routes"))
        self.round()
        self.assertTrue((self.folder / "routes").read_text().startswith("# who lives where\n"))

    def test_static(self) -> None:
        """What stands in the configuration is not changed."""
        self.of_table(type="static", entries=[["joe", "east"]])
        self.refused("static is read-only")
        self.assertEqual(self.call("export").stdout.splitlines()[1:], ["joe,east"])


class NamedTests(TablesCase):
    """A table that is not the mapping."""

    def test_changes(self) -> None:
        """Any text may be its value, and several of a file's."""
        (self.folder / "lines").write_text("info: joe\n")
        self.configure(
            'source = "table"\n'
            + MAPPING_TABLE
            + table("table.x", type="dummy")
            + table("table.lines", type="file", file="lines")
        )
        self.assertEqual(self.call("table", "lines", "set", "team", "joe", "amy").status, 0)
        done = self.call("--json", "table", "lines", "list")
        entries = [json.loads(line) for line in done.stdout.splitlines()]
        wanted = [{"key": "info", "values": ["joe"]}, {"key": "team", "values": ["joe", "amy"]}]
        self.assertEqual(entries, wanted)
        done = self.call("table", "lines", "set", "a:b", "joe")
        self.assertEqual(done.status, 1)
        self.assertIn("has a colon", done.stderr)
        self.assertEqual(self.call("table", "mapping", "get", "joe").status, 1)
