"""The demo as a newcomer meets it: started, and every printed command pasted into a shell."""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailroute.demo.__main__ import program
from tests.support.installed import require
from tests.support.ports import free_ports, poll
from tests.support.processes import ServerProcess
from tests.support.transcripts import commands, read_blocks

ROOT = Path(__file__).parents[2]
START = """
import sys
sys.path.insert(0, {root!r})
from twisted.internet import reactor
from mailroute.demo.__main__ import run
from mailroute.demo.configuration import FrontPorts
from mailroute.tap import makeService
sys.exit(run(reactor, makeService, FrontPorts(*{ports!r}), sys.stdout))
"""

SCRIPT = shlex.join([*("env", f"PYTHONPATH={ROOT}", sys.executable), "-m", "mailroute.cli"])


def shell(command: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """Run a command as a shell would, with ``text`` for its standard input."""
    return subprocess.run(
        ["sh", "-c", command], input=text, capture_output=True, text=True, timeout=60, check=False
    )


class DemoTests(TestCase):
    """The instructions are right, and the demo cleans up behind itself."""

    def setUp(self) -> None:
        require("curl", ("curl",), "curl")
        require("openssl", ("openssl",), "openssl")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-demo-test-"))
        self.addCleanup(shutil.rmtree, self.folder)
        ports = free_ports(6)
        self.imaps = ports[1]
        script = START.format(root=str(ROOT), ports=ports)
        self.log = self.folder / "log"
        self.demo = ServerProcess([sys.executable, "-c", script], ports, self.log)
        self.addCleanup(self.demo.stop)
        self.demo.start()
        self.assertTrue(poll(lambda: "Ctrl-C ends the demo" in self.log.read_text(), 30))
        self.text = self.log.read_text()

    def commands(self, first_word: str) -> list[str]:
        """The printed commands that begin with a word."""
        return re.findall(rf"^    ({first_word} .*)$", self.text, re.MULTILINE)

    def test_commands(self) -> Deferred[None]:
        """Alice's commands show east, Bob's show west, a sent message arrives."""
        curl = self.commands("curl")
        reads = [command for command in curl if re.search(r"INDEX=1'|/1'", command)]
        self.assertEqual(len(reads), 8)
        sends = self.commands("printf")
        self.assertEqual(len(sends), 2)
        (arrived,) = (command for command in curl if "MAILINDEX=4" in command)
        (wrong,) = (command for command in curl if ":wrong" in command)

        def paste() -> None:
            for command in reads:
                server, other = ("east", "west") if "alice" in command else ("west", "east")
                answer = shell(command)
                self.assertIn(f"You reached {server}", answer.stdout, command)
                self.assertNotIn(other, answer.stdout, command)
            for command in sends:
                self.assertEqual(shell(command).returncode, 0, command)
            self.assertIn("It arrived.", shell(arrived).stdout)
            self.assertNotEqual(shell(wrong).returncode, 0)
            self.move(reads[0])

        return deferToThread(paste)

    def move(self, read: str) -> None:
        """The commands that move an account, by the console script of the sources at hand."""
        told = self.commands(re.escape(program()))
        self.assertEqual(len(told), 2)
        for command in told:
            done = shell(command.replace(program(), SCRIPT))
            self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn("west", done.stdout)
        self.assertTrue(poll(lambda: "You reached west" in shell(read).stdout, 30))

    def test_readme(self) -> Deferred[None]:
        """What the README shows is printed by the demo, and answered as it says."""
        (block,) = [block for block in read_blocks(ROOT / "README.md") if block.kind == "demo"]
        (settings,) = re.findall(r"settings +(\S+)", self.text)
        told = []
        for typed in commands(block):
            line = typed.line.replace(":1993/", f":{self.imaps}/")
            line = re.sub(r"/tmp/mailroute-demo-\S+", settings, line)
            self.assertIn(f"    {line.replace('.venv/bin/mailroute', program())}\n", self.text)
            told.append((line.replace(".venv/bin/mailroute", SCRIPT), "\n".join(typed.printed)))
        self.assertEqual(len(told), 3)

        def paste() -> None:
            for line, answer in told:
                seen = poll(lambda line=line, answer=answer: answer in shell(line).stdout, 30)  # type: ignore[misc]
                self.assertTrue(seen, line)

        return deferToThread(paste)

    def test_by_hand(self) -> Deferred[None]:
        """The dialogue of the instructions works through openssl, TLS and STARTTLS."""
        commands = self.commands("openssl")
        self.assertEqual(len(commands), 2)
        typed = re.findall(r'"([abc] [^"]+)"', self.text)
        self.assertEqual(len(typed), 3)

        def type_in() -> None:
            for command in commands:
                answer = shell(command, "".join(f"{line}\n" for line in typed)).stdout
                self.assertIn("* 3 EXISTS", answer, command)
                self.assertIn("c OK", answer, command)

        return deferToThread(type_in)

    def test_end(self) -> Deferred[None]:
        """Either signal ends the demo with status 0, quickly, and its folder is gone."""
        match = re.search(r"settings +(\S+)/mailroute.toml", self.text)
        assert match is not None
        folder = Path(match[1])
        self.assertTrue(folder.is_dir())

        def end() -> None:
            for number in (signal.SIGTERM, signal.SIGINT):
                self.demo.start()
                self.assertEqual(self.demo.end_with(number), 0)
            self.assertFalse(folder.exists())
            self.assertNotIn("Traceback", self.log.read_text())

        return deferToThread(end)

    def test_taken_port(self) -> Deferred[None]:
        """A second demo says what is the matter, without a traceback."""
        match = re.search(r"IMAP +127\.0\.0\.1:(\d+)", self.text)
        assert match is not None
        script = START.format(root=str(ROOT), ports=[int(match[1]), *free_ports(5)])

        def start_again() -> None:
            second = subprocess.run(
                [sys.executable, "-c", script], capture_output=True, timeout=60, check=False
            )
            self.assertEqual(second.returncode, 1)
            self.assertIn(b"Is another demo running?", second.stderr)
            self.assertNotIn(b"Traceback", second.stderr)

        return deferToThread(start_again)
