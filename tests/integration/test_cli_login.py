"""``mailroute login-test`` against real servers."""

from __future__ import annotations

import base64
import json
import os
import pty
import select
import shutil
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import TestCase

from mailroute.cli.redaction import WITHHELD
from tests.integration import servers
from tests.integration.certificates import Authority
from tests.integration.console import SECONDS, command, environment, mailroute
from tests.integration.postmap import Ended
from tests.integration.proxy import Destination, Proxy, Settings
from tests.support.ports import free_ports

ALICE = "alice@example.org"
ODD = "odd@example.org"


class LoginTestCase(TestCase):
    """A configuration whose one destination is the Dovecot called east."""

    timeout = 2 * SECONDS

    def setUp(self) -> None:
        self.server = servers.dovecot("east")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-console-"))
        self.addCleanup(shutil.rmtree, self.folder)

    def proxy(self, endpoints: dict[str, tuple[int, str]], **options: object) -> Proxy:
        """A configuration; nothing is started."""
        options = {"tls_ca_file": str(servers.authority().ca_file), **options}
        east = Destination("east", endpoints, options=options)
        routes = dict.fromkeys((*servers.USERS["east"], "nobody@example.org"), "east")
        proxy = Proxy(Settings((east,), routes, server={"backend_timeout": "30s"}))
        self.addCleanup(proxy.remove)
        return proxy

    def log_in(self, proxy: Proxy, user: str, secret: str, *options: str) -> Ended:
        """Run the command with a password file; the password is in nothing that it prints."""
        file = self.folder / "password"
        file.write_text(secret + "\n", encoding="utf-8")
        given = ["--config", str(proxy.configuration), "login-test", user]
        said = mailroute(*given, "--password-file", str(file), *options)
        for form in (
            secret,
            base64.b64encode(secret.encode()).decode(),
            base64.b64encode(f"\0{user}\0{secret}".encode()).decode(),
        ):
            self.assertNotIn(form, said.stdout + said.stderr)
        return said


class AcceptedTests(LoginTestCase):
    """Each protocol and mode, with the stages in their order."""

    def test_imap_implicit(self) -> None:
        """TLS first."""
        proxy = self.proxy({"imap": (self.server.imaps, "implicit")})
        said = self.log_in(proxy, ALICE, "alice-secret", "--json")
        self.assertEqual(said.status, 0, said)
        data = json.loads(said.stdout)
        self.assertEqual((data["result"], data["protocol"]), ("accepted", "imap"))
        steps = {step["step"]: step for step in data["steps"]}
        self.assertEqual(
            list(steps), ["route", "connect", "tls", "greeting", "negotiation", "login"]
        )
        self.assertTrue(all(step["ms"] >= 0 for step in data["steps"]))
        self.assertEqual(steps["route"]["port"], self.server.imaps)
        self.assertTrue(steps["tls"]["version"].startswith("TLSv1."))
        self.assertEqual(steps["tls"]["certificate"], "CN=east")
        ours = [line["text"] for line in data["transcript"] if line["who"] == "C"]
        self.assertIn("mr1 AUTHENTICATE PLAIN ****", ours)
        theirs = [line["text"] for line in data["transcript"] if line["who"] == "S"]
        self.assertRegex(theirs[0], r"^\* OK \[CAPABILITY ")
        self.assertTrue(any("mr1 OK" in line for line in theirs), theirs)

    def test_imap_starttls(self) -> None:
        """TLS after the greeting, in words for people."""
        proxy = self.proxy({"imap": (self.server.imap, "starttls")})
        said = self.log_in(proxy, ALICE, "alice-secret")
        self.assertEqual(said.status, 0, said)
        for part in ("C: mr1 STARTTLS", "*: TLSv1.", "CN=east", "AUTHENTICATE PLAIN ****"):
            self.assertIn(part, said.stdout)
        self.assertEqual(said.stdout.splitlines()[-1], "the login was accepted")

    def test_pop3(self) -> None:
        """POP3, and a password that is not made of plain words."""
        proxy = self.proxy({"pop3": (self.server.pop3s, "implicit")})
        said = self.log_in(proxy, ODD, servers.USERS["east"][ODD], "--protocol", "pop3")
        self.assertEqual(said.status, 0, said)
        self.assertIn("C: AUTH PLAIN ****", said.stdout)

    def test_submission(self) -> None:
        """Submission."""
        postfix = servers.postfix("east")
        proxy = self.proxy({"submission": (postfix.submission, "starttls")})
        said = self.log_in(proxy, ALICE, "alice-secret", "--protocol", "submission")
        self.assertEqual(said.status, 0, said)
        self.assertIn("C: STARTTLS", said.stdout)


class RefusedTests(LoginTestCase):
    """What does not lead to mail."""

    def test_wrong_password(self) -> None:
        """Refused for good."""
        proxy = self.proxy({"imap": (self.server.imaps, "implicit")})
        said = self.log_in(proxy, ALICE, "wrong-word", "--json")
        self.assertEqual(said.status, 1, said)
        self.assertEqual(json.loads(said.stdout)["result"], "refused")
        self.assertEqual(json.loads(said.stdout)["kind"], "credentials-rejected")

    def test_unknown(self) -> None:
        """An account without a route is refused before anything is dialled."""
        proxy = self.proxy({"imap": (self.server.imaps, "implicit")})
        said = self.log_in(proxy, "else@example.org", "x-y-z-secret")
        self.assertEqual(said.status, 1, said)
        self.assertIn("account-unknown", said.stdout)

    def test_unreachable(self) -> None:
        """A temporary failure."""
        (port,) = free_ports(1)
        said = self.log_in(self.proxy({"imap": (port, "implicit")}), ALICE, "alice-secret")
        self.assertEqual(said.status, 75, said)
        self.assertIn("backend-unreachable", said.stdout)

    def test_untrusted(self) -> None:
        """A certificate of somebody whom nobody trusts here: no word of the login is said."""
        proxy = self.proxy(
            {"imap": (self.server.imaps, "implicit")},
            tls_ca_file=str(_stranger(self.folder)),
        )
        said = self.log_in(proxy, ALICE, "alice-secret")
        self.assertEqual(said.status, 75, said)
        self.assertIn("backend-untrusted", said.stdout)
        self.assertNotIn("AUTHENTICATE", said.stdout)

    def test_wrong_name(self) -> None:
        """A certificate for another name is shown, so that one sees whose it is."""
        proxy = self.proxy(
            {"imap": (self.server.imaps, "implicit")}, tls_server_name="other.example.org"
        )
        said = self.log_in(proxy, ALICE, "alice-secret", "--json")
        self.assertEqual(said.status, 75, said)
        tls = next(step for step in json.loads(said.stdout)["steps"] if step["step"] == "tls")
        self.assertEqual(tls["certificate"], "CN=east")
        self.assertIn("other.example.org", tls["refused"])

    def test_secret_repeated(self) -> None:
        """A password that the server happens to say: those lines are withheld."""
        proxy = self.proxy({"imap": (self.server.imaps, "implicit")})
        said = self.log_in(proxy, ALICE, "CAPABILITY")
        self.assertEqual(said.status, 1, said)
        self.assertIn(WITHHELD, said.stdout)


class PromptTests(LoginTestCase):
    """The password is asked for where no file is named."""

    def test_prompt(self) -> None:
        """It is read from the terminal, and not shown there."""
        proxy = self.proxy({"imap": (self.server.imaps, "implicit")})
        words = command("--config", str(proxy.configuration), "login-test", ALICE)
        pid, terminal = pty.fork()
        if pid == 0:
            os.execve(words[0], words, environment())  # noqa: S606
        self.addCleanup(os.close, terminal)
        shown = _read_until(terminal, b"Password of alice@example.org: ")
        os.write(terminal, b"alice-secret\n")
        shown += _read_until(terminal, b"the login was accepted")
        _, status = os.waitpid(pid, 0)
        self.assertEqual(os.waitstatus_to_exitcode(status), 0, shown)
        self.assertNotIn(b"alice-secret", shown)


def _read_until(terminal: int, words: bytes) -> bytes:
    """What a terminal shows until then, or until its process has ended."""
    shown = b""
    until = time.monotonic() + SECONDS
    while words not in shown and time.monotonic() < until:
        if not select.select([terminal], [], [], 1)[0]:
            continue
        try:
            shown += os.read(terminal, 65536)
        except OSError:
            break
    if words not in shown:
        raise AssertionError(f"it did not come to {words!r}: {shown!r}")
    return shown


def _stranger(folder: Path) -> Path:
    """The file of an authority that has signed nothing."""
    other = folder / "other"
    other.mkdir()
    return Authority(other, "a stranger").ca_file
