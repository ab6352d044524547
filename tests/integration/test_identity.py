"""Who the client is: told to mailroute by a proxy in front, and by mailroute to real servers.

The servers' own logs are the witnesses.
"""

from __future__ import annotations

import atexit
import itertools
import re
from contextlib import ExitStack
from dataclasses import replace
from functools import cache

from tests.integration import servers
from tests.integration.clients import Wire
from tests.integration.dovecot import Dovecot, Options
from tests.integration.matrix import ProxyTestCase, started
from tests.integration.postfix import Postfix
from tests.integration.proxy import MODES, Destination, Proxy, Settings
from tests.support.ports import LOOPBACK, free_ports, poll

V4, V6 = "203.0.113.9", "2001:db8::9"
CLIENTS = {V4: "192.0.2.1", V6: "2001:db8::1"}
"""By client's address, the address to which it has connected."""
SERVERS = ("dovecot", "postfix")
_ports = itertools.count(5000)
"""Of clients: a session is found in the log by its own."""

_EXTRA = """
haproxy_trusted_networks = {host}/8
login_log_format_elements = user=<%u> rip=%r lip=%l %c session=<%{{session}}> real=%{{real_rip}}
service imap-login {{
  inet_listener imap_announced {{
    port = {imap}
    haproxy = yes
  }}
  inet_listener imaps_announced {{
    port = {imaps}
    ssl = yes
    haproxy = yes
  }}
}}
service pop3-login {{
  inet_listener pop3_announced {{
    port = {pop3}
    haproxy = yes
  }}
  inet_listener pop3s_announced {{
    port = {pop3s}
    ssl = yes
    haproxy = yes
  }}
}}
service submission-login {{
  inet_listener submission_announced {{
    port = {submission}
    haproxy = yes
  }}
}}
"""


SECRET = "told-secret"
HEADER: dict[str, object] = {"proxy_protocol": True}
VERSION_1: dict[str, object] = {"proxy_protocol": "v1"}
XCLIENT: dict[str, object] = {"forwarding": "xclient"}
WAYS = {"header": HEADER, "version1": VERSION_1, "xclient": XCLIENT}


_TRANSFER = """
[routing]
smtp_passthrough_destination = "mx"
address_destination = "mx"

[destination.mx]
host = "{host}"
proxy_protocol = true
tls_ca_file = "{ca_file}"
protocol.imap = {{ port = 143, tls = "implicit" }}
protocol.smtp = {{ port = {port}, tls = "plain" }}
protocol.lmtp = {{ port = {port}, tls = "implicit" }}
"""
FURTHER = (("smtp", "plain"), ("smtp", "implicit"), ("lmtp", "plain"))


class Told:
    """A Dovecot that believes what loopback says of its clients, and its Postfix.

    One mailroute stands before both; its destinations are called by server, way and mode, and
    each has an account of that name.
    """

    def __init__(self) -> None:
        names = ("imap", "imaps", "pop3", "pop3s", "submission")
        self.announced = dict(zip(names, free_ports(len(names)), strict=True))
        options = Options(
            trust_loopback=True,
            relay_port=servers.postfix("east").submission,
            extra=_EXTRA.format(host=LOOPBACK, **self.announced),
        )
        places = [(way, mode) for way in WAYS for mode in MODES]
        every = [f"{server}-{way}-{mode}" for way, mode in places for server in SERVERS]
        accounts = {f"{name}@example.org": SECRET for name in every}
        self.dovecot = Dovecot("told", accounts, servers.authority(), options)
        atexit.register(self.dovecot.remove)
        self.dovecot.start()
        self.postfix = Postfix("told-mx", self.dovecot.auth, servers.authority())
        atexit.register(self.postfix.remove)
        self.postfix.start()
        destinations = [self._dovecot(way, mode) for way, mode in places]
        destinations += [self._postfix(way, mode) for way, mode in places if mode != "implicit"]
        listener = {"proxy_protocol": "required", "proxy_trusted": ["127.0.0.0/8"]}
        routes = {f"{each.name}@example.org": each.name for each in destinations}
        extra = _TRANSFER.format(
            host=LOOPBACK, port=self.postfix.announced, ca_file=servers.authority().ca_file
        )
        settings = Settings(tuple(destinations), routes, further=FURTHER, extra=extra)
        self.proxy = started(replace(settings, listener=listener))
        self.strict = Proxy(settings)
        atexit.register(self.strict.remove)
        itself = f"{LOOPBACK}:{self.strict.ports['imap', 'plain']}"
        self.strict.write_routes({**routes, "loop@example.org": itself})
        self.strict.start()

    def _dovecot(self, way: str, mode: str) -> Destination:
        """Submission has no implicit TLS there, and is then left out."""
        found = self.dovecot
        plain = {
            "imap": found.imap,
            "imaps": found.imaps,
            "pop3": found.pop3,
            "pop3s": found.pop3s,
            "submission": found.submission,
        }
        ports = self.announced if "proxy_protocol" in WAYS[way] else plain
        tls = "s" if mode == "implicit" else ""
        endpoints = {name: (ports[name + tls], mode) for name in ("imap", "pop3")}
        if mode != "implicit":
            endpoints["submission"] = (ports["submission"], mode)
        return Destination(f"dovecot-{way}-{mode}", endpoints, options=_options(way, mode))

    def _postfix(self, way: str, mode: str) -> Destination:
        is_announced = "proxy_protocol" in WAYS[way]
        port = self.postfix.announced if is_announced else self.postfix.told
        endpoints = {"submission": (port, mode)}
        return Destination(f"postfix-{way}-{mode}", endpoints, options=_options(way, mode))


@cache
def told() -> Told:
    """The servers, running."""
    return Told()


def _options(way: str, mode: str) -> dict[str, object]:
    trust: dict[str, object] = {"tls_ca_file": str(servers.authority().ca_file)}
    if mode == "plain":
        trust["allow_plaintext_auth"] = True
    return {**trust, **WAYS[way]}


def header(client: str, port: int = 4711) -> bytes:
    """A PROXY header, as the proxy in front sends it."""
    family = "TCP6" if ":" in client else "TCP4"
    return f"PROXY {family} {client} {CLIENTS[client]} {port} 993\r\n".encode()


class IdentityCase(ProxyTestCase):
    """Logins through a mailroute, and what the server's log has of them."""

    def setUp(self) -> None:
        self.proxy = self.watch(told().proxy)

    def session(self, name: str, protocol: str, client: str, mode: str = "plain") -> str:
        """Log in and out as this client at this destination; returns the session's id."""
        account, port = f"{name}@example.org", next(_ports)
        preamble = header(client, port)
        with Wire(protocol, self.proxy.ports[protocol, mode], mode, preamble) as wire:
            answer = wire.log_in(account, SECRET)
            self.assertTrue(answer.is_accepted, answer.words + self.proxy.text()[-2000:])
            wire.say("b LOGOUT" if protocol == "imap" else "QUIT")
            wire.rest_or_reset()
        shown = f"[{client}]:{port}" if ":" in client else f"{client}:{port}"
        wanted = {"client": shown, "protocol": protocol, "user": account}
        record = self.proxy.wait_for("session", **wanted)
        self.assertEqual(record["outcome"], "joined")
        return str(record["id"])

    def logged(self, server: Dovecot | Postfix, pattern: str, since: int) -> str:
        """The line of the server's log that has this, behind so many characters of it."""
        found: list[str] = []

        def look() -> bool:
            *lines, _unfinished = server.log()[since:].split("\n")
            found[:] = [line for line in lines if re.search(pattern, line)]
            return bool(found)

        self.assertTrue(poll(look, 30), f"{pattern} not in: {server.log()[-3000:]}")
        return found[-1]

    def at_dovecot(self, way: str, mode: str, front: str = "plain") -> list[tuple[str, str]]:
        """The client's address is in Dovecot's log, for every protocol and family.

        Returns mailroute's id of each session, and the line.
        """
        name = f"dovecot-{way}-{mode}"
        found = []
        for client in CLIENTS:
            for protocol in ("imap", "pop3", "submission")[: 3 - (mode == "implicit")]:
                before = len(told().dovecot.log())
                known = self.session(name, protocol, client, front)
                pattern = rf"{protocol}-login: .*Login: user=<{name}@.*rip={client}, "
                found.append((known, self.logged(told().dovecot, pattern, before)))
                if protocol == "imap" or way != "xclient":
                    # XCLIENT has no word for where the client connected to.
                    self.assertIn(f"lip={CLIENTS[client]}, ", found[-1][1])
                self.assertIn("real=127.0.0.1", found[-1][1])
        return found

    def at_postfix(self, way: str) -> list[str]:
        """The client's address is in Postfix's log, plain and by STARTTLS; returns the lines."""
        found = []
        for mode in ("plain", "starttls"):
            for client in CLIENTS:
                before = len(told().postfix.log())
                self.session(f"postfix-{way}-{mode}", "submission", client)
                pattern = rf"disconnect from unknown\[{client}\] .*auth=1"
                found.append(self.logged(told().postfix, pattern, before))
        return found


class HeaderTests(IdentityCase):
    """PROXY headers out of mailroute."""

    def test_dovecot_plain(self) -> None:
        """Version 2, before the greeting; TLVs of a session without TLS."""
        self.at_dovecot("header", "plain")

    def test_dovecot_starttls(self) -> None:
        """Before STARTTLS."""
        self.at_dovecot("header", "starttls")

    def test_dovecot_implicit(self) -> None:
        """Before the first record of TLS."""
        self.at_dovecot("header", "implicit")

    def test_dovecot_version_1(self) -> None:
        """Version 1."""
        self.at_dovecot("version1", "starttls")

    def test_client_with_tls(self) -> None:
        """The TLV that tells of the client's TLS costs the backend's STARTTLS nothing."""
        for mode in MODES:
            self.at_dovecot("header", mode, "implicit")

    def test_postfix(self) -> None:
        """Both versions, plain and before STARTTLS, both families."""
        for way in ("header", "version1"):
            for line in self.at_postfix(way):
                self.assertNotIn("xclient", line)


class XclientTests(IdentityCase):
    """XCLIENT, and ID in IMAP."""

    def same_session(self, mode: str) -> None:
        for known, line in self.at_dovecot("xclient", mode):
            self.assertIn(f"session=<{known}>", line)

    def test_dovecot_plain(self) -> None:
        """The address, where it connected to, and one id of the session in both logs."""
        self.same_session("plain")

    def test_dovecot_starttls(self) -> None:
        """The same behind STARTTLS."""
        self.same_session("starttls")

    def test_dovecot_implicit(self) -> None:
        """The same behind TLS from the first byte."""
        self.same_session("implicit")

    def test_postfix(self) -> None:
        """By XCLIENT, behind STARTTLS where there is one; no name but the client's address."""
        for line in self.at_postfix("xclient"):
            self.assertIn(" xclient=", line)

    def test_mail(self) -> None:
        """A message that was submitted tells of the client alone, by its own name."""
        account = "postfix-xclient-starttls@example.org"
        for client, shown in ((V4, V4), (V6, f"IPv6:{V6}")):
            recipient = f"told-{client.replace(':', '-')}@example.net"
            port = self.proxy.ports["submission", "starttls"]
            with Wire("submission", port, "plain", header(client)) as wire:
                self.assertTrue(wire.log_in(account, SECRET).is_accepted)
                for line in (f"MAIL FROM:<{account}>", f"RCPT TO:<{recipient}>"):
                    self.assertTrue(wire.ask(line).startswith("250"), line)
                self.assertTrue(wire.ask("DATA").startswith("354"))
                self.assertTrue(wire.ask("Subject: x\r\n\r\nhello\r\n.").startswith("250"))
            (message,) = told().postfix.wait_for(recipient)
            self.assertIn(f"Received: from client.example (unknown [{shown}])".encode(), message)

    def test_forged(self) -> None:
        """What a client says of its address is not what Dovecot hears."""
        account = "dovecot-xclient-starttls@example.org"
        before = len(told().dovecot.log())
        forged = '("name" "x" "x-originating-ip" "198.51.100.1" "x-session-id" "mine")'
        for proxy, preamble, shown in (
            (self.strict, b"", "127.0.0.1"),
            # A proxy in front is believed, which does not make its clients believable.
            (self.proxy, header(V6), V6),
        ):
            with Wire("imap", proxy.ports["imap", "plain"], "plain", preamble) as wire:
                self.assertTrue(wire.ask(f"i ID {forged}").startswith("i OK"))
                self.assertTrue(wire.log_in(account, SECRET).is_accepted)
            line = self.logged(told().dovecot, rf"imap-login: .*Login: .*rip={shown}, ", before)
            self.assertNotIn("mine", line)

    def test_believed(self) -> None:
        """A proxy in front that speaks ID, not PROXY, says who its client is."""
        account = "dovecot-xclient-starttls@example.org"
        before = len(told().dovecot.log())
        fields = f'("x-originating-ip" "{V6}" "x-originating-port" "99")'
        itself = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 143\r\n"
        with Wire("imap", self.proxy.ports["imap", "plain"], "plain", itself) as wire:
            wire.ask(f"i ID {fields}")
            self.assertTrue(wire.log_in(account, SECRET).is_accepted)
        self.logged(told().dovecot, rf"imap-login: .*Login: .*rip={V6}, ", before)

    def test_loop(self) -> None:
        """A client that is the last of the proxies that may be is refused, and for a time."""
        account = "dovecot-xclient-starttls@example.org"
        with Wire("imap", self.proxy.ports["imap", "plain"], "plain", header(V4)) as wire:
            wire.ask('i ID ("x-proxy-ttl" "1")')
            answer = wire.log_in(account, SECRET)
            self.assertEqual(answer.code, "UNAVAILABLE")
        failed = self.proxy.wait_for("login-failed", user=account)
        self.assertEqual(failed["reason"], "destination-unknown")
        self.assertIn("loop", str(failed["detail"]))

    def test_itself(self) -> None:
        """A row that leads to mailroute's own listener is refused before a byte is sent."""
        with Wire("imap", self.strict.ports["imap", "plain"]) as wire:
            self.assertEqual(wire.log_in("loop@example.org", SECRET).code, "UNAVAILABLE")
        failed = self.strict.wait_for("login-failed", user="loop@example.org")
        self.assertIn("listener of ours", str(failed["detail"]))
        self.assertEqual(len(self.strict.events("login-failed", user="loop@example.org")), 1)

    @property
    def strict(self) -> Proxy:
        """The mailroute that believes nobody."""
        return self.watch(told().strict)


class PassThroughTests(IdentityCase):
    """Mail transfer: a stream that mailroute does not read."""

    def test_transfer(self) -> None:
        """The backend greets; it knows the client by the PROXY header; the log has the octets."""
        recipient = "transfer@example.net"
        account = "postfix-header-plain@example.org"
        for client in CLIENTS:
            for mode in ("plain", "implicit"):
                before = len(told().postfix.log())
                port = self.proxy.ports["smtp", mode]
                with Wire("submission", port, mode, header(client)) as wire:
                    self.assertIn("told-mx.test.example", wire.greeting)
                    self.assertTrue(wire.log_in(account, SECRET).is_accepted)
                    for line in (f"MAIL FROM:<{account}>", f"RCPT TO:<{recipient}>"):
                        self.assertTrue(wire.ask(line).startswith("250"), line)
                    self.assertTrue(wire.ask("DATA").startswith("354"))
                    self.assertTrue(wire.ask("Subject: x\r\n\r\nhello\r\n.").startswith("250"))
                    self.assertTrue(wire.ask("QUIT").startswith("221"))
                    wire.rest_or_reset()
                self.logged(told().postfix, rf"disconnect from unknown\[{client}\]", before)
        told().postfix.wait_for(recipient, 4)
        record = self.proxy.wait_for("session", protocol="smtp", tls="TLSv1.3")
        self.assertEqual((record["outcome"], record["destination"]), ("joined", "mx"))
        self.assertGreater(int(record["in"]), 100)

    def test_no_backend(self) -> None:
        """RFC 5321 section 3.8: 421, so that the client comes again; and the log says why."""
        port = self.proxy.ports["lmtp", "plain"]
        # The backend speaks no TLS there.
        with Wire("pop3", port, "plain", header(V4)) as wire:
            self.assertTrue(wire.greeting.startswith("421 "), wire.greeting)
            self.assertEqual(wire.rest_or_reset(), b"")
        failed = self.proxy.wait_for("login-failed", protocol="lmtp")
        self.assertEqual(failed["reason"], "backend-untrusted")
        # Not that of whoever looked whether the port is open.
        session = self.proxy.wait_for("session", protocol="lmtp", client=f"{V4}:4711")
        self.assertEqual(session["closed_by"], "no-backend")


class LoopTests(ProxyTestCase):
    """Two mailroutes, each of which takes the other for the account's server."""

    ROUTING = """
[routing]
address_destination = "next"

[destination.next]
host = "localhost"
allow_plaintext_auth = true
forwarding = "xclient"
protocol.imap = { port = 143, tls = "plain" }
"""

    def test_two(self) -> None:
        """The hops count down: the login ends in a temporary failure, after as many as may be."""
        account = "anybody@example.org"
        settings = Settings((), {}, extra=self.ROUTING, server={"proxy_ttl": 4, "workers": 1})
        proxies = [Proxy(settings), Proxy(settings)]
        ports = [proxy.ports["imap", "plain"] for proxy in proxies]
        for proxy, other in zip(proxies, reversed(ports), strict=True):
            self.addCleanup(proxy.remove)
            proxy.write_routes({account: f"{LOOPBACK}:{other}"})
            proxy.start()
            self.watch(proxy)
        with Wire("imap", ports[0]) as wire:
            self.assertEqual(wire.log_in(account, SECRET).code, "UNAVAILABLE")
        failures = [each for proxy in proxies for each in proxy.events("login-failed")]
        self.assertEqual(len([each for each in failures if "loop" in str(each["detail"])]), 1)
        # The first, and one for each hop that it allowed.
        self.assertEqual(len(failures), 5)

    UNSEEN = """
[routing]
address_destination = "next"

[destination.next]
host = "localhost"
allow_plaintext_auth = true
protocol.pop3 = { port = 110, tls = "plain" }
protocol.submission = { port = 587, tls = "plain" }
"""

    def test_unseen(self) -> None:
        """Where nobody counts the hops, the room for clients ends the loop, and nothing is left."""
        account = "anybody@example.org"
        room = 12
        server = {"backend_timeout": "5s", "workers": 1}
        settings = Settings(
            (), {}, extra=self.UNSEEN, server=server, listener={"max_connections": room}
        )
        proxies = [Proxy(settings), Proxy(settings)]
        for proxy, other in zip(proxies, reversed(proxies), strict=True):
            self.addCleanup(proxy.remove)
            # Each has the other's ports for its destination's.
            text = proxy.configuration.read_text()
            for protocol, port in (("pop3", 110), ("submission", 587)):
                elsewhere = other.ports[protocol, "plain"]
                text = text.replace(
                    f"protocol.{protocol} = {{ port = {port},",
                    f"protocol.{protocol} = {{ port = {elsewhere},",
                )
            proxy.configuration.write_text(text)
            proxy.write_routes({account: LOOPBACK})
            proxy.start()
            self.watch(proxy)
        for protocol, code in (("pop3", "SYS/TEMP"), ("submission", "454 4.7.0")):
            with Wire(protocol, proxies[0].ports[protocol, "plain"]) as wire:
                self.assertEqual(wire.log_in(account, SECRET).code, code)
            for proxy in proxies:
                self.assertEqual(proxy.events("session", protocol=protocol, outcome="joined"), [])
                refused = proxy.events("login-failed", protocol=protocol)
                self.assertLessEqual(len(refused), room)
                # Everybody has left: there is room for as many as before.
                self.assertTrue(poll(lambda p=proxy, n=protocol: has_room(p, n, room), 60))


def has_room(proxy: Proxy, protocol: str, count: int) -> bool:
    """Whether so many clients are greeted at the same time."""
    with ExitStack() as stack:
        port = proxy.ports[protocol, "plain"]
        try:
            wires = [stack.enter_context(Wire(protocol, port)) for _ in range(count)]
        except (EOFError, ConnectionError):
            return False
        return all(wire.greeting.startswith(("+OK", "220 ")) for wire in wires)
