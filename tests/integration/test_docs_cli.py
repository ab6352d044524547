"""Every example of ``docs/cli.md`` is true: its lines are given to a shell."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import TestCase

from mailroute.cli.main import COMMANDS
from tests.integration import servers
from tests.integration.console import SECONDS, command, environment
from tests.integration.proxy import front_certificate
from tests.support.transcripts import Block, commands, read_blocks

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


class ExampleTests(TestCase):
    """One after the other, in one folder, with real backends."""

    timeout = 5 * SECONDS

    def setUp(self) -> None:
        """A folder, a script ``mailroute`` on the path, and the servers of the document."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-docs-"))
        self.addCleanup(shutil.rmtree, self.folder)
        script = self.folder / "bin" / "mailroute"
        script.parent.mkdir()
        script.write_text(f'#!/bin/sh\nexec {shlex.join(command())} "$@"\n')
        script.chmod(0o755)
        east, west = servers.dovecot("east"), servers.dovecot("west")
        self.ports = {"993": str(east.imaps), "143": str(west.imap)}
        self.names = {
            "east.example.org": "localhost",
            "west.example.org": "127.0.0.1",
            "ca.pem": str(servers.authority().ca_file),
            "fullchain.pem": str(front_certificate().cert),
            "privkey.pem": str(front_certificate().key),
        }

    def here(self, text: str) -> str:
        """The document's words for servers and files as what they are here."""
        # In one go: a port here may begin as another one there does.
        places = "|".join(self.ports)
        text = re.sub(rf"(?<=port = )({places})\b", lambda found: self.ports[found[0]], text)
        for said, here in self.names.items():
            text = text.replace(said, here)
        return text

    def said(self, text: str) -> str:
        """The way back."""
        text = text.replace(str(self.folder), "/etc/mailroute").replace("\r\n", "\n")
        for said, here in self.ports.items():
            text = text.replace(f":{here}", f":{said}").replace(f"port: {here}", f"port: {said}")
        for said, here in self.names.items():
            text = text.replace(here, said)
        return text

    def write(self, block: Block) -> None:
        """A file; a configuration may hold secrets."""
        path = self.folder / block.name
        is_toml = path.suffix == ".toml"
        path.write_text(self.here(block.content) if is_toml else block.content, encoding="utf-8")
        path.chmod(0o640)

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
        return self.said(done.stdout.decode())

    def test_examples(self) -> None:
        """Each prints what the document says."""
        tried = 0
        for block in read_blocks(DOCUMENT):
            if block.kind == "file":
                self.write(block)
            elif block.kind == "sqlite":
                with closing(sqlite3.connect(self.folder / block.name)) as database:
                    database.executescript(block.content)
            elif block.kind == "console":
                for typed in commands(block):
                    output = self.run_shell(typed.line)
                    self.assertTrue(typed.is_shown_by(output), f"$ {typed.line}\n{output}")
                    tried += 1
            else:
                self.assertEqual(block.kind, "text", f"what is a block of {block.kind}?")
        self.assertGreater(tried, 20)

    def test_commands(self) -> None:
        """Every command has a section, and no other has."""
        headings = re.findall(r"^## `mailroute ([\w-]+)`$", DOCUMENT.read_text(), re.MULTILINE)
        self.assertEqual(set(headings), set(COMMANDS) - {"completion"})
        self.assertIn("mailroute completion", DOCUMENT.read_text())
