"""Bearer tokens: relayed to a real Dovecot, which validates them by itself.

A token that is refused brings a challenge with the reason, which has to reach the client before
the refusal does (RFC 7628 section 3.2.2).
"""

from __future__ import annotations

import atexit
import base64
import hashlib
import hmac
import json
import time
from functools import cache

from tests.integration import clients, servers
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, add_test, started
from tests.integration.proxy import Destination, Proxy, Settings
from tests.integration.scripted import ScriptedBackend, Talk
from tests.support.ports import LOOPBACK

KEY = b"a key that only the tests have, long enough for HMAC"
ISSUER = "https://idp.example.org"
MECHANISMS = ("OAUTHBEARER", "XOAUTH2")
# What a client answers to the challenge: a lone control-A, or nothing (XOAUTH2).
RESPONSES = {"OAUTHBEARER": "AQ==", "XOAUTH2": ""}
COMMANDS = {
    "imap": "a AUTHENTICATE {}",
    "pop3": "AUTH {}",
    "managesieve": 'AUTHENTICATE "{}"',
}
# Longer than a POP3 command line, and than the line of a SASL-IR command may be anywhere.
LONG = 3000
# A token of 6 KB: Dovecot takes messages of up to 8192 octets in base64.
LONGEST = 4300
TOO_LONG = 4700


def token(user: str, key: bytes = KEY, padding: int = 0) -> str:
    """A JSON web token (RFC 7519), signed by HMAC-SHA256."""
    # Not of this very second: another program's clock may be some milliseconds behind.
    issued = int(time.time()) - 60
    claims = {"sub": user, "iss": ISSUER, "iat": issued, "exp": issued + 3600, "pad": "x" * padding}
    parts = [{"alg": "HS256", "typ": "JWT"}, claims]
    text = b".".join(_base64url(json.dumps(part).encode()) for part in parts)
    signature = hmac.new(key, text, hashlib.sha256).digest()
    return (text + b"." + _base64url(signature)).decode()


def _base64url(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def first_message(mechanism: str, user: str, bearer: str) -> str:
    """The mechanism's only message, in base64."""
    if mechanism == "XOAUTH2":
        return clients.xoauth2(user, bearer)
    text = f"n,a={user},\1host=localhost\1port=143\1auth=Bearer {bearer}\1\1"
    return base64.b64encode(text.encode()).decode()


@cache
def front() -> Proxy:
    """The mailroute before a Dovecot that takes tokens."""
    server = Dovecot("bearer", {ALICE: ALICE_SECRET}, servers.authority(), _options())
    atexit.register(server.remove)
    keys = server.folder / "keys" / "default" / "HS256"
    keys.mkdir(parents=True)
    (keys / "default").write_bytes(base64.b64encode(KEY))
    (server.folder / "dovecot.conf").write_text(
        (server.folder / "dovecot.conf").read_text().replace("FOLDER", str(server.folder))
    )
    (server.folder / "oauth2").write_text(
        "introspection_mode = local\n"
        f"local_validation_key_dict = fs:posix:prefix={server.folder}/keys/\n"
        f"username_attribute = sub\nissuers = {ISSUER}\n"
    )
    server.start()
    options = {"tls_ca_file": str(servers.authority().ca_file)}
    ports = {
        "imap": (server.imaps, "implicit"),
        "pop3": (server.pop3, "starttls"),
        "managesieve": (server.sieve, "starttls"),
    }
    return started(Settings((Destination("bearer", ports, options=options),), {ALICE: "bearer"}))


def _options() -> Options:
    settings = ("driver = oauth2", "mechanisms = oauthbearer xoauth2", "args = FOLDER/oauth2")
    passdb = "\n".join(("passdb {", *settings, "}", ""))
    return Options(mechanisms="plain login oauthbearer xoauth2", extra=passdb)


class BearerTests(ProxyTestCase):
    """One test for each protocol and mechanism."""

    def connect(self, protocol: str) -> Wire:
        """A greeted client."""
        proxy = self.watch(front())
        wire = Wire(protocol, proxy.ports[protocol, "implicit"], "implicit")
        self.addCleanup(wire.close)
        return wire

    def begin(self, wire: Wire, mechanism: str, message: str, initial: bool) -> str:
        """Authenticate; the message goes with the command, or after the server's request."""
        command = COMMANDS[wire.protocol].format(mechanism)
        if initial:
            wire.say(f"{command} {self.written(wire, message)}")
        else:
            wire.say(command)
            self.assertEqual(wire.line().strip(' "+'), "")
            wire.say(self.written(wire, message))
        return wire.line()

    def written(self, wire: Wire, text: str) -> str:
        """A response: in ManageSieve a literal, which may be longer than quotes."""
        return f"{{{len(text)}+}}\r\n{text}" if wire.protocol == "managesieve" else text

    def reason(self, line: str) -> dict[str, str]:
        """The JSON in a challenge."""
        self.assertRegex(line, r'^(\+ |")')
        found: dict[str, str] = json.loads(base64.b64decode(line.strip('+ "')))
        return found


def accepted(self: BearerTests, protocol: str, mechanism: str) -> None:
    """A good token, short or long (RFC 7628 knows no limit), with the command or after it."""
    may = protocol != "pop3"
    for padding, initial in ((0, may), (LONG, may), (LONG, False), (LONGEST, False)):
        wire = self.connect(protocol)
        message = first_message(mechanism, ALICE, token(ALICE, padding=padding))
        line = self.begin(wire, mechanism, message, initial)
        while line.startswith("* "):
            line = wire.line()
        self.assertRegex(line, r"^(a OK|\+OK|OK)")
        if protocol == "imap":
            self.assertTrue(wire.ask("b SELECT INBOX").startswith("b OK"))


def refused(self: BearerTests, protocol: str, mechanism: str) -> None:
    """A token with another key's signature: the reason reaches the client, then the refusal."""
    wire = self.connect(protocol)
    bad = token(ALICE, key=b"the key of somebody else, who is no issuer")
    line = self.begin(wire, mechanism, first_message(mechanism, ALICE, bad), protocol != "pop3")
    self.assertIn(self.reason(line)["status"], ("invalid_token", "401"))
    answer = wire.ask(self.written(wire, RESPONSES[mechanism]))
    self.assertRegex(answer, r'^(a NO \[AUTHENTICATIONFAILED\]|-ERR \[AUTH\]|NO ")')
    failure = self.watch(front()).wait_for("login-failed", client=wire.origin)
    self.assertEqual(failure["reason"], "credentials-rejected")
    self.assertNotIn(bad, front().text())
    # The client is still welcome.
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)


def too_long(self: BearerTests, protocol: str, mechanism: str) -> None:
    """Dovecot hangs up on a longer message: for the client a trouble, for the operator its size."""
    wire = self.connect(protocol)
    bearer = token(ALICE, padding=TOO_LONG)
    line = self.begin(wire, mechanism, first_message(mechanism, ALICE, bearer), False)
    self.assertRegex(line, r"^(a NO \[UNAVAILABLE\]|-ERR \[SYS/TEMP\]|NO \(TRYLATER\))")
    failure = self.watch(front()).wait_for("login-failed", client=wire.origin)
    self.assertEqual(failure["reason"], "backend-incapable")
    self.assertRegex(failure["detail"], "the first message has 8[0-9]{3} octets of base64")
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)


def cancelled(self: BearerTests, protocol: str, mechanism: str) -> None:
    """A client that cancels instead of answering the reason (RFC 4422 section 3.5)."""
    wire = self.connect(protocol)
    bad = token(ALICE, key=b"the key of somebody else, who is no issuer")
    line = self.begin(wire, mechanism, first_message(mechanism, ALICE, bad), protocol != "pop3")
    self.reason(line)
    self.assertRegex(wire.ask(self.written(wire, "*")), r"^(a BAD|a NO|-ERR|NO )")
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)


for _protocol in COMMANDS:
    for _mechanism in MECHANISMS:
        for _check in (accepted, refused, too_long, cancelled):
            name = f"{_protocol}_{_mechanism.lower()}_{_check.__name__}"
            add_test(BearerTests, name, _check, _protocol, _mechanism)


KIB12 = 12 * 1024
OFFERED = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=XOAUTH2 AUTH=OAUTHBEARER] double\r\n",
    "pop3": b"+OK double\r\n",
    "submission": b"220 double ESMTP\r\n",
}
LISTS = {
    "pop3": b"+OK\r\nSASL XOAUTH2 OAUTHBEARER\r\n.\r\n",
    "submission": b"250-double\r\n250 AUTH XOAUTH2 OAUTHBEARER\r\n",
}


class DoubleTests(ProxyTestCase):
    """What no real server here takes: a double stands in, which takes any message."""

    def double(self, protocol: str, extra: str = "") -> tuple[Proxy, list[bytes]]:
        """A mailroute before a double, and what the double has heard."""
        heard: list[bytes] = []
        backend = ScriptedBackend(lambda talk: _listen(talk, protocol, heard))
        self.addCleanup(backend.close)
        ports = {protocol: (backend.port, "plain")}
        place = Destination("double", ports, (LOOPBACK,), {"allow_plaintext_auth": True})
        proxy = Proxy(Settings((place,), {ALICE: "double"}, extra=extra))
        self.addCleanup(proxy.remove)
        proxy.start()
        return self.watch(proxy), heard

    def log_in(self, proxy: Proxy, protocol: str, words: str, message: str = "") -> None:
        """Authenticate, with a message behind the command if there is one; it is accepted."""
        with Wire(protocol, proxy.ports[protocol, "implicit"], "implicit") as wire:
            answer = wire.ask(("a AUTHENTICATE " if protocol == "imap" else "AUTH ") + words)
            if message:
                self.assertRegex(answer, r"^(\+|334)")
                answer = wire.ask(message)
            self.assertRegex(answer, r"^(a OK|\+OK|235)")

    def test_twelve_kib(self) -> None:
        """Tokens of 12 KiB arrive to the octet, with the command and after it, everywhere."""
        for protocol in OFFERED:
            proxy, heard = self.double(protocol)
            for mechanism in MECHANISMS:
                message = first_message(mechanism, ALICE, "t" * KIB12)
                self.log_in(proxy, protocol, f"{mechanism} {message}")
                self.log_in(proxy, protocol, mechanism, message)
                self.assertEqual(heard, [message.encode()] * 2)
                heard.clear()

    def test_claim(self) -> None:
        """A message that names nobody goes where the token's claim says, as it is."""
        proxy, heard = self.double("imap", '[oauth]\njwt_username_claim = "sub"\n')
        for start, mechanism in (("user=\1", "XOAUTH2"), ("n,,\1", "OAUTHBEARER")):
            text = f"{start}auth=Bearer {token(ALICE)}\1\1"
            encoded = base64.b64encode(text.encode()).decode()
            self.log_in(proxy, "imap", f"{mechanism} {encoded}")
            self.assertEqual(heard.pop(), encoded.encode())
            proxy.wait_for("session", user=ALICE, destination="double")


def _listen(talk: Talk, protocol: str, heard: list[bytes]) -> None:
    """Take whichever token it is, and keep it."""
    talk.say(OFFERED[protocol])
    if protocol in LISTS:
        talk.line()
        talk.say(LISTS[protocol])
    words = talk.line().split()
    if len(words) < (4 if protocol == "imap" else 3):
        talk.say(b"334 \r\n" if protocol == "submission" else b"+ \r\n")
        heard.append(talk.line())
    else:
        heard.append(words[-1])
    answers = {"imap": words[0] + b" OK [CAPABILITY IMAP4rev1] in\r\n", "pop3": b"+OK in\r\n"}
    talk.say(answers.get(protocol, b"235 in\r\n"))
    talk.until_left()
