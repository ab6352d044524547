"""SCRAM through mailroute: a client proves its password to a real Dovecot, which proves itself.

mailroute reads the name in the first message and passes the rest on.  The clients verify the
server's signature, so what is shown is that nobody in between has touched a message.
"""

from __future__ import annotations

import atexit
import base64
import os
from functools import cache

from scramp import ScramClient

from tests.integration import clients, servers
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, add_test, started
from tests.integration.proxy import PROTOCOLS, Destination, Proxy, Settings

MECHANISMS = ("SCRAM-SHA-1", "SCRAM-SHA-256")
ODD = "a=b,c@example.org"
"""A name with both characters that a saslname escapes (RFC 5802 section 5.1)."""
BEGIN = {"imap": "a AUTHENTICATE {} {}", "pop3": "AUTH {} {}", "submission": "AUTH {} {}"}
BEGIN["managesieve"] = 'AUTHENTICATE "{}" "{}"'
ASKS = {"imap": "+ ", "pop3": "+ ", "submission": "334 ", "managesieve": '"'}
ACCEPTED = {"imap": "a OK", "pop3": "+OK", "submission": "235", "managesieve": "OK"}
REFUSED = {
    "imap": "a NO [AUTHENTICATIONFAILED]",
    "pop3": "-ERR [AUTH]",
    "submission": "535 5.7.8",
    "managesieve": 'NO "',
}


@cache
def front() -> Proxy:
    """The mailroute before a Dovecot that has SCRAM for every protocol."""
    options = Options(
        mechanisms="plain login scram-sha-1 scram-sha-256",
        relay_port=servers.postfix("east").submission,
        extra="auth_username_chars =\n",
    )
    users = {ALICE: ALICE_SECRET, ODD: ALICE_SECRET}
    server = Dovecot("scram", users, servers.authority(), options)
    atexit.register(server.remove)
    server.start()
    ports = {
        "imap": (server.imaps, "implicit"),
        "pop3": (server.pop3, "starttls"),
        "submission": (server.submission, "starttls"),
        "managesieve": (server.sieve, "starttls"),
    }
    trust = {"tls_ca_file": str(servers.authority().ca_file)}
    return started(
        Settings(
            (Destination("scram", ports, options=trust),),
            {ALICE: "scram", ODD: "scram"},
            capabilities={"sasl": ["PLAIN", *MECHANISMS]},
        )
    )


class ScramTests(ProxyTestCase):
    """One test for each protocol and mechanism."""

    def connect(self, protocol: str) -> Wire:
        """A greeted client."""
        wire = Wire(protocol, self.watch(front()).ports[protocol, "implicit"], "implicit")
        self.addCleanup(wire.close)
        return wire

    def challenge(self, wire: Wire) -> str:
        """The challenge that comes next."""
        line = wire.line()
        self.assertTrue(line.startswith(ASKS[wire.protocol]), line)
        text = line.removeprefix(ASKS[wire.protocol]).removesuffix('"')
        return base64.b64decode(text, validate=True).decode()

    def prove(self, wire: Wire, client: ScramClient, mechanism: str) -> None:
        """Everything up to the client's proof."""
        first = _encoded(client.get_client_first())
        wire.say(BEGIN[wire.protocol].format(mechanism, first))
        client.set_server_first(self.challenge(wire))
        final = _encoded(client.get_client_final())
        wire.say(f'"{final}"' if wire.protocol == "managesieve" else final)

    def outcome(self, wire: Wire, client: ScramClient) -> str:
        """The final reply, once the server's signature was found good.

        It comes as a challenge that wants an empty answer (RFC 4954, 5034; ManageSieve would
        allow it inside the final reply as well, which Dovecot does not use).
        """
        client.set_server_final(self.challenge(wire))
        return wire.ask('""' if wire.protocol == "managesieve" else "")


def _encoded(message: str) -> str:
    return base64.b64encode(message.encode()).decode()


def accepted(self: ScramTests, protocol: str, mechanism: str) -> None:
    """The server's signature is found good, and then the user is served."""
    for user in (ALICE, ODD):
        wire = self.connect(protocol)
        client = ScramClient([mechanism], user, ALICE_SECRET)
        self.prove(wire, client, mechanism)
        answer = self.outcome(wire, client)
        self.assertTrue(answer.startswith(ACCEPTED[protocol]), answer)
        self.assertTrue(_is_served(wire))
        wire.close()
        session = front().wait_for("session", client=wire.origin)
        self.assertEqual((session["user"], session["outcome"]), (user, "joined"))


def could_bind(self: ScramTests, protocol: str, mechanism: str) -> None:
    """The flag "y" of a client that was not offered to bind is part of the proof, and holds."""
    wire = self.connect(protocol)
    binding = ("tls-unique", b"what only the two ends of this channel know")
    client = ScramClient([mechanism], ALICE, ALICE_SECRET, channel_binding=binding)
    self.assertTrue(client.get_client_first().startswith("y,"))
    client = ScramClient([mechanism], ALICE, ALICE_SECRET, channel_binding=binding)
    self.prove(wire, client, mechanism)
    self.assertTrue(self.outcome(wire, client).startswith(ACCEPTED[protocol]))


def refused(self: ScramTests, protocol: str, mechanism: str) -> None:
    """A wrong password is the backend's to find, and leaves the client welcome."""
    wire = self.connect(protocol)
    self.prove(wire, ScramClient([mechanism], ALICE, "a guess"), mechanism)
    answer = wire.reply()
    self.assertTrue(answer.startswith(REFUSED[protocol]), answer)
    failure = front().wait_for("login-failed", client=wire.origin)
    self.assertEqual(failure["reason"], "credentials-rejected")
    client = ScramClient([mechanism], ALICE, ALICE_SECRET)
    self.prove(wire, client, mechanism)
    self.assertTrue(self.outcome(wire, client).startswith(ACCEPTED[protocol]))


def bound(self: ScramTests, protocol: str, mechanism: str) -> None:
    """-PLUS is not offered, and a message that demands it is refused (RFC 5802 section 6)."""
    wire = self.connect(protocol)
    message = _encoded(f"p=tls-exporter,,n={ALICE},r=nonce")
    answer = wire.ask(BEGIN[protocol].format(mechanism, message))
    self.assertNotIn(ACCEPTED[protocol], answer)
    self.assertIn("hannel binding is not supported", answer)
    answer = wire.ask(BEGIN[protocol].format(mechanism + "-PLUS", message))
    self.assertRegex(answer, "(?i)unsupported|unrecognized|not recognized|unknown|504")


def _is_served(wire: Wire) -> bool:
    asked = {"imap": "b SELECT INBOX", "pop3": "STAT", "managesieve": "LISTSCRIPTS"}
    return wire.ask(asked.get(wire.protocol, "NOOP")).startswith(("b OK", "+OK", "250", "OK"))


for _protocol in PROTOCOLS:
    for _mechanism in MECHANISMS:
        for _check in (accepted, could_bind, refused, bound):
            name = f"{_protocol}_{_mechanism.lower().replace('-', '_')}_{_check.__name__}"
            add_test(ScramTests, name, _check, _protocol, _mechanism)


class GsaslTests(ProxyTestCase):
    """GNU SASL, with its own IMAP and SMTP."""

    def run_gsasl(self, protocol: str, mechanism: str, password: str) -> clients.Outcome:
        """Log in by gsasl's own IMAP or SMTP, over STARTTLS."""
        port = self.watch(front()).ports[protocol, "starttls"]
        how = "--imap" if protocol == "imap" else "--smtp"
        arguments = [
            *(how, "--connect", f"localhost:{port}", "--mechanism", mechanism),
            *("--authentication-id", ALICE, "--password", password, "--no-cb"),
            *("--x509-ca-file", os.fspath(servers.authority().ca_file)),
        ]
        return clients.run("gsasl", "gsasl", arguments)

    def test_logins(self) -> None:
        """The right password is accepted and the server's signature found good."""
        for protocol in ("imap", "submission"):
            for mechanism in MECHANISMS:
                done = self.run_gsasl(protocol, mechanism, ALICE_SECRET)
                self.assertEqual(done.status, 0, done)
                self.assertIn("Client authentication finished (server trusted)", done.complaints)

    def test_wrong_password(self) -> None:
        """A wrong one is not."""
        known = len(front().events("login-failed"))
        done = self.run_gsasl("imap", "SCRAM-SHA-256", "a guess")
        self.assertNotEqual(done.status, 0, done)
        front().wait_until(lambda: len(front().events("login-failed")) > known)
