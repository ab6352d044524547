"""The tutorial, done as it says: the same files, the same commands, the same answers."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from tests.support.installed import require
from tests.support.ports import free_ports, poll
from tests.support.processes import alive

ROOT = Path(__file__).parents[2]
SERVERS = ROOT / ".ci" / "install-servers"
DOCUMENT = ROOT / "docs" / "tutorial.md"
FOLDER = "/srv/tutorial"
PORTS = ("10143", "10144", "10993")
PID_FILES = ("mailroute.pid", "east/run/master.pid", "west/run/master.pid")
SECONDS = 120
VISITS = 10
"""So many connections have met both workers."""

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


class TutorialTests(TestCase):
    """Only folder and ports are others, so that nobody is in the way."""

    timeout = 4 * SECONDS

    def setUp(self) -> None:
        """What the tutorial asks for."""
        if os.geteuid() != 0:
            raise SkipTest("the tutorial's Dovecots are started by root")
        require("dovecot", ("/usr/sbin/dovecot", "/usr/lib/dovecot/imap"), "dovecot-imapd")
        require("the tutorial's programs", ("sqlite3", "openssl", "curl"), "sqlite3 openssl curl")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-tutorial-"))
        self.folder.chmod(0o755)
        self.addCleanup(self.tidy_up)
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS))), strict=True))
        # The two programs, of the sources at hand.
        scripts = self.folder / "bin"
        scripts.mkdir()
        for name, call in (
            ("twistd", "from twisted.scripts.twistd import run; run()"),
            ("mailroute", "from mailroute.cli.main import main; main()"),
        ):
            (scripts / name).write_text(f"#!{sys.executable}\n{call}\n")
            (scripts / name).chmod(0o755)
        path = f"{scripts}:{os.environ['PATH']}:/usr/sbin:/sbin"
        self.environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": path}

    def tidy_up(self) -> None:
        """End whatever goes on, and delete everything."""
        for name in PID_FILES:
            path = self.folder / name
            if path.exists():
                pid = int(path.read_text())
                if alive(pid):
                    os.kill(pid, signal.SIGTERM)
                    poll(lambda pid=pid: not alive(pid), SECONDS)  # type: ignore[misc]
        shutil.rmtree(self.folder)

    def adapted(self, text: str) -> str:
        """The text, with this test's folder and ports."""
        # In one go: what stands for one port may be another of them.
        text = re.sub("|".join(self.ports), lambda found: self.ports[found[0]], text)
        return text.replace(FOLDER, str(self.folder))

    def run_commands(self, script: str) -> str:
        """What the commands print; each of them has to succeed."""
        # Into a file: a daemon that is started here keeps a pipe open.
        output = self.folder / "output"
        with output.open("wb") as file:
            done = subprocess.run(
                ["bash", "-e", "-c", self.adapted(script)],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                timeout=SECONDS,
                check=False,
            )
        self.assertEqual(done.returncode, 0, f"{script}{output.read_text()}")
        return output.read_text()

    def wait_for(self, words: str, script: str) -> None:
        """Have the commands print these words; a reader of the tutorial types more slowly."""
        self.assertTrue(poll(lambda: words in self.run_commands(script), SECONDS), words)

    def test_tutorial(self) -> None:
        """Every file is written, every command succeeds, every answer is the one that is shown."""
        printed, shown = "", 0
        for kind, name, content in _BLOCK.findall(DOCUMENT.read_text(encoding="utf-8")):
            if kind == "console":
                # That has been done here.
                wanted = content.removeprefix("$ apt-get install ").split()
                self.assertLessEqual(set(wanted), set(SERVERS.read_text().split()))
            elif kind == "sh" and "grep user=" in content:
                self.wait_for("user=alice@example.org destination=east", content)
            elif kind == "sh" and "sleep" in content:
                # Three seconds do for a reader, and not where a machine stands still meanwhile:
                # then each worker has to have answered.
                command = content.removeprefix("sleep 3\n") * VISITS
                self.run_commands("sleep 3")
                self.assertTrue(poll(lambda c=command: "east" not in self.run_commands(c), SECONDS))
                printed = self.run_commands(content)
            elif kind == "sh":
                printed = self.run_commands(content)
            elif kind in ("file", "toml"):
                (self.folder / name).write_text(self.adapted(content))
            elif kind == "output":
                shown += 1
                self.assertEqual(printed.replace("\r", ""), content)
            if "lookup" in content and kind == "sh":
                self.assertIn("east", printed)
        self.assertEqual(shown, 2)
        ended = [self.folder / name for name in PID_FILES]
        self.assertTrue(poll(lambda: not any(path.exists() for path in ended), SECONDS))
