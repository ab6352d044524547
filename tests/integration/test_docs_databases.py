"""The guide's schema and statements, on every engine that it names."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration import engines
from tests.integration.daemon import destinations, listener, server
from tests.test_docs import DOCS, blocks

ROOT = Path(__file__).parents[2]
GUIDE = DOCS / "guides" / "databases.md"
SECONDS = 120
ENGINES = {
    "postgresql": engines.postgresql,
    "mysql": engines.mariadb,
    "sqlite": engines.sqlite,
}


class GuideTests(TestCase):
    """A new database, the schema of the guide, and the commands that use its statements."""

    timeout = 4 * SECONDS

    def setUp(self) -> None:
        """A folder for the configuration."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-guide-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def mailroute(self, *arguments: str) -> str:
        """What the console script prints; it has to succeed."""
        done = subprocess.run(
            [sys.executable, "-m", "mailroute.cli", "--config", "mailroute.toml", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        return done.stdout

    def try_engine(self, name: str) -> None:
        """Look up, set, list and remove by what the guide says."""
        engine = ENGINES[name]()
        ((_, schema),) = blocks(GUIDE, "sql")
        statements = [each.strip() for each in schema.split(";") if each.strip()]
        engine.execute("DROP TABLE IF EXISTS mailbox_routes", *statements)
        (text,) = [text for label, text in blocks(GUIDE, "toml") if label == name]
        self.assertIn("sql", tomllib.loads(text)["mapping"])
        # The server of the test is elsewhere.
        text, changes = re.subn(r'(?m)^url = ".*"$', f"url = {json.dumps(engine.url)}", text)
        self.assertEqual(changes, 1)
        path = self.folder / "mailroute.toml"
        path.write_text(server() + listener(143) + destinations(east=1, west=2) + text)
        path.chmod(0o600)
        self.assertIn("east", self.mailroute("lookup", "alice@example.org"))
        self.mailroute("table", "mapping", "set", "carol@example.org", "east")
        self.mailroute("table", "mapping", "set", "carol@example.org", "west")
        self.assertIn("west", self.mailroute("lookup", "carol@example.org"))
        self.mailroute("table", "mapping", "delete", "alice@example.org")
        listed = self.mailroute("table", "mapping", "list")
        self.assertNotIn("alice", listed)
        self.assertRegex(listed, r"bob@example\.org\W+west")

    def test_postgresql(self) -> None:
        """PostgreSQL."""
        self.try_engine("postgresql")

    def test_mariadb(self) -> None:
        """MariaDB."""
        self.try_engine("mysql")

    def test_sqlite(self) -> None:
        """SQLite."""
        self.try_engine("sqlite")
