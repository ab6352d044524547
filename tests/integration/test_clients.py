"""Programs that people use: curl, openssl s_client, swaks, mbsync and fetchmail.

Each verifies mailroute's certificate, logs in, and reads or sends mail at the user's server.
"""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

from tests.integration import clients, servers
from tests.integration.clients import Outcome
from tests.integration.matrix import USERS, ProxyTestCase, proxy

SCHEMES = {
    # curl's name of the protocol: ours, mode in front, and what makes curl insist on TLS.
    "imap": ("imap", "starttls", ["--ssl-reqd"]),
    "imaps": ("imap", "implicit", []),
    "pop3": ("pop3", "starttls", ["--ssl-reqd"]),
    "pop3s": ("pop3", "implicit", []),
    "smtp": ("submission", "starttls", ["--ssl-reqd"]),
    "smtps": ("submission", "implicit", []),
}
CURL_LOGIN_DENIED = 67


class ClientTestCase(ProxyTestCase):
    """Two users with a message each that only this test knows, and a folder."""

    def setUp(self) -> None:
        self.front = self.watch(proxy("implicit"))
        self.authority = str(servers.authority().ca_file)
        folder = tempfile.TemporaryDirectory(prefix="mailroute-client-")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)
        self.words = {}
        for user, (name, _secret) in USERS.items():
            self.words[user] = word = uuid.uuid4().hex
            servers.dovecot(name).clear(user)
            text = f"From: {user}\r\nTo: {user}\r\nSubject: clients\r\n\r\n{word}\r\n"
            servers.dovecot(name).deliver(user, text.encode())

    def write(self, name: str, text: str) -> str:
        """Write a file that only its owner may read; return its path."""
        path = self.folder / name
        path.touch(mode=0o600)
        path.write_text(text)
        return str(path)

    def arrived(self, user: str, recipient: str, word: str) -> None:
        """The message is at the submission server of this user."""
        (stored,) = servers.postfix(USERS[user][0]).wait_for(recipient)
        self.assertIn(word.encode(), stored)


class CurlTests(ClientTestCase):
    """All six schemes."""

    def curl(self, scheme: str, path: str, login: str, *options: str, stdin: str = "") -> Outcome:
        """Run curl with a login."""
        protocol, mode, insist = SCHEMES[scheme]
        url = f"{scheme}://localhost:{self.front.ports[protocol, mode]}/{path}"
        common = [
            "--silent",
            "--show-error",
            "--max-time",
            "50",
            "--cacert",
            self.authority,
            "--url",
            url,
        ]
        return clients.run("curl", "curl", [*common, "-u", login, *insist, *options], stdin)

    def read(self, scheme: str, path: str) -> None:
        """Both users read their own message, with each way to log in that curl knows."""
        for user, (_name, secret) in USERS.items():
            for options in ([], ["--sasl-ir"], ["--login-options", "AUTH=LOGIN"]):
                outcome = self.curl(scheme, path, f"{user}:{secret}", *options)
                self.assertEqual(outcome.status, 0, outcome)
                self.assertIn(self.words[user], outcome.output)
            denied = self.curl(scheme, path, f"{user}:wrong")
            self.assertEqual(denied.status, CURL_LOGIN_DENIED, denied)

    def send(self, scheme: str) -> None:
        """Both users send by their own server."""
        for user, (_name, secret) in USERS.items():
            recipient = f"{uuid.uuid4().hex}@elsewhere.example"
            envelope = ["--mail-from", user, "--mail-rcpt", recipient, "--upload-file", "-"]
            text = f"From: {user}\r\nSubject: curl\r\n\r\n{recipient}\r\n"
            outcome = self.curl(scheme, "", f"{user}:{secret}", *envelope, stdin=text)
            self.assertEqual(outcome.status, 0, outcome)
            self.arrived(user, recipient, recipient)
            denied = self.curl(scheme, "", f"{user}:wrong", *envelope, stdin=text)
            self.assertEqual(denied.status, CURL_LOGIN_DENIED, denied)

    def test_imap(self) -> None:
        """IMAP with STARTTLS."""
        self.read("imap", "INBOX;MAILINDEX=1")

    def test_imaps(self) -> None:
        """IMAP with implicit TLS."""
        self.read("imaps", "INBOX;MAILINDEX=1")

    def test_pop3(self) -> None:
        """POP3 with STLS."""
        self.read("pop3", "1")

    def test_pop3s(self) -> None:
        """POP3 with implicit TLS."""
        self.read("pop3s", "1")

    def test_smtp(self) -> None:
        """Submission with STARTTLS."""
        self.send("smtp")

    def test_smtps(self) -> None:
        """Submission with implicit TLS."""
        self.send("smtps")


class OpensslTests(ClientTestCase):
    """``openssl s_client``: its STARTTLS, and a whole session said in one go behind it."""

    def talk(self, protocol: str, name: str, lines: list[str]) -> str:
        """The server's words; the lines are sent without waiting for an answer."""
        target = f"localhost:{self.front.ports[protocol, 'starttls']}"
        verify = [
            "-CAfile",
            self.authority,
            "-verify_return_error",
            "-verify_hostname",
            "localhost",
        ]
        arguments = ["s_client", "-quiet", "-crlf", "-starttls", name, "-connect", target, *verify]
        stdin = "".join(line + "\n" for line in lines)
        outcome = clients.run("openssl", "openssl", arguments, stdin)
        self.assertIn("verify return:1", outcome.complaints)
        return outcome.output

    def test_imap(self) -> None:
        """IMAP."""
        for user, (_name, secret) in USERS.items():
            said = self.talk(
                "imap",
                "imap",
                [f"a LOGIN {user} {secret}", "b SELECT INBOX", "c FETCH 1 BODY[]", "d LOGOUT"],
            )
            self.assertIn(self.words[user], said)
            self.assertIn("d OK", said)

    def test_pop3(self) -> None:
        """POP3."""
        for user, (_name, secret) in USERS.items():
            said = self.talk("pop3", "pop3", [f"USER {user}", f"PASS {secret}", "RETR 1", "QUIT"])
            self.assertIn(self.words[user], said)

    def test_smtp(self) -> None:
        """Submission."""
        for user, (_name, secret) in USERS.items():
            recipient = f"{uuid.uuid4().hex}@elsewhere.example"
            auth = f"AUTH PLAIN {clients.plain(user, secret)}"
            envelope = [f"MAIL FROM:<{user}>", f"RCPT TO:<{recipient}>", "DATA"]
            text = ["Subject: openssl", "", recipient, ".", "QUIT"]
            said = self.talk("submission", "smtp", ["EHLO x", auth, *envelope, *text])
            self.assertIn("235 2.7.0", said)
            self.assertIn("221 2.0.0", said)
            self.arrived(user, recipient, recipient)


class SwaksTests(ClientTestCase):
    """swaks: AUTH PLAIN and LOGIN, STARTTLS and implicit TLS."""

    def test_swaks(self) -> None:
        """The message arrives; a wrong password is told as such."""
        for user, (_name, secret) in USERS.items():
            for mechanism in ("PLAIN", "LOGIN"):
                for mode, option in (("starttls", "--tls"), ("implicit", "--tls-on-connect")):
                    recipient = f"{uuid.uuid4().hex}@elsewhere.example"
                    target = f"localhost:{self.front.ports['submission', mode]}"
                    arguments = ["--server", target, option, "--tls-verify", "--tls-ca-path"]
                    arguments += [self.authority, "--auth", mechanism, "--auth-user", user]
                    arguments += ["--from", user, "--to", recipient, "--body", recipient]
                    denied = self.swaks([*arguments, "--auth-password", "wrong"])
                    self.assertIn("535 5.7.8", denied.output)
                    self.assertNotEqual(denied.status, 0)
                    sent = self.swaks([*arguments, "--auth-password", secret])
                    self.assertEqual(sent.status, 0, sent)
                    self.arrived(user, recipient, recipient)

    def swaks(self, arguments: list[str]) -> Outcome:
        """Run swaks, which needs a module of Perl's for TLS."""
        return clients.run("swaks", "swaks libnet-ssleay-perl", arguments)


class MailboxProgramTests(ClientTestCase):
    """Programs that fetch whole mailboxes."""

    def test_mbsync(self) -> None:
        """mbsync copies each user's mailbox, with implicit TLS and with STARTTLS."""
        for user, (_name, secret) in USERS.items():
            for mode, kind in (("implicit", "IMAPS"), ("starttls", "STARTTLS")):
                local = self.folder / f"{user}-{mode}"
                local.mkdir()
                configuration = self.write(
                    f"{user}-{mode}.rc",
                    f"IMAPAccount front\nHost localhost\nPort {self.front.ports['imap', mode]}\n"
                    f"User {user}\nPass {secret}\nSSLType {kind}\n"
                    f"CertificateFile {self.authority}\nAuthMechs LOGIN\n\n"
                    "IMAPStore far\nAccount front\n\n"
                    f"MaildirStore near\nPath {local}/\nInbox {local}/INBOX\n\n"
                    "Channel all\nFar :far:\nNear :near:\nCreate Near\nSyncState *\n",
                )
                outcome = clients.run("mbsync", "isync", ["-c", configuration, "all"])
                self.assertEqual(outcome.status, 0, outcome)
                (copy,) = (path for path in local.glob("INBOX/*/*") if path.is_file())
                self.assertIn(self.words[user], copy.read_text())

    def test_fetchmail(self) -> None:
        """fetchmail fetches by POP3 and by IMAP, with implicit TLS and with STARTTLS."""
        for user, (_name, secret) in USERS.items():
            for protocol in ("pop3", "imap"):
                for mode, tls in (("implicit", "ssl"), ("starttls", 'sslproto "tls1.2+"')):
                    word = f"{user}-{protocol}-{mode}"
                    port = self.front.ports[protocol, mode]
                    rc = self.write(
                        f"{word}.rc",
                        f"poll localhost protocol {protocol} port {port} auth password\n"
                        f'user "{user}" password "{secret}" {tls}\n'
                        f'sslcertck sslcertfile "{self.authority}"\n'
                        f'keep fetchall bsmtp "{self.folder}/{word}.out"\n',
                    )
                    pid = str(self.folder / "pid")
                    arguments = ["-f", rc, "--pidfile", pid, "--nodetach", "--nosyslog"]
                    outcome = clients.run("fetchmail", "fetchmail", arguments)
                    self.assertEqual(outcome.status, 0, outcome)
                    fetched = (self.folder / f"{word}.out").read_text()
                    self.assertIn(self.words[user], fetched)
