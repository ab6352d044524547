"""The commands of the README, with its configuration, before two real servers."""

from __future__ import annotations

import re
import shlex
import shutil
import sqlite3
import subprocess
import tempfile
from contextlib import closing
from pathlib import Path

from twisted.trial.unittest import TestCase

from tests.integration import servers
from tests.integration.console import SECONDS, mailroute
from tests.integration.proxy import front_certificate
from tests.support.transcripts import read_blocks

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
# What the commands print here, among other things; the others are not mailroute's.
PRINTED = {
    "check --connect": "all is well",
    "lookup alice@example.org": "east\n",
    "explain alice@example.org": "destination: east",
    "login-test alice@example.org": "the login was accepted",
}


def typed() -> list[str]:
    """Every line that is to be typed, without its comment."""
    blocks = [block.content for block in read_blocks(README) if block.kind == "sh"]
    return [line.partition("  #")[0].strip() for line in "".join(blocks).splitlines()]


class MakeTests(TestCase):
    """What ``make`` is asked for."""

    timeout = 2 * SECONDS

    def test_targets(self) -> None:
        """Each target is there; ``make run`` starts the demo, whose own tests are elsewhere."""
        targets = [shlex.split(line) for line in typed() if line.startswith("make ")]
        self.assertEqual(len(targets), 3)
        for path in (ROOT / "CONTRIBUTING.md", ROOT / "docs" / "performance.md"):
            lines = re.findall(r"^    (make .*)$", path.read_text(encoding="utf-8"), re.MULTILINE)
            self.assertGreater(len(lines), 3, path)
            targets += [shlex.split(line, comments=True) for line in lines]
        for words in targets:
            done = subprocess.run(
                [words[0], "--dry-run", "--no-print-directory", *words[1:]],
                cwd=ROOT,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
            self.assertEqual(done.returncode, 0, done.stderr)
            if words == ["make", "run"]:
                self.assertIn("-m mailroute.demo", done.stdout)

    def test_package(self) -> None:
        """The package is built and installed as ``make test-package`` builds and installs it."""
        script = (ROOT / ".ci" / "test-package").read_text(encoding="utf-8")
        self.assertIn("dpkg-buildpackage -us -uc -b", typed())
        self.assertIn("dpkg-buildpackage -us -uc -b", script)
        self.assertIn("apt-get install --yes ../mailroute_*.deb", typed())
        self.assertRegex(script, r"apt-get install -qq --yes /tmp/first\.deb")


class CommandTests(TestCase):
    """The commands of mailroute."""

    timeout = 5 * SECONDS

    def setUp(self) -> None:
        """The servers, the database and the configuration, whose ports and files are others."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-readme-"))
        self.addCleanup(shutil.rmtree, self.folder)
        (text,) = [block.content for block in read_blocks(README) if block.kind == "toml"]
        self.path = self.folder / "mailroute.toml"
        self.path.write_text(self.adapted(text), encoding="utf-8")
        self.path.chmod(0o640)
        (self.folder / "password").write_text("alice-secret\n")
        with closing(sqlite3.connect(self.folder / "routes.db")) as database, database:
            database.execute("CREATE TABLE mailbox_routes (identifier, destination)")
            database.execute("INSERT INTO mailbox_routes VALUES ('alice@example.org', 'east')")

    def adapted(self, text: str) -> str:
        """The configuration as it would be on this machine."""
        for name in ("east", "west"):
            imap, submission = servers.dovecot(name), servers.postfix(name)
            before, after = re.split(rf"(?<=\[destination\.{name}\]\n)", text)
            after = after.replace("port = 993", f"port = {imap.imaps}", 1)
            after = after.replace("port = 587", f"port = {submission.submission}", 1)
            text = before + after.replace(f"{name}.mail.internal", "localhost", 1)
        for said, here in (
            ("/etc/mailroute/internal-ca.pem", servers.authority().ca_file),
            ("/etc/mailroute/fullchain.pem", front_certificate().cert),
            ("/etc/mailroute/privkey.pem", front_certificate().key),
            ("postgres://mailroute@db.internal/mail", "sqlite:routes.db"),
        ):
            self.assertIn(said, text)
            text = text.replace(said, str(here))
        return text

    def test_commands(self) -> None:
        """Each does what the README says; the configuration has no fault."""
        asked = [line.removeprefix("mailroute ") for line in typed() if line[:10] == "mailroute "]
        self.assertEqual(set(asked), set(PRINTED))
        for command in asked:
            words = shlex.split(command)
            if words[0] == "login-test":
                words += ["--password-file", str(self.folder / "password")]
            ended = mailroute(*words, more={"MAILROUTE_CONFIG": str(self.path)})
            self.assertEqual(ended.status, 0, ended)
            self.assertIn(PRINTED[command], ended.stdout)
