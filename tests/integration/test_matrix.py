"""Users of one listener reach different servers, in every mode in front and behind.

Two Dovecots and two Postfixes stand behind one mailroute; the clients are those of the standard
library.
"""

from __future__ import annotations

import atexit
import imaplib
import poplib
import tempfile
import time
import uuid
from datetime import datetime
from functools import cache
from typing import Any

from tests.integration import clients, servers
from tests.integration.certificates import LOCAL_NAMES, Authority, Issued
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import (
    ALICE,
    ALICE_SECRET,
    BOB,
    BOB_SECRET,
    ODD,
    ODD_SECRET,
    USERS,
    WITNESS,
    WITNESS_SECRET,
    ProxyTestCase,
    destination,
    endpoints,
    every_mode,
    proxy,
    started,
)
from tests.integration.proxy import MODES, PROTOCOLS, Destination, Proxy, Settings
from tests.integration.scripted import ScriptedBackend, secured_relay_to

VERSIONS = {"plain": "-", "starttls": "TLSv1.3", "implicit": "TLSv1.3"}


def message(word: str) -> bytes:
    """A message that only one test knows."""
    return f"Subject: matrix\r\n\r\n{word}\r\n".encode()


class MatrixTests(ProxyTestCase):
    """{IMAP, POP3, submission, ManageSieve} x three modes in front x three modes behind."""

    def put(self, user: str) -> bytes:
        """Replace the user's mail by one new message."""
        server = servers.dovecot(USERS[user][0])
        text = message(uuid.uuid4().hex)
        server.clear(user)
        server.deliver(user, text)
        return text

    def imap(self, front: Proxy, mode: str) -> None:
        """Both at once, each with another command; the backends' capabilities are shown."""
        texts = {user: self.put(user) for user in USERS}
        alice, bob = (clients.imap(front.ports["imap", mode], mode) for _ in USERS)
        with self.assertRaisesRegex(imaplib.IMAP4.error, "AUTHENTICATIONFAILED"):
            alice.login(ALICE, "wrong")
        alice.login(ALICE, ALICE_SECRET)
        bob.authenticate("PLAIN", lambda _: f"\0{BOB}\0{BOB_SECRET}".encode())
        for user, client in ((ALICE, alice), (BOB, bob)):
            self.assertIn("IDLE", client.capability()[1][0].decode())
            self.assertEqual(client.select("INBOX")[1], [b"1"])
            answer = client.fetch("1", "(RFC822)")[1][0]
            assert isinstance(answer, tuple)
            self.assertEqual(answer[1], texts[user])
            client.logout()

    def pop3(self, front: Proxy, mode: str) -> None:
        """The same with USER and PASS, and with AUTH PLAIN."""
        texts = {user: self.put(user) for user in USERS}
        alice, bob = (clients.pop3(front.ports["pop3", mode], mode) for _ in USERS)
        alice.user(ALICE)
        with self.assertRaisesRegex(poplib.error_proto, r"\[AUTH\]"):
            alice.pass_("wrong")
        alice.user(ALICE)
        alice.pass_(ALICE_SECRET)
        bob._shortcmd("AUTH PLAIN " + clients.plain(BOB, BOB_SECRET))  # type: ignore[attr-defined]
        for user, client in ((ALICE, alice), (BOB, bob)):
            self.assertEqual(client.retr(1)[1], texts[user].splitlines())
            client.quit()

    def submission(self, front: Proxy, mode: str) -> None:
        """The same with AUTH PLAIN and AUTH LOGIN; the message is at the user's own server."""
        alice, bob = (clients.submission(front.ports["submission", mode], mode) for _ in USERS)
        refusal = alice.docmd("AUTH PLAIN " + clients.plain(ALICE, "wrong"))
        self.assertEqual(refusal[0], 535)
        alice.login(ALICE, ALICE_SECRET)
        bob.user, bob.password = BOB, BOB_SECRET
        bob.auth("LOGIN", bob.auth_login)
        for user, client in ((ALICE, alice), (BOB, bob)):
            recipient = f"{uuid.uuid4().hex}@elsewhere.example"
            text = message(recipient)
            client.sendmail(user, [recipient], text)
            client.quit()
            (stored,) = servers.postfix(USERS[user][0]).wait_for(recipient)
            self.assertTrue(stored.endswith(text[text.index(b"\r\n\r\n") :]), stored)
            servers.postfix(USERS[user][0]).clear(recipient)

    def managesieve(self, front: Proxy, mode: str) -> None:
        """sieve-connect puts, lists, activates, gets and deletes a script at each one's server."""
        port = front.ports["managesieve", mode]
        if mode == "implicit":
            wrapped = ScriptedBackend(secured_relay_to(port, clients.trust()))
            self.addCleanup(wrapped.close)
            port, mode = wrapped.port, "plain"
        refused = clients.sieve(port, (ALICE, "wrong"), mode, ["list"])
        self.assertNotEqual(refused.status, 0)
        self.assertIn("Authentication refused by server", refused.complaints)
        for user, (name, secret) in USERS.items():
            script, text = uuid.uuid4().hex, f'require ["fileinto"];\nfileinto "{user}";\n'
            with tempfile.NamedTemporaryFile("w", suffix=".sieve") as local:
                local.write(text)
                local.flush()
                commands = [f"put {local.name} {script}", "list", f"activate {script}", "list"]
                done = clients.sieve(port, (user, secret), mode, [*commands, f"view {script}"])
            self.assertEqual(done.complaints, "")
            listed = f'"{script}"\n"{script}" ACTIVE\n'
            self.assertEqual(done.output.strip(), (listed + text).strip())
            stored = servers.dovecot(name).script(user, script)
            self.assertEqual(stored.read_text(), text)
            commands = ["deactivate", f"delete {script}", "list"]
            done = clients.sieve(port, (user, secret), mode, commands)
            self.assertEqual((done.status, done.output.strip(), done.complaints), (0, "", ""))
            self.assertFalse(stored.exists())


def cell(self: ProxyTestCase, protocol: str, mode: str, behind: str) -> None:
    """Two users of one listener reach different servers; a wrong password does not end it."""
    front = self.watch(proxy(behind))
    start = time.time()
    getattr(self, protocol)(front, mode)

    def sessions() -> list[dict[str, Any]]:
        # A session of another test may end, and be logged, while this one runs.
        return [s for s in front.events("session") if _began(s) >= start]

    def told() -> set[tuple[str, ...]]:
        joined = [s for s in sessions() if s["outcome"] == "joined"]
        return {(s["user"], s["destination"], s["tls"]) for s in joined}

    def failures() -> int:
        return sum(s["failures"] for s in sessions())

    # The log has one line a session, which tells who went where and how.
    expected = {(user, name, VERSIONS[mode]) for user, (name, _secret) in USERS.items()}
    front.wait_until(lambda: len(told()) >= len(expected) and failures())
    self.assertEqual(told(), expected)
    self.assertEqual(failures(), 1)


def _began(session: dict[str, Any]) -> float:
    """When it did; the log has the moment of its end, to the millisecond below."""
    return datetime.fromisoformat(session["time"]).timestamp() + 0.001 - session["seconds"]


every_mode(cell, MatrixTests)


class EncryptionBehindTests(ProxyTestCase):
    """The mode behind is really used: the backend says so."""

    def test_the_backend_saw_tls(self) -> None:
        """Dovecot logs each login with the word TLS if and only if it was encrypted."""
        for count, behind in enumerate(MODES, 1):
            front = self.watch(proxy(behind))
            with Wire("imap", front.ports["imap", "implicit"], "implicit") as wire:
                self.assertTrue(wire.log_in(WITNESS, WITNESS_SECRET).is_accepted)
            # Dovecot's lines are written behind its answers, by a process of their own.
            front.wait_until(lambda n=count: len(self.logins()) >= n)
            encrypted = [", TLS," in line for line in self.logins()]
            self.assertEqual(encrypted, [mode != "plain" for mode in MODES[:count]])

    def logins(self) -> list[str]:
        """The whole lines of Dovecot's log about the user whom only this test knows."""
        *lines, _unfinished = servers.dovecot("east").log().split("\n")
        return [line for line in lines if f"Login: user=<{WITNESS}>" in line]


class OddPasswordTests(ProxyTestCase):
    """A password with spaces, quotes and a backslash survives every way to say it."""

    def test_every_command(self) -> None:
        """By IMAP's quoted string and literal, POP3's PASS, submission's and ManageSieve's SASL."""
        front = self.watch(proxy("implicit"))
        for protocol in PROTOCOLS:
            with Wire(protocol, front.ports[protocol, "implicit"], "implicit") as wire:
                self.assertTrue(wire.log_in(ODD, ODD_SECRET).is_accepted, protocol)
        with Wire("imap", front.ports["imap", "implicit"], "implicit") as wire:
            wire.say(f"a LOGIN {ODD} {{{len(ODD_SECRET)}}}")
            self.assertTrue(wire.line().startswith("+ "))
            self.assertTrue(wire.ask(ODD_SECRET).startswith("a OK"))


class CleartextTests(ProxyTestCase):
    """Credentials in the clear are refused, unless the configuration allows them."""

    def test_in_front(self) -> None:
        """Without allow_plain_auth_without_tls the login is neither offered nor taken."""
        front = self.watch(_strict_in_front())
        offers = {"imap": "LOGINDISABLED", "pop3": "STLS"}
        refusals = {
            "imap": "a NO [PRIVACYREQUIRED",
            "pop3": "-ERR",
            "submission": "53",
            "managesieve": "NO (ENCRYPT-NEEDED)",
        }
        asked = {"imap": "a CAPABILITY", "pop3": "CAPA", "managesieve": "CAPABILITY"}
        for protocol in PROTOCOLS:
            with Wire(protocol, front.ports[protocol, "starttls"]) as wire:
                wire.say(asked.get(protocol, "EHLO x"))
                offer = self.offer(wire)
                self.assertIn(offers.get(protocol, "STARTTLS"), offer)
                for word in ("PLAIN", "USER"):
                    self.assertNotIn(word, offer)
                command = {
                    "imap": f"a LOGIN {ALICE} {ALICE_SECRET}",
                    "pop3": f"USER {ALICE}",
                    "managesieve": 'AUTHENTICATE "PLAIN"',
                }
                auth = f"AUTH PLAIN {clients.plain(ALICE, ALICE_SECRET)}"
                reply = wire.ask(command.get(protocol, auth))
                self.assertTrue(reply.startswith(refusals[protocol]), reply)

    def offer(self, wire: Wire) -> str:
        """The lines of the answer to CAPABILITY, CAPA or EHLO."""
        lines = [wire.line()]
        while not lines[-1].startswith(("a OK", "250 ", "OK")) and lines[-1] != ".":
            lines.append(wire.line())
        return "\n".join(lines)

    def test_behind(self) -> None:
        """Without allow_plaintext_auth no password leaves for a plain backend."""
        front = self.watch(_strict_behind())
        for protocol in PROTOCOLS:
            with Wire(protocol, front.ports[protocol, "implicit"], "implicit") as wire:
                self.assertIn(wire.log_in(ALICE, ALICE_SECRET).code, TEMPORARY)
                failure = front.wait_for("login-failed", client=wire.origin)
                self.assertEqual(failure["reason"], "backend-untrusted")
                self.assertIn("allow_plaintext_auth", failure["detail"])


@cache
def _strict_in_front() -> Proxy:
    routes = {ALICE: "east"}
    east = destination("east", "implicit")
    return started(Settings((east,), routes, cleartext_logins=False))


@cache
def _strict_behind() -> Proxy:
    east = destination("east", "plain", {"allow_plaintext_auth": False})
    return started(Settings((east,), {ALICE: "east"}))


TEMPORARY = ("UNAVAILABLE", "SYS/TEMP", "454 4.7.0", "TRYLATER")


class Lapsed(Authority):
    """An authority all of whose certificates have expired."""

    def issue(
        self, label: str, names: tuple[str, ...] = LOCAL_NAMES, valid_days: int = -1
    ) -> Issued:
        """Sign a certificate that ended yesterday."""
        return super().issue(label, names, valid_days)


class DistrustTests(ProxyTestCase):
    """A backend that is not who it has to be: a temporary failure, and the log names the reason."""

    def refused(self, name: str, modes: tuple[str, ...], words: str) -> None:
        """Each protocol is refused for now; the log's line has these words."""
        front = self.watch(_distrusting())
        for mode in modes:
            for protocol in PROTOCOLS:
                user = f"{name}-{mode}@example.org"
                with Wire(protocol, front.ports[protocol, "implicit"], "implicit") as wire:
                    answer = wire.log_in(user, "s3cret-never-sent")
                    self.assertIn(answer.code, TEMPORARY, answer.words)
                    failure = front.wait_for("login-failed", client=wire.origin)
                self.assertEqual(failure["reason"], "backend-untrusted", failure)
                self.assertEqual(failure["level"], "error")
                self.assertRegex(failure["detail"], words)
        self.assertNotIn("s3cret-never-sent", front.text())

    def test_wrong_authority(self) -> None:
        """A certificate of an authority that is not in tls_ca_file."""
        self.refused("stranger", ("starttls", "implicit"), "not trusted")

    def test_wrong_name(self) -> None:
        """A certificate for another name than tls_server_name."""
        self.refused("misnamed", ("starttls", "implicit"), "mail.example.net")

    def test_expired(self) -> None:
        """A certificate that has expired."""
        self.refused("lapsed", ("starttls",), "has expired")

    def test_nobody_logged_in(self) -> None:
        """No name and no password has reached the server that was not trusted."""
        self.refused("lapsed", ("starttls",), "has expired")
        self.assertNotIn("lapsed-starttls@", _lapsed().log())
        self.assertNotIn("misnamed-", servers.dovecot("east").log())


@cache
def _lapsed() -> Dovecot:
    folder = servers.authority().ca_file.parent / "lapsed"
    folder.mkdir()
    folder.chmod(0o755)
    options = Options(relay_port=servers.postfix("east").submission)
    server = Dovecot("lapsed", {ALICE: ALICE_SECRET}, Lapsed(folder), options)
    atexit.register(server.remove)
    server.start()
    return server


@cache
def _distrusting() -> Proxy:
    folder = servers.authority().ca_file.parent / "stranger"
    folder.mkdir()
    stranger = {"tls_ca_file": str(Authority(folder).ca_file)}
    misnamed = {
        "tls_ca_file": str(servers.authority().ca_file),
        "tls_server_name": "mail.example.net",
    }
    found = [
        Destination(f"{name}-{mode}", endpoints("east", mode), ("localhost",), options)
        for name, options in (("stranger", stranger), ("misnamed", misnamed))
        for mode in ("starttls", "implicit")
    ]
    old = _lapsed()
    ports = (old.imap, old.pop3, old.submission, old.sieve)
    places = dict(zip(PROTOCOLS, ports, strict=True))
    starttls = {protocol: (port, "starttls") for protocol, port in places.items()}
    ca_file = servers.authority().ca_file.parent / "lapsed" / "ca.pem"
    found.append(
        Destination("lapsed-starttls", starttls, ("localhost",), {"tls_ca_file": str(ca_file)})
    )
    return started(Settings(tuple(found), {f"{d.name}@example.org": d.name for d in found}))
