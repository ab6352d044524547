"""EXTERNAL: a client's certificate logs in at a real Dovecot, which never sees it.

mailroute verifies the certificate and logs in as a master user on behalf of the account.
"""

from __future__ import annotations

import atexit
import ssl
from functools import cache

from tests.integration import clients, servers
from tests.integration.certificates import Issued
from tests.integration.clients import Wire, plain
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, started
from tests.integration.proxy import PROTOCOLS, Destination, Proxy, Settings
from tests.support.secured import Certificates

MASTER, MASTER_SECRET = "proxy", "the proxy's own password"
BOB, BOB_SECRET = "bob@example.org", "bob's own password"
DESTINATIONS = {ALICE: "masters", BOB: "trusting", "guest@example.org": "everybody"}
BEGIN = {
    "imap": "a AUTHENTICATE EXTERNAL",
    "pop3": "AUTH EXTERNAL",
    "submission": "AUTH EXTERNAL",
    "managesieve": 'AUTHENTICATE "EXTERNAL"',
}
ACCEPTED = dict(zip(PROTOCOLS, ("a OK", "+OK", "235", "OK"), strict=True))
REFUSED = dict(
    zip(PROTOCOLS, ("a NO [AUTHENTICATIONFAILED]", "-ERR [AUTH]", "535", 'NO "'), strict=True)
)


@cache
def backend() -> Dovecot:
    """A Dovecot with a master user."""
    options = Options(
        relay_port=servers.postfix("east").submission,
        extra=_masters(),
    )
    users = {ALICE: ALICE_SECRET, BOB: BOB_SECRET}
    server = Dovecot("masters", users, servers.authority(), options)
    (server.folder / "masters").write_text(f"{MASTER}:{{PLAIN}}{MASTER_SECRET}::::::\n")
    configuration = server.folder / "dovecot.conf"
    configuration.write_text(configuration.read_text().replace("FOLDER", str(server.folder)))
    atexit.register(server.remove)
    server.start()
    return server


def _masters() -> str:
    settings = ("driver = passwd-file", "master = yes", "args = FOLDER/masters")
    return "\n".join(("auth_master_user_separator = *", "passdb {", *settings, "}", ""))


def destination(name: str, **options: object) -> Destination:
    """The Dovecot by a name, with options of its own."""
    server = backend()
    ports = {
        "imap": (server.imaps, "implicit"),
        "pop3": (server.pop3, "starttls"),
        "submission": (server.submission, "starttls"),
        "managesieve": (server.sieve, "starttls"),
    }
    trust = {"tls_ca_file": str(servers.authority().ca_file)}
    return Destination(name, ports, options={**trust, **options})


@cache
def front() -> Proxy:
    """The mailroute before it."""
    master = {"master_user": MASTER, "password": MASTER_SECRET}
    return started(
        Settings(
            (
                destination("masters", **master),
                destination("trusting", allow_unchecked_passwords=True, **master),
                destination("everybody", username=ALICE),
            ),
            DESTINATIONS,
            capabilities={"sasl": ["PLAIN", "EXTERNAL"]},
            client_ca=str(servers.authority().ca_file),
            # A TLS session is resumed by the worker that began it.
            server={"workers": 1},
            extra='[routing]\nmaster_user_separators = ["*"]\n',
        )
    )


@cache
def alice() -> Issued:
    """A certificate for alice's mail address."""
    return servers.authority().issue("alice-laptop", ("laptop.example.org", ALICE))


class HolderWire(Wire):
    """A client who shows a certificate."""

    def __init__(self, protocol: str, port: int, issued: Issued | None) -> None:
        self._issued = issued
        super().__init__(protocol, port, "implicit")

    def context(self) -> ssl.SSLContext:
        """See Wire."""
        context = ssl.create_default_context(cafile=str(servers.authority().ca_file))
        if self._issued is not None:
            context.load_cert_chain(self._issued.cert, self._issued.key)
        return context


class ExternalTests(ProxyTestCase):
    """Who has shown what, and where it leads."""

    def connect(self, protocol: str, issued: Issued | None) -> Wire:
        """A greeted client."""
        wire = HolderWire(protocol, self.watch(front()).ports[protocol, "implicit"], issued)
        self.addCleanup(wire.close)
        return wire

    def offers(self, wire: Wire) -> bool:
        """Whether EXTERNAL is among the mechanisms."""
        questions = zip(PROTOCOLS, ("c CAPABILITY", "CAPA", "EHLO x", "CAPABILITY"), strict=True)
        wire.say(dict(questions)[wire.protocol])
        ends = dict(zip(PROTOCOLS, ("c OK", ".", "250 ", "OK"), strict=True))[wire.protocol]
        found = False
        while line := wire.line():
            found = found or "EXTERNAL" in line
            if line.startswith(ends):
                return found
        raise EOFError

    def begin(self, wire: Wire) -> None:
        """The command, and the request for the name."""
        wire.say(BEGIN[wire.protocol])
        self.assertRegex(wire.line(), r'^(\+|334|"")')

    def answer(self, wire: Wire, message: str) -> str:
        """What is said to the name."""
        return wire.ask(f'"{message}"' if wire.protocol == "managesieve" else message)

    def test_certificate(self) -> None:
        """The mail address in the certificate is the account; the backend sees its master user."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, alice())
            self.assertTrue(self.offers(wire), protocol)
            if protocol == "imap":
                answer = wire.ask(BEGIN[protocol] + " =")
            else:
                self.begin(wire)
                answer = self.answer(wire, "")
            self.assertTrue(answer.startswith(ACCEPTED[protocol]), answer)
            wire.close()
            session = front().wait_for("session", client=wire.origin)
            self.assertEqual((session["user"], session["outcome"]), (ALICE, "joined"))
        # Dovecot writes it behind its answer.
        front().wait_until(lambda: f"user=<{ALICE}>" in backend().log())

    def test_starttls(self) -> None:
        """The same behind STARTTLS, where the greeting came before the certificate."""
        wire = Wire("imap", self.watch(front()).ports["imap", "starttls"])
        self.addCleanup(wire.close)
        self.assertNotIn("EXTERNAL", wire.greeting)
        self.assertTrue(wire.ask("s STARTTLS").startswith("s OK"))
        context = ssl.create_default_context(cafile=str(servers.authority().ca_file))
        context.load_cert_chain(alice().cert, alice().key)
        secure = context.wrap_socket(wire.socket, server_hostname="localhost")
        secure.sendall(b"a AUTHENTICATE EXTERNAL =\r\nb SELECT INBOX\r\n")
        said = b""
        while b"\r\nb OK" not in said:
            chunk = secure.recv(4096)
            self.assertTrue(chunk, said)
            said += chunk
        self.assertIn(b"a OK", said)
        secure.close()

    def test_resumed(self) -> None:
        """A resumed session is still that of the certificate's holder."""
        proxy = self.watch(front())
        ticket = str(Certificates(self).folder / "ticket")
        port = proxy.ports["imap", "implicit"]
        arguments = ["s_client", "-connect", f"localhost:{port}", "-crlf", "-ign_eof"]
        arguments += ["-CAfile", str(servers.authority().ca_file)]
        proof = ["-cert", str(alice().cert), "-key", str(alice().key), "-sess_out", ticket]
        commands = "a AUTHENTICATE EXTERNAL =\nb LOGOUT\n"
        first = clients.run("openssl", "openssl", [*arguments, *proof], commands)
        self.assertRegex(first.output, r"(?m)^New, (.|\n)*^a OK")
        again = clients.run("openssl", "openssl", [*arguments, "-sess_in", ticket], commands)
        self.assertRegex(again.output, r"(?m)^Reused, (.|\n)*^a OK")

    def test_without_a_certificate(self) -> None:
        """It is not offered, and not accepted; a password is."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, None)
            self.assertFalse(self.offers(wire), protocol)
            answer = wire.ask(BEGIN[protocol])
            self.assertFalse(answer.startswith((ACCEPTED[protocol], "334", "+ ", '"')), answer)
            self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)

    def test_somebody_else(self) -> None:
        """A certificate opens its own account alone."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, alice())
            self.begin(wire)
            answer = self.answer(wire, "Ym9iQGV4YW1wbGUub3Jn")
            self.assertTrue(answer.startswith(REFUSED[protocol]), answer)

    def test_stranger(self) -> None:
        """A certificate of another authority ends the handshake."""
        stranger = Certificates(self).issue("stranger", ALICE)
        with self.assertRaises((ssl.SSLError, ConnectionError, EOFError)):
            wire = self.connect("imap", stranger)
            wire.ask("a NOOP")

    def test_passwords_are_still_the_backend_s(self) -> None:
        """The master's password is no way in for who has said a wrong one."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, None)
            self.assertFalse(wire.log_in(ALICE, "a guess").is_accepted)
            self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)

    def test_unchecked_passwords(self) -> None:
        """Where the operator has allowed it, anybody may say anything."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, None)
            self.assertTrue(wire.log_in(BOB, "a guess").is_accepted)

    def test_username(self) -> None:
        """The destination's name replaces the client's; the password is the client's."""
        for protocol in PROTOCOLS:
            wire = self.connect(protocol, None)
            self.assertFalse(wire.log_in("guest@example.org", "a guess").is_accepted)
            self.assertTrue(wire.log_in("guest@example.org", ALICE_SECRET).is_accepted)

    def test_master_logins_of_clients(self) -> None:
        """A client's own master login: both names in PLAIN, or one behind the separator."""
        wire = self.connect("imap", None)
        words = "a AUTHENTICATE PLAIN " + plain(MASTER, MASTER_SECRET, authzid=ALICE)
        self.assertTrue(wire.ask(words).startswith("a OK"))
        for protocol in PROTOCOLS:
            # The destination's username replaces the account's name and keeps the master's.
            for account in (ALICE, "guest@example.org"):
                wire = self.connect(protocol, None)
                self.assertFalse(wire.log_in(f"{account}*{MASTER}", "a guess").is_accepted)
                self.assertTrue(wire.log_in(f"{account}*{MASTER}", MASTER_SECRET).is_accepted)
                wire.close()
                session = front().wait_for("session", client=wire.origin)
                self.assertEqual(session["destination"], DESTINATIONS[account])
