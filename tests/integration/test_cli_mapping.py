"""``mailroute table mapping``, ``import`` and ``export`` on the three databases, as processes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import psycopg2
from twisted.trial.unittest import TestCase

from tests.integration import engines
from tests.integration.console import SECONDS, command, environment, mailroute
from tests.integration.daemon import capabilities, destinations, listener, table
from tests.integration.engines import Engine
from tests.integration.postmap import Ended
from tests.support.ports import poll

ROWS = 2500
"""More than are written together, twice."""
_COLUMNS = "(identifier VARCHAR(100) PRIMARY KEY, destination VARCHAR(100)"


class MappingCase(TestCase):
    """A configuration whose mapping is in a database."""

    timeout = 300
    engine: Engine
    conflict = "ON CONFLICT (identifier) DO UPDATE SET destination = $2"

    def setUp(self) -> None:
        """An empty table, and a configuration with every statement."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-cli-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.engine.execute(
            "DROP TABLE IF EXISTS cli_routes",
            "DROP TABLE IF EXISTS cli_strict",
            f"CREATE TABLE cli_routes {_COLUMNS})",
        )
        self.configuration = self.configure()

    def configure(self, without: str = "") -> str:
        """Write a configuration that lacks one statement; returns its path."""
        statements = {
            "query": "SELECT destination FROM cli_routes WHERE identifier = $1",
            "upsert_query": f"INSERT INTO cli_routes VALUES ($1, $2) {self.conflict}",
            "delete_query": "DELETE FROM cli_routes WHERE identifier = $1",
            "list_query": "SELECT identifier, destination FROM cli_routes",
        }
        statements.pop(without, None)
        path = self.folder / "mailroute.toml"
        path.write_text(
            destinations(east=1143, west=1144)
            + listener(1142)
            + capabilities("imap")
            + '[server]\nhostname = "front.example.org"\n'
            + '[mapping]\nsource = "sql"\nnormalize = "lowercase"\nlookup_timeout = "20s"\n'
            + table("mapping.sql", url=self.engine.url, **statements)
        )
        path.chmod(0o600)
        return str(path)

    def call(self, *arguments: str, stdin: str = "") -> Ended:
        """Call mailroute; no password is ever told."""
        done = mailroute("--config", self.configuration, *arguments, stdin=stdin)
        self.assertNotIn("Traceback", done.stderr)
        for password in ("secret@", "p%C3%A4ss", "päss"):
            self.assertNotIn(password, done.stdout + done.stderr)
        return done

    def load(self, accounts: Iterable[tuple[str, str]], *options: str) -> Ended:
        """Import accounts."""
        text = io.StringIO()
        csv.writer(text).writerows([("identifier", "destination"), *accounts])
        path = self.folder / "accounts.csv"
        path.write_text(text.getvalue(), newline="")
        return self.call("--json", "import", *options, str(path))

    def counts(self, done: Ended) -> tuple[int, int, int, int]:
        """Added, changed, unchanged, left."""
        report = json.loads(done.stdout.splitlines()[-1])
        return report["added"], report["changed"], report["unchanged"], report["left"]

    def exported(self) -> list[tuple[str, str]]:
        """What the mapping holds."""
        done = self.call("export")
        self.assertEqual(done.status, 0, done)
        first, *rows = csv.reader(io.StringIO(done.stdout, newline=""))
        self.assertEqual(first, ["identifier", "destination"])
        return [(identifier, destination) for identifier, destination in rows]


def accounts(count: int = ROWS, destination: str = "east") -> list[tuple[str, str]]:
    """Accounts in the order in which they are exported."""
    return [(f"user{number:05}@example.org", destination) for number in range(count)]


class MappingTests:
    """A mixin: what holds on every engine."""

    def test_table(self: MappingCase) -> None:
        """Set, get, list, delete, and what each refuses."""
        name = "O'Brien\"; -- %s@example.org"
        self.assertEqual(self.call("table", "mapping", "set", name, "east").status, 0)
        self.assertEqual(self.call("table", "mapping", "set", name, "west").status, 0)
        done = self.call("table", "mapping", "get", name)
        self.assertEqual((done.status, done.stdout), (0, "west\n"))
        done = self.call("table", "mapping", "set", "joe", "north")
        self.assertEqual((done.status, done.stdout), (1, ""))
        self.assertIn("there is no destination 'north'", done.stderr)
        done = self.call("--json", "table", "mapping", "list")
        self.assertEqual(json.loads(done.stdout), {"key": name.lower(), "values": ["west"]})
        self.assertEqual(self.call("table", "mapping", "get", "joe").status, 1)
        self.assertEqual(self.call("table", "mapping", "delete", name).status, 0)
        self.assertEqual(self.call("table", "mapping", "delete", name).status, 1)
        self.assertEqual(self.exported(), [])

    def test_read_only(self: MappingCase) -> None:
        """What lacks its statement is refused by the statement's name."""
        for without, arguments in (
            ("upsert_query", ["table", "mapping", "set", "joe", "east"]),
            ("delete_query", ["table", "mapping", "delete", "joe"]),
            ("list_query", ["table", "mapping", "list"]),
            ("list_query", ["export"]),
            ("list_query", ["import", "/dev/null"]),
            ("upsert_query", ["import", "/dev/null"]),
        ):
            self.configure(without)
            done = self.call(*arguments)
            self.assertEqual((done.status, done.stdout), (78, ""), arguments)
            self.assertIn(f"mapping.sql.{without} is not configured", done.stderr)

    def test_import(self: MappingCase) -> None:
        """Many accounts, with odd names; again; changed; what is not in the file stays."""
        odd = [("comma, \"quote\" 'x'", "west"), ("per%cent%s", "west"), ("ünder", "east")]
        rows = sorted([*accounts(), *odd])
        done = self.load(rows, "--dry-run")
        self.assertEqual((done.status, self.counts(done)), (0, (ROWS + 3, 0, 0, 0)))
        self.assertEqual(self.exported(), [])
        done = self.load(rows)
        self.assertEqual((done.status, self.counts(done)), (0, (ROWS + 3, 0, 0, 0)))
        self.assertEqual(self.exported(), rows)
        self.assertEqual(self.counts(self.load(rows)), (0, 0, ROWS + 3, 0))
        moved = accounts(10, "west")
        done = self.load([*moved, ("new", "east")], "--verbose")
        self.assertEqual(self.counts(done), (1, 10, 0, 0))
        self.assertEqual(
            json.loads(done.stdout.splitlines()[0]),
            {"line": 2, "identifier": moved[0][0], "from": "east", "to": "west"},
        )
        self.assertEqual(self.exported(), sorted([*accounts()[10:], *odd, *moved, ("new", "east")]))

    def test_refused(self: MappingCase) -> None:
        """Nothing of a file with bad lines is written, or everything but those."""
        rows = [*accounts(5), ("bad", "north"), ("USER00001@example.org", "west")]
        done = self.load(rows)
        self.assertEqual((done.status, self.counts(done)), (1, (0, 0, 0, 5)))
        self.assertEqual([each["line"] for each in json.loads(done.stdout)["refused"]], [7, 8])
        self.assertEqual(self.exported(), [])
        done = self.load(rows, "--skip-bad")
        self.assertEqual((done.status, self.counts(done)), (0, (5, 0, 0, 0)))
        self.assertEqual(self.exported(), accounts(5))

    def test_failure_in_the_middle(self: MappingCase) -> None:
        """A lot that fails leaves nothing behind; running it again completes the file."""
        self.engine.execute(
            "DROP TABLE cli_routes",
            f"CREATE TABLE cli_routes {_COLUMNS}, CHECK (identifier <> 'user01500@example.org'))",
        )
        done = self.load(accounts())
        self.assertEqual((done.status, self.counts(done)), (75, (1000, 0, 0, ROWS - 1000)))
        self.assertIn("up to line 1001; run it again", done.stderr)
        self.assertEqual(self.exported(), accounts(1000))
        self.engine.execute(
            f"CREATE TABLE cli_strict {_COLUMNS})",
            "INSERT INTO cli_strict SELECT * FROM cli_routes",
            "DROP TABLE cli_routes",
            "ALTER TABLE cli_strict RENAME TO cli_routes",
        )
        done = self.load(accounts())
        self.assertEqual((done.status, self.counts(done)), (0, (ROWS - 1000, 0, 1000, 0)))
        self.assertEqual(self.exported(), accounts())

    def test_away(self: MappingCase) -> None:
        """A database that is away is a temporary failure of every command."""
        self.engine.stop()
        self.addCleanup(self.engine.start)
        path = self.folder / "accounts.csv"
        path.write_text("identifier,destination\njoe,east\n")
        for arguments in (
            ["table", "mapping", "get", "joe"],
            ["table", "mapping", "set", "joe", "east"],
            ["import", str(path)],
            ["export"],
        ):
            done = self.call(*arguments)
            self.assertEqual((done.status, done.stdout), (75, ""), done)


class SqliteTests(MappingTests, MappingCase):
    """SQLite."""

    def setUp(self) -> None:
        """See MappingCase."""
        self.engine = engines.sqlite()
        super().setUp()


class PostgresTests(MappingTests, MappingCase):
    """PostgreSQL."""

    def setUp(self) -> None:
        """See MappingCase."""
        self.engine = engines.postgresql()
        super().setUp()

    def test_interrupted(self) -> None:
        """A signal ends it in an orderly way; running it again completes the file."""
        self.load([*accounts(3)[:2], ("user00002@example.org", "west")])
        path = self.folder / "accounts.csv"
        text = "".join(f"{who},{where}\r\n" for who, where in accounts())
        path.write_text(f"identifier,destination\r\n{text}", newline="")
        with closing(psycopg2.connect(self.engine.url)) as other, other.cursor() as cursor:
            # Everybody may read the row, and whoever writes it waits.
            cursor.execute("SELECT 1 FROM cli_routes WHERE destination = 'west' FOR UPDATE")
            process = subprocess.Popen(
                command("--config", self.configuration, "import", str(path)),
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment(),
            )

            def waits() -> bool:
                cursor.execute("SELECT count(*) FROM pg_locks WHERE NOT granted")
                return bool(cursor.fetchone()[0])

            self.assertTrue(poll(waits, SECONDS))
            process.send_signal(signal.SIGINT)
            out, err = process.communicate(timeout=SECONDS)
        self.assertEqual(process.returncode, 128 + signal.SIGINT, err)
        self.assertEqual(out, b"added 0, changed 0, unchanged 2, refused 0\n")
        self.assertEqual(
            err, b"mailroute: known to be written: nothing; run it again for the rest\n"
        )
        done = self.load(accounts())
        self.assertEqual((done.status, self.counts(done)[3]), (0, 0))
        self.assertEqual(self.exported(), accounts())


class MariadbTests(MappingTests, MappingCase):
    """MariaDB."""

    conflict = "ON DUPLICATE KEY UPDATE destination = $2"

    def setUp(self) -> None:
        """See MappingCase."""
        self.engine = engines.mariadb()
        super().setUp()
