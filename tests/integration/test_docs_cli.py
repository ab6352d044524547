"""Every example of ``docs/cli.md`` is true, with real backends."""

from __future__ import annotations

import os
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
from tests.support.transcripts import Blocks, Command, read_blocks

DOCUMENT = Path(__file__).parents[2] / "docs" / "cli.md"


class DocumentTests(TestCase):
    """The sessions, one after the other, in one folder."""

    timeout = 5 * SECONDS

    def setUp(self) -> None:
        east, west = servers.dovecot("east"), servers.dovecot("west")
        # What the document says, and what it is here.
        self.here = (
            ("port = 993", f"port = {east.imaps}"),
            ("port = 143", f"port = {west.imap}"),
            ("east.example.org", "localhost"),
            ("west.example.org", "127.0.0.1"),
            ("ca.pem", str(servers.authority().ca_file)),
            ("fullchain.pem", str(front_certificate().cert)),
            ("privkey.pem", str(front_certificate().key)),
        )
        self.ports = {str(east.imaps): "993", str(west.imap): "143"}
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-docs-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def prepare(self, blocks: Blocks) -> None:
        """Write the files, the configuration and a command called mailroute."""
        for name, text in blocks.files.items():
            (self.folder / name).write_text(text)
        for name, script in blocks.databases.items():
            with closing(sqlite3.connect(self.folder / name)) as database:
                database.executescript(script)
        toml = blocks.toml
        for said, here in self.here:
            toml = toml.replace(said, here)
        (self.folder / "mailroute.toml").write_text(toml)
        programs = self.folder / "bin"
        programs.mkdir()
        script = programs / "mailroute"
        script.write_text(f'#!/bin/sh\nexec {" ".join(command())} "$@"\n')
        script.chmod(0o755)

    def run_line(self, line: str) -> tuple[int, str]:
        """Type a command; returns its status and output, in the document's words."""
        path = f"{self.folder / 'bin'}:{os.environ['PATH']}"
        more = {"PATH": path, "MAILROUTE_CONFIG": str(self.folder / "mailroute.toml")}
        done = subprocess.run(
            ["/bin/sh", "-c", line],
            cwd=self.folder,
            env=environment(more),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        text = done.stdout.replace(str(self.folder), "/etc/mailroute")
        for here, said in self.ports.items():
            text = text.replace(f":{here}", f":{said}").replace(f"port: {here}", f"port: {said}")
        for said, here in self.here:
            text = text.replace(here, said)
        return done.returncode, text

    def test_sessions(self) -> None:
        """Each prints what the document says, and ends so."""
        blocks = read_blocks(DOCUMENT)
        self.prepare(blocks)
        self.assertGreater(len(blocks.commands), 10)
        wrong = []
        for typed in blocks.commands:
            status, output = self.run_line(typed.line)
            if status != typed.status or not typed.is_shown_by(output):
                wrong.append(_report(typed, status, output))
        self.assertEqual(wrong, [], "\n".join(wrong))

    def test_every_command(self) -> None:
        """Every command has an example."""
        lines = [each.line for each in read_blocks(DOCUMENT).commands]
        text = DOCUMENT.read_text(encoding="utf-8")
        for name in COMMANDS:
            if name == "completion":
                self.assertIn("mailroute completion", text)
            else:
                self.assertTrue(any(f" {name} " in f"{line} " for line in lines), name)


def _report(typed: Command, status: int, output: str) -> str:
    return f"$ {typed.line}\n{output}(exit status {status})"
