"""Every example of ``docs/cli.md`` is true: its lines are given to a shell."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import TestCase

from mailroute.cli.main import COMMANDS
from tests.integration.console import SECONDS, environment

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)


class ExampleTests(TestCase):
    """One after the other, in one folder."""

    timeout = 300

    def setUp(self) -> None:
        """A folder, and a script ``mailroute`` on the path."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-docs-"))
        self.addCleanup(shutil.rmtree, self.folder)
        script = self.folder / "bin" / "mailroute"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec {sys.executable} -m mailroute.cli "$@"\n')
        script.chmod(0o755)

    def run_shell(self, line: str) -> str:
        """What a line prints, standard error included."""
        variables = {
            "MAILROUTE_CONFIG": "mailroute.toml",
            "PATH": f"{self.folder}/bin:{os.environ['PATH']}",
            # What is printed first comes first, on whichever stream.
            "PYTHONUNBUFFERED": "1",
        }
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=SECONDS,
            check=False,
        )
        return done.stdout.decode().replace("\r\n", "\n")

    def test_examples(self) -> None:
        """Each prints what the document says."""
        tried = 0
        for kind, name, content in _BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
            if kind == "file":
                path = self.folder / name
                path.write_text(content, encoding="utf-8")
                path.chmod(0o640)
            elif kind == "sqlite":
                with closing(sqlite3.connect(self.folder / name)) as database:
                    database.executescript(content)
            elif kind == "console":
                for line, wanted in _COMMAND.findall(content):
                    self.assertEqual(self.run_shell(line), wanted, line)
                    tried += 1
            else:
                self.assertEqual(kind, "text", f"what is a block of {kind}?")
        self.assertGreater(tried, 15)

    def test_commands(self) -> None:
        """Every command has a section, and no other has."""
        headings = re.findall(r"^## `mailroute ([\w-]+)`$", DOCUMENT.read_text(), re.MULTILINE)
        self.assertEqual(set(headings) - set(COMMANDS), set())
        for name in ("table", "import", "export", "postmap"):
            self.assertIn(name, headings)
