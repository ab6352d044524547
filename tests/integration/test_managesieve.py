"""ManageSieve through mailroute, octet by octet: what sieve-connect does not send.

The matrix has sieve-connect itself, in every mode in front and behind; here are the seams: what
is pipelined behind a handshake or a login, literals, referrals, the data behind OK.
"""

from __future__ import annotations

import atexit
import base64
import uuid
from functools import cache

from scramp import ScramClient, ScramMechanism

from tests.integration import clients, servers
from tests.integration.clients import Wire, plain
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import (
    ALICE,
    ALICE_SECRET,
    UNHEARD,
    UNHEARD_SECRET,
    ProxyTestCase,
    proxy,
    started,
)
from tests.integration.proxy import Destination, Proxy, Settings
from tests.integration.scripted import ScriptedBackend, Talk
from tests.support.ports import LOOPBACK, poll

LOGIN = f'AUTHENTICATE "PLAIN" "{plain(ALICE, ALICE_SECRET)}"\r\n'.encode()
OURS = '"IMPLEMENTATION" "mailroute"'
DOVECOT = '"IMPLEMENTATION" "Dovecot'


def listing(wire: Wire) -> list[str]:
    """Lines up to a final reply."""
    lines = [wire.line()]
    while lines[-1].startswith('"'):
        lines.append(wire.line())
    return lines


class SeamTests(ProxyTestCase):
    """Against a real Dovecot with Pigeonhole."""

    def connect(self, mode: str = "plain", behind: str = "starttls") -> Wire:
        """A greeted client."""
        wire = Wire("managesieve", self.watch(proxy(behind)).ports["managesieve", mode])
        self.addCleanup(wire.close)
        return wire

    def test_pipelined_behind_the_login(self) -> None:
        """What was sent with the login is answered by the backend, in order, each once."""
        wire = self.connect()
        wire.say(LOGIN + b'CAPABILITY\r\nNOOP "sync"\r\nLISTSCRIPTS\r\nLOGOUT\r\n')
        self.assertEqual(wire.line(), 'OK "Logged in."')
        capabilities = listing(wire)
        self.assertTrue(capabilities[0].startswith(DOVECOT), capabilities)
        self.assertFalse(any(line.startswith('"SASL"') for line in capabilities), capabilities)
        self.assertEqual(capabilities[-1], 'OK "Capability completed."')
        self.assertTrue(wire.line().startswith('OK (TAG "sync") '))
        self.assertEqual(listing(wire)[-1], 'OK "Listscripts completed."')
        self.assertEqual(wire.rest(), b'OK "Logout completed."\r\n')

    def test_pipelined_behind_the_handshake(self) -> None:
        """Our capabilities come first and once, then the answers, then the backend's."""
        wire = self.connect("starttls")
        self.assertEqual(wire.ask("STARTTLS"), 'OK "Begin TLS negotiation now."')
        wire.secure()
        wire.say(b'NOOP "sync"\r\n' + LOGIN + b"CAPABILITY\r\n")
        ours = listing(wire)
        self.assertEqual(ours[0], OURS)
        self.assertIn('"SASL" "PLAIN LOGIN XOAUTH2 OAUTHBEARER"', ours)
        self.assertNotIn('"STARTTLS"', ours)
        self.assertEqual(wire.line(), 'OK (TAG "sync") "Done."')
        self.assertEqual(wire.line(), 'OK "Logged in."')
        self.assertTrue(listing(wire)[0].startswith(DOVECOT))

    def test_cleartext_behind_starttls(self) -> None:
        """A login in the clear behind STARTTLS ends the session and reaches nobody."""
        front = proxy("starttls")
        wire = self.connect("starttls")
        login = f'AUTHENTICATE "PLAIN" "{plain(UNHEARD, UNHEARD_SECRET)}"\r\n'.encode()
        wire.say(b"STARTTLS\r\n" + login)
        self.assertTrue(wire.rest().startswith(b'BYE "Unencrypted data after STARTTLS'))
        session = front.wait_for("session", client=wire.origin)
        self.assertEqual(session["closed_by"], "cleartext-after-starttls")
        self.assertEqual((session["user"], session["destination"]), ("-", "-"))
        self.assertNotIn(UNHEARD, servers.dovecot("east").log())

    def test_script_before_the_login(self) -> None:
        """NO, and the octets of the script are no commands, whatever they say."""
        wire = self.connect()
        wire.say(b'PUTSCRIPT "x" {%d+}\r\n' % len(LOGIN) + LOGIN + b"\r\n")
        self.assertTrue(wire.line().startswith('NO "'))
        self.assertEqual(wire.ask("NOOP"), 'OK "Done."')
        self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)

    def test_literals(self) -> None:
        """The login in literals; then a script that looks like commands, octet for octet."""
        for behind in ("plain", "implicit"):
            wire = self.connect(behind=behind)
            message = plain(ALICE, ALICE_SECRET)
            wire.say(f'AUTHENTICATE "PLAIN" {{{len(message)}+}}\r\n{message}')
            self.assertEqual(wire.line(), 'OK "Logged in."')
            name = uuid.uuid4().hex
            comment = b'# LOGOUT {5+}\r\n# BYE \xc3\xa4 "\\\r\n'
            script = comment * 2000 + b"keep;\r\n"
            wire.say(b'PUTSCRIPT "%s" {%d+}\r\n%s\r\n' % (name.encode(), len(script), script))
            self.assertTrue(wire.line().startswith("OK"))
            stored = servers.dovecot("east").script(ALICE, name)
            self.assertEqual(stored.read_bytes(), script)
            wire.say(f'GETSCRIPT "{name}"')
            self.assertEqual(wire.line(), f"{{{len(script)}}}")
            self.assertEqual(wire.take(len(script)), script)
            self.assertEqual(wire.line(), "")
            self.assertTrue(wire.line().startswith("OK"))
            self.assertTrue(wire.ask(f'DELETESCRIPT "{name}"').startswith("OK"))

    def test_wrong_and_right(self) -> None:
        """A wrong password, by each mechanism, does not end the connection; then the right one."""
        wire = self.connect()
        wrong = 'NO "Authentication failed."'
        self.assertEqual(wire.ask(f'AUTHENTICATE "PLAIN" "{plain(ALICE, "wrong")}"'), wrong)
        wire.say('AUTHENTICATE "LOGIN"')
        for words in (ALICE, "wrong"):
            self.assertRegex(wire.line(), r'^"(VXNlcm5hbWU6|UGFzc3dvcmQ6)"$')
            wire.say(f'"{base64.b64encode(words.encode()).decode()}"')
        self.assertEqual(wire.line(), wrong)
        wire.say('AUTHENTICATE "PLAIN"')
        self.assertEqual(wire.line(), '""')
        wire.say(f'"{plain(ALICE, ALICE_SECRET)}"')
        self.assertEqual(wire.line(), 'OK "Logged in."')
        self.assertTrue(wire.ask("LISTSCRIPTS").startswith("OK"))


CLIENTS = {"203.0.113.9": "192.0.2.1", "2001:db8::9": "2001:db8::1"}
"""By client's address, the address to which it has connected."""


@cache
def told() -> tuple[Dovecot, Proxy]:
    """A Dovecot that believes what mailroute says of the client, and a proxy in front of both."""
    elements = "user=<%u> rip=%r %c session=<%{session}> real=%{real_rip}"
    options = Options(trust_loopback=True, extra=f"login_log_format_elements = {elements}\n")
    server = Dovecot("sieve-told", {ALICE: ALICE_SECRET}, servers.authority(), options)
    atexit.register(server.remove)
    server.start()
    settings = {"tls_ca_file": str(servers.authority().ca_file), "forwarding": "xclient"}
    ports = {"managesieve": (server.sieve, "starttls")}
    listener = {"proxy_protocol": "required", "proxy_trusted": [f"{LOOPBACK}/32"]}
    place = Destination("told", ports, options=settings)
    return server, started(Settings((place,), {ALICE: "told"}, listener=listener))


class IdentityTests(ProxyTestCase):
    """Who the client is, told by XCLIENT behind TLS."""

    def test_xclient(self) -> None:
        """Dovecot logs the client's address, of either family, and our id of the session."""
        server, front = told()
        port = self.watch(front).ports["managesieve", "plain"]
        for client, address in CLIENTS.items():
            header = f"PROXY TCP{6 if ':' in client else 4} {client} {address} 4711 4190\r\n"
            with Wire("managesieve", port, preamble=header.encode()) as wire:
                self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
                self.assertTrue(wire.ask("LOGOUT").startswith("OK"))
            shown = f"[{client}]:4711" if ":" in client else f"{client}:4711"
            session = front.wait_for("session", client=shown)
            told_of = f"rip={client}, TLS, session=<{session['id']}>, real={LOOPBACK}"
            self.assertTrue(poll(lambda line=told_of: line in server.log(), 30), server.log())


class ScriptedTests(ProxyTestCase):
    """Against a backend that does what no Dovecot does."""

    def login(self, front: Proxy) -> tuple[Wire, clients.Answer]:
        """A client that has tried to log in."""
        wire = Wire("managesieve", front.ports["managesieve", "implicit"], "implicit")
        self.addCleanup(wire.close)
        return wire, wire.log_in(ALICE, ALICE_SECRET)

    def answers(self, reply: bytes) -> Proxy:
        """The mailroute before a backend that answers every login so."""

        def script(talk: Talk) -> None:
            talk.say(b'"SASL" "PLAIN"\r\nOK\r\n')
            talk.line()
            talk.say(reply)
            talk.until_left()

        backend().script = script
        return self.watch(before_backend())

    def test_referral(self) -> None:
        """Neither followed nor shown: where an account lives is the table's affair."""
        elsewhere = ScriptedBackend(lambda talk: None)
        self.addCleanup(elsewhere.close)
        url = f"sieve://{LOOPBACK}:{elsewhere.port}/".encode()
        for status in (b"NO", b"BYE"):
            said = status + b' (REFERRAL "' + url + b'") "Try ' + url + b'"\r\n'
            wire, answer = self.login(front := self.answers(said))
            self.assertFalse(answer.is_accepted)
            self.assertNotIn("sieve://", answer.words)
            failure = front.wait_for("login-failed", client=wire.origin)
            self.assertIn(url.decode(), failure["detail"])
        _wire, answer = self.login(self.answers(b'OK (REFERRAL "' + url + b'") "better there"\r\n'))
        self.assertEqual(answer.words, 'OK "Logged in."')
        self.assertEqual(elsewhere.accepted, 0)

    def test_codes(self) -> None:
        """What the client can act on reaches it; what concerns our own leg does not."""
        for said, heard, reason in (
            (b'NO (TRYLATER) "Later."', 'NO (TRYLATER) "Later."', "backend-busy"),
            (b'NO (AUTH-TOO-WEAK) "Weak."', 'NO (AUTH-TOO-WEAK) "Weak."', "backend-refused"),
            (
                b'NO (ENCRYPT-NEEDED) "TLS!"',
                'NO (TRYLATER) "Temporary problem, try again later."',
                "backend-incapable",
            ),
        ):
            wire, answer = self.login(front := self.answers(said + b"\r\n"))
            self.assertEqual(answer.words, heard)
            failure = front.wait_for("login-failed", client=wire.origin)
            self.assertEqual(failure["reason"], reason)

    def test_signature_behind_ok(self) -> None:
        """RFC 5804 section 2.1: SCRAM's last data inside OK reaches a client that verifies it."""
        backend().script = prove_behind_ok
        front = self.watch(before_backend())
        wire = Wire("managesieve", front.ports["managesieve", "implicit"], "implicit")
        self.addCleanup(wire.close)
        client = ScramClient(["SCRAM-SHA-256"], ALICE, ALICE_SECRET)
        wire.say(f'AUTHENTICATE "SCRAM-SHA-256" "{encoded(client.get_client_first())}"')
        client.set_server_first(decoded(wire.line()))
        wire.say(f'"{encoded(client.get_client_final())}"')
        answer = wire.line()
        self.assertTrue(answer.startswith('OK (SASL "'), answer)
        client.set_server_final(decoded(answer))
        self.assertTrue(answer.endswith('") "Proven."'), answer)


def prove_behind_ok(talk: Talk) -> None:
    """A server of SCRAM that needs no further round for its signature."""
    mechanism = ScramMechanism("SCRAM-SHA-256")
    known = mechanism.make_auth_info(ALICE_SECRET, iteration_count=4096)
    server = mechanism.make_server(lambda user: known)
    talk.say(b'"SASL" "SCRAM-SHA-256"\r\nOK\r\n')
    server.set_client_first(decoded(talk.line().decode().rpartition(" ")[2]))
    talk.say(f'"{encoded(server.get_server_first())}"\r\n'.encode())
    server.set_client_final(decoded(talk.line().decode()))
    talk.say(f'OK (SASL "{encoded(server.get_server_final())}") "Proven."\r\n'.encode())
    talk.until_left()


def encoded(message: str) -> str:
    """In base64."""
    return base64.b64encode(message.encode()).decode()


def decoded(line: str) -> str:
    """The first quoted string of a line, out of base64."""
    return base64.b64decode(line.split('"')[1], validate=True).decode()


@cache
def backend() -> ScriptedBackend:
    """The backend that does as it is told."""
    return ScriptedBackend(lambda talk: None)


@cache
def before_backend() -> Proxy:
    """The mailroute before it."""
    ports = {"managesieve": (backend().port, "plain")}
    place = Destination("scripted", ports, (LOOPBACK,), {"allow_plaintext_auth": True})
    atexit.register(backend().close)
    sasl = ["PLAIN", "SCRAM-SHA-256"]
    return started(Settings((place,), {ALICE: "scripted"}, capabilities={"sasl": sasl}))
