"""``mailroute lookup`` and ``explain`` with real databases, and a signal in their midst."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

from tests.integration.console import SECONDS, command, environment, mailroute
from tests.integration.postgresql import PostgresServer, shared_server
from tests.integration.postmap import Ended
from tests.integration.proxy import Destination, Proxy, Settings, table
from tests.support.ports import poll

EAST = Destination("east", {"imap": (993, "implicit")}, ("east.example.org",))
WEST = Destination("west", {"imap": (143, "starttls")}, ("a.example.org", "b.example.org"))
QUERY = "SELECT destination, host, username FROM routes WHERE identifier = $1"
ROWS = [
    ("alice@example.org", "east", None, None),
    ("@example.org", "west", "c.example.org", "shared"),
    ("odd'); drop table routes; --@x.org", "east", None, None),
    ("lost@other.org", "nowhere", None, None),
]


class LookupCase(TestCase):
    """A configuration with a mapping in SQL."""

    timeout = 2 * SECONDS

    def configure(self, url: str, **more: object) -> str:
        """Write a configuration; return its path."""
        mapping = '[mapping]\nsource = "sql"\nnormalize = "lowercase"\n' + table(
            "mapping.sql",
            {"url": url, "query": QUERY, "keys": ["{user}", "@{domain}"], **more},
        )
        proxy = Proxy(Settings((EAST, WEST), mapping=mapping))
        self.addCleanup(proxy.remove)
        return str(proxy.configuration)

    def ask(self, path: str) -> None:
        """Found, absent, failed, in one and in several, with odd names."""
        self.ended(mailroute("-c", path, "lookup", "Alice@Example.ORG"), 0, "east\n")
        self.ended(mailroute("-c", path, "lookup", "bob@example.org%admin"), 0, "west\n")
        self.ended(mailroute("-c", path, "lookup", "bob@nowhere.org"), 1, "")
        self.ended(mailroute("-c", path, "lookup", "lost@other.org"), 75, "")
        odd = "odd'); drop table routes; --@x.org"
        lines = f"alice@example.org\n{odd}\nbob@nowhere.org\n"
        said = mailroute("-c", path, "lookup", "-", stdin=lines)
        self.ended(said, 1, f"alice@example.org\teast\n{odd}\teast\n")
        self.assertIn("bob@nowhere.org: account-unknown", said.stderr)

    def explain(self, path: str) -> None:
        """Each key with its parameters and its row."""
        said = mailroute("-c", path, "explain", "Bob@Example.org%admin", "--json")
        self.assertEqual(said.status, 0, said)
        steps = json.loads(said.stdout)["steps"]
        asked = [step for step in steps if step["step"] == "asked"]
        self.assertEqual(
            [(step["parameters"], step["row"]) for step in asked],
            [
                (["key=bob@example.org"], "absent"),
                (
                    ["key=@example.org"],
                    {"destination": "west", "host": "c.example.org", "username": "shared"},
                ),
            ],
        )
        self.assertTrue(all(step["ms"] > 0 for step in asked))
        route = steps[-1]
        self.assertEqual((route["step"], route["hosts"]), ("route", ["c.example.org"]))
        self.assertEqual((route["port"], route["tls"]), (143, "starttls"))
        self.assertEqual(route["login_name"], "shared%admin")
        self.assertIn("for a.example.org", route["certificate"])
        said = mailroute("-c", path, "explain", "lost@other.org")
        self.assertEqual(said.status, 75, said)
        self.assertIn("'nowhere' is not declared", said.stdout)

    def ended(self, said: Ended, status: int, stdout: str) -> None:
        """The command ended so."""
        self.assertEqual((said.status, said.stdout), (status, stdout), said)


class SqliteTests(LookupCase):
    """A file."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-console-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.file = self.folder / "routes.db"
        with closing(sqlite3.connect(self.file)) as database, database:
            database.execute("CREATE TABLE routes (identifier, destination, host, username)")
            database.executemany("INSERT INTO routes VALUES (?, ?, ?, ?)", ROWS)

    def test_lookup(self) -> None:
        """As a login would get it."""
        self.ask(self.configure(f"sqlite://{self.file}"))

    def test_explain(self) -> None:
        """Step by step."""
        self.explain(self.configure(f"sqlite://{self.file}"))

    def test_refused_query(self) -> None:
        """A query that the database refuses is the configuration's fault."""
        path = self.configure(f"sqlite://{self.file}", query="SELECT nothing WHERE x = $1")
        said = mailroute("-c", path, "lookup", "alice@example.org")
        self.ended(said, 78, "")
        self.assertIn("mapping.sql.query: the database refuses the query", said.stderr)


class PostgresTests(LookupCase):
    """A server."""

    def fill(self, server: PostgresServer) -> str:
        """A database of its own; returns its URL."""
        name = f"console_{self.id().rpartition('.')[2]}"
        server.execute(f"CREATE DATABASE {name}", database="postgres")
        with closing(server.connect(name)) as connection, connection.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE routes (identifier text, destination text, host text, username text)"
            )
            cursor.executemany("INSERT INTO routes VALUES (%s, %s, %s, %s)", ROWS)
        return server.url(name)

    def test_lookup(self) -> None:
        """As a login would get it."""
        self.ask(self.configure(self.fill(shared_server())))

    def test_explain(self) -> None:
        """Step by step."""
        self.explain(self.configure(self.fill(shared_server())))

    def test_outage(self) -> None:
        """A database that is away is a temporary failure, also in an explanation."""
        server = PostgresServer()
        self.addCleanup(server.destroy)
        server.start()
        path = self.configure(self.fill(server))
        server.stop()
        said = mailroute("-c", path, "lookup", "alice@example.org")
        self.ended(said, 75, "")
        self.assertIn("lookup-failed", said.stderr)
        said = mailroute("-c", path, "explain", "alice@example.org", "--json")
        self.assertEqual(said.status, 75, said)
        steps: list[dict[str, Any]] = json.loads(said.stdout)["steps"]
        self.assertEqual(steps[-1]["kind"], "lookup-failed")
        self.assertTrue(any("failed" in step for step in steps if step["step"] == "asked"), steps)


class SignalTests(LookupCase):
    """SIGINT while an answer is waited for."""

    def test_interrupted(self) -> None:
        """The command ends at once, with the shell's status and without a traceback."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-console-"))
        self.addCleanup(shutil.rmtree, folder)
        mapping = '[mapping]\nsource = "sql"\nlookup_timeout = "10m"\n' + table(
            "mapping.sql",
            {
                "url": f"sqlite://{folder}/x.db",
                "query": "WITH RECURSIVE n(i) AS (SELECT length($1) UNION ALL SELECT i + 1 FROM n)"
                " SELECT max(i) FROM n",
            },
        )
        sqlite3.connect(folder / "x.db").close()
        proxy = Proxy(Settings((EAST,), mapping=mapping))
        self.addCleanup(proxy.remove)
        words = command("--config", str(proxy.configuration), "lookup", "alice")
        with subprocess.Popen(
            words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process:
            self.addCleanup(process.kill)
            # It handles the signal itself once the reactor is about to run.
            self.assertTrue(poll(lambda: _catches(process.pid, signal.SIGTERM), SECONDS))
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=SECONDS)
        self.assertEqual((process.returncode, stdout), (128 + signal.SIGINT, ""), stderr)
        self.assertNotIn("Traceback", stderr)


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    caught = next(line.split()[1] for line in status.splitlines() if line.startswith("SigCgt"))
    return bool(int(caught, 16) >> (number - 1) & 1)
