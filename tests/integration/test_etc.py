"""What ``etc`` has for other programs, tried with those programs."""

from __future__ import annotations

import base64
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

from tests.integration.certificates import Authority
from tests.integration.daemon import (
    PATIENCE_SECONDS,
    Daemon,
    capabilities,
    destinations,
    greeted,
    listener,
    read_until,
    server,
    table,
)
from tests.support.installed import require
from tests.support.ports import free_ports
from tests.support.processes import ServerProcess

ETC = Path(__file__).parents[2] / "etc"
SECONDS = 120
FORGED = "x client=192.0.2.66:1 reason=credentials-rejected"


def run(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a program to its end."""
    environment = {**os.environ, "PYTHONPATH": str(ETC.parent)}
    return subprocess.run(
        command,
        env=environment,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )


class ExampleTests(TestCase):
    """Every configuration, with certificates and a database."""

    timeout = 4 * PATIENCE_SECONDS

    def setUp(self) -> None:
        """A certificate, its authority, and a database with everybody's tables."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-etc-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.authority = Authority(self.folder)
        self.certificate = self.authority.issue("main")
        scripts = [path.read_text() for path in (ETC / "examples").glob("*.sql")]
        with closing(sqlite3.connect(self.folder / "database")) as database:
            for name in ("routes", "mailbox_routes"):
                scripts.append(f"CREATE TABLE {name} (identifier, destination);")
            database.executescript("".join(scripts))
        (self.folder / "url").write_text("sqlite:database")

    def adapted(self, text: str) -> str:
        """The example, with the files of this test."""
        for pattern, path in (
            (r"/etc/mailroute/tls/fullchain\.pem", self.certificate.cert),
            (r"/etc/mailroute/tls/privkey\.pem", self.certificate.key),
            (r"/etc/mailroute/tls/[a-z-]*ca\.pem", self.authority.ca_file),
            (r"/etc/mailroute/database-url", self.folder / "url"),
            (r"[\w{}-]+\.internal\.example\.org", "localhost"),
            (r"(?<=sqlite://)/var/lib/mailroute/\w+\.db", self.folder / "database"),
        ):
            text = re.sub(pattern, str(path), text)
        return text

    def test_check(self) -> None:
        """``mailroute check`` has no complaint."""
        checked = 0
        for path in (ETC / "mailroute.toml", *(ETC / "examples").glob("*.toml")):
            copy = self.folder / path.name
            copy.write_text(self.adapted(path.read_text()))
            copy.chmod(0o600)
            done = run(sys.executable, "-m", "mailroute.cli", "--config", str(copy), "check")
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
            checked += 1
        self.assertGreater(checked, 3)


class Fail2banTests(TestCase):
    """The filter, over the log of a real mailroute."""

    timeout = 4 * PATIENCE_SECONDS

    def setUp(self) -> None:
        """mailroute before a server that is away."""
        require("fail2ban", ("fail2ban-regex",), "fail2ban")
        self.port, nowhere = free_ports(2)
        toml = server() + capabilities("imap") + destinations(east=nowhere)
        toml += listener(self.port) + table("mapping", source="file")
        toml += table("mapping.file", path="routes")
        self.daemon = Daemon(toml)
        self.addCleanup(self.daemon.remove)
        (self.daemon.folder / "routes").write_text("alice@example.org east\n")
        self.daemon.start(self.port)

    def fail(self, user: str) -> None:
        """A login that is refused."""
        connection, _ = greeted(self.port)
        with connection:
            said = base64.b64encode(f"\0{user}\0wrong".encode()).decode()
            connection.sendall(f"a AUTHENTICATE PLAIN {said}\r\n".encode())
            self.assertIn(b"a NO", read_until(connection, b"\r\n"))
        self.daemon.await_log("login-failed: ", self.daemon.log_text().count("login-failed: ") or 1)

    def banned(self) -> list[str]:
        """The addresses that the filter finds, one for each line that counts."""
        path = str(ETC / "fail2ban" / "filter.d" / "mailroute.conf")
        done = run("fail2ban-regex", "--print-all-matched", "-v", str(self.daemon.log), path)
        self.assertEqual(done.returncode, 0, done.stderr)
        found = re.search(r"Failregex: (\d+) total(.*?)Ignoreregex", done.stdout, re.DOTALL)
        assert found is not None, done.stdout
        addresses = re.findall(r"^\|\s+(\S+)  \w{3} ", found[2], re.MULTILINE)
        self.assertEqual(len(addresses), int(found[1]), done.stdout)
        return addresses

    def test_filter(self) -> None:
        """The user's faults count; a server that is away does not, nor does a forged address."""
        self.fail("alice@example.org")
        self.daemon.await_log("reason=backend-unreachable")
        self.assertEqual(self.banned(), [])
        self.fail("nobody@example.org")
        self.fail(FORGED)
        self.daemon.await_log("reason=account-unknown", 2)
        self.assertEqual(self.banned(), ["127.0.0.1", "127.0.0.1"])


class HAProxyTests(TestCase):
    """The front."""

    timeout = 4 * PATIENCE_SECONDS

    def test_front(self) -> None:
        """A client who comes through it is known by its own address, and served."""
        require("haproxy", ("/usr/sbin/haproxy",), "haproxy")
        port, other, front, other_front = free_ports(4)
        toml = server() + capabilities("imap") + destinations(east=1)
        toml += listener(port, proxy_protocol="required", proxy_trusted=["127.0.0.1/32"])
        toml += table("mapping", source="file") + table("mapping.file", path="routes")
        daemon = Daemon(toml)
        self.addCleanup(daemon.remove)
        (daemon.folder / "routes").write_text("alice@example.org east\n")
        daemon.start(port)
        text = (ETC / "haproxy" / "haproxy.cfg").read_text()
        text = re.sub(r"192\.0\.2\.\d+:993", f"127.0.0.1:{port}", text)
        text = re.sub(r"192\.0\.2\.\d+:465", f"127.0.0.1:{other}", text)
        text = text.replace("bind :993", f"bind 127.0.0.1:{front}")
        text = text.replace("bind :465", f"bind 127.0.0.1:{other_front}")
        path = daemon.folder / "haproxy.cfg"
        path.write_text(text.replace("maxconn 100000", "maxconn 100"))
        haproxy = ServerProcess(
            ["/usr/sbin/haproxy", "-db", "-f", str(path)], [front], daemon.folder / "haproxy.log"
        )
        self.addCleanup(haproxy.stop)
        haproxy.start()
        connection, greeting = greeted(front)
        with connection:
            self.assertTrue(greeting.startswith(b"* OK"), greeting)
            mine = connection.getsockname()[1]
            connection.sendall(b"a LOGOUT\r\n")
            daemon.await_log(f"client=127.0.0.1:{mine} ")

    def test_configuration(self) -> None:
        """HAProxy has no complaint and no warning."""
        require("haproxy", ("/usr/sbin/haproxy",), "haproxy")
        done = run("/usr/sbin/haproxy", "-c", "-f", str(ETC / "haproxy" / "haproxy.cfg"))
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertNotRegex(done.stdout + done.stderr, "WARNING|ALERT")
