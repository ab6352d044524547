"""What the documentation has other programs read is read by those programs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SkipTest, TestCase

from tests.support.installed import SEARCH_PATH, require
from tests.support.transcripts import Block, read_blocks

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
DEBIAN = ROOT / "debian"
INTERFACES = Path("/sys/class/net")
IFF_LOOPBACK, IFF_MULTICAST = 0x8, 0x1000
SECONDS = 120


def can_multicast(flags: Path) -> bool:
    """Whether an interface with these flags can speak VRRP."""
    return int(flags.read_text(), 16) & (IFF_LOOPBACK | IFF_MULTICAST) == IFF_MULTICAST


class ProgramCase(TestCase):
    """A folder, and blocks of the documents."""

    timeout = 4 * SECONDS

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-docs-"))
        self.folder.chmod(0o755)
        self.addCleanup(shutil.rmtree, self.folder)

    def blocks(self, kind: str) -> list[Block]:
        """Those of one kind, of every document; there is one at least."""
        paths = [path for path in sorted(DOCS.rglob("*.md")) if "_build" not in path.parts]
        found = [block for path in paths for block in read_blocks(path) if block.kind == kind]
        self.assertNotEqual(found, [], kind)
        return found

    def write(self, name: str, text: str) -> Path:
        """Write a file that nobody else can change."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.chmod(0o644)
        return path

    def accepts(self, *command: str | Path, status: int = 0) -> str:
        """The program ends with this status; returns what it said on standard error."""
        done = subprocess.run(
            [str(word) for word in command],
            env={**os.environ, "PATH": SEARCH_PATH},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual(done.returncode, status, done.stdout + done.stderr)
        self.printed = done.stdout
        return done.stderr


class SystemdTests(ProgramCase):
    """Units and drop-ins, each at the place that its first line names, beside our own unit."""

    def verify(self, more: str = "") -> str:
        """What systemd-analyze has to say of all of them."""
        require("systemd", ("systemd-analyze",), "systemd")
        unit = (DEBIAN / "mailroute.service").read_text(encoding="utf-8")
        # The package is not installed here.
        unit = re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", unit, flags=re.MULTILINE)
        texts = {"mailroute.service": unit + more}
        for block in self.blocks("ini"):
            if found := re.match(r"# /etc/systemd/system/(\S+)\n", block.content):
                name = found[1]
                texts[name] = texts.get(name, "") + block.content
        self.assertEqual(len(texts), 3)
        paths = [self.write(name, text) for name, text in texts.items()]
        units = [path for path in paths if path.suffix in (".service", ".socket")]
        return self.accepts("systemd-analyze", "verify", "--man=no", *units)

    def test_units(self) -> None:
        """systemd has no complaint."""
        self.assertEqual(self.verify(), "")

    def test_faults(self) -> None:
        """It would have one."""
        self.assertIn("Unknown key", self.verify("\n[Service]\nNoSuchKey=1\n"))


class KeepalivedTests(ProgramCase):
    """The address that moves."""

    def test_configuration(self) -> None:
        """keepalived takes the configuration, and with it the script."""
        require("keepalived", ("keepalived",), "keepalived")
        if os.geteuid() != 0:
            raise SkipTest("keepalived mistrusts every script that is not root's to run")
        (block,) = self.blocks("keepalived")
        # keepalived 2.2 ends itself in its own test once it has changed users.
        text = block.content.replace("script_user nobody", "script_user root")
        all_flags = sorted(INTERFACES.glob("*/flags"))
        interfaces = [path.parent.name for path in all_flags if can_multicast(path)]
        if not interfaces:
            # keepalived asks for one that is there.
            text = re.sub(r"vrrp_instance.*", "", text, flags=re.DOTALL)
        text = text.replace("eth0", (interfaces or ["eth0"])[0])
        said = self.accepts("keepalived", "--config-test", "-f", self.write("good.conf", text))
        self.assertEqual(said, "")
        bad = self.write("bad.conf", text.replace("enable_script_security", ""))
        self.accepts("keepalived", "--config-test", "-f", bad, status=6)


class HAProxyTests(ProgramCase):
    """The core of the front; the whole of it is tried elsewhere."""

    def test_configuration(self) -> None:
        """HAProxy takes it, with the time-outs that the text demands."""
        require("haproxy", ("haproxy",), "haproxy")
        (block,) = self.blocks("haproxy")
        whole = (ROOT / "etc" / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
        # One for each frontend of the whole; sections that say their mode have it twice.
        core = re.sub(r"    mode tcp\n", "", block.content)
        for section in core.strip().split("\n\n"):
            self.assertIn(section, whole)
        defaults = re.findall(r"^defaults\n(?: .*\n|\n)+", whole, re.MULTILINE)
        path = self.write("haproxy.cfg", "".join(defaults) + block.content)
        said = self.accepts("haproxy", "-c", "-f", path)
        self.assertNotRegex(self.printed + said, "WARNING|ALERT")


class Fail2banTests(ProgramCase):
    """The jail."""

    def test_jail(self) -> None:
        """fail2ban takes it and knows what to do."""
        require("fail2ban", ("fail2ban-client",), "fail2ban")
        shutil.copytree("/etc/fail2ban", self.folder / "fail2ban")
        for path in (self.folder / "fail2ban" / "jail.d").iterdir():
            path.unlink()
        shutil.copy(
            ROOT / "etc" / "fail2ban" / "filter.d" / "mailroute.conf",
            self.folder / "fail2ban" / "filter.d",
        )
        (jail,) = [block.content for block in self.blocks("ini") if "[mailroute]" in block.content]
        self.assertTrue(jail.startswith("# /etc/fail2ban/jail.d/mailroute.conf\n"))
        self.write("fail2ban/jail.d/mailroute.conf", jail)
        self.accepts("fail2ban-client", "-c", self.folder / "fail2ban", "-d")
        for words in (
            "['add', 'mailroute', 'systemd']",
            "['set', 'mailroute', 'addjournalmatch', '_SYSTEMD_UNIT=mailroute.service']",
            "['set', 'mailroute', 'maxretry', 10]",
            "['start', 'mailroute']",
        ):
            self.assertIn(words, self.printed)
        self.assertIn("login-failed: ", self.printed)


class LogrotateTests(ProgramCase):
    """The package's file."""

    def test_configuration(self) -> None:
        """logrotate takes it."""
        require("logrotate", ("logrotate",), "logrotate")
        text = (DEBIAN / "mailroute.logrotate").read_text(encoding="utf-8")
        # The package's user is not here.
        text = text.replace("mailroute mailroute", "root root")
        text = text.replace("/var/log/mailroute", str(self.folder))
        self.write("mailroute.log", "a line\n")
        path = self.write("logrotate.conf", text)
        said = self.accepts("logrotate", "--debug", "--state", self.folder / "state", path)
        self.assertIn(str(self.folder / "mailroute.log"), said)
        self.assertNotIn("error", said)


class BackendTests(ProgramCase):
    """Settings of the servers behind mailroute."""

    def test_dovecot(self) -> None:
        """Dovecot knows each of them, and has taken each value."""
        require("dovecot", ("doveconf", "/usr/lib/dovecot/imap-login"), "dovecot-imapd")
        blocks = [block for block in self.blocks("dovecot") if block.name == "dovecot.conf"]
        text = "protocols = imap\nssl = no\n" + "".join(block.content for block in blocks)
        path = self.write("dovecot.conf", text)
        self.assertNotRegex(self.accepts("doveconf", "-n", "-c", path), "Error|Fatal|Warning")
        settings = re.findall(r"^\s*(\w+ = .*)$", "".join(b.content for b in blocks), re.MULTILINE)
        self.assertGreater(len(settings), 5)
        for setting in settings:
            self.assertIn(setting, self.printed)

    def test_postfix(self) -> None:
        """Postfix knows each of them."""
        require("postfix", ("postconf",), "postfix")
        main, master = (block.content for block in self.blocks("postfix"))
        shutil.copy("/usr/share/postfix/master.cf.dist", self.folder / "master.cf")
        with (self.folder / "master.cf").open("a", encoding="utf-8") as file:
            file.write(master)
        self.write("main.cf", "compatibility_level = 3.6\n" + main)
        self.assertEqual(self.accepts("postconf", "-c", self.folder, "-n"), "")
        for line in main.splitlines():
            self.assertIn(line, self.printed.splitlines())
        self.assertEqual(self.accepts("postconf", "-c", self.folder, "-M", "10587/inet"), "")
        self.assertIn("smtpd_upstream_proxy_protocol=haproxy", self.printed)
        self.assertEqual(self.accepts("postconf", "-c", self.folder, "-P", "10587/inet/*"), "")
