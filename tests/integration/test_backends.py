"""Backends in trouble: each trouble is a temporary failure in time, one log line, nothing left.

The backend is one of the tests' own, which behaves badly for one login; then, for the same
client on the same connection, the real server stands behind it.
"""

from __future__ import annotations

import atexit
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import cache

from tests.integration import servers
from tests.integration.clients import Wire
from tests.integration.daemon import BACKEND_TIMEOUT, VISITS
from tests.integration.dovecot import Dovecot
from tests.integration.matrix import ALICE, ALICE_SECRET, ProxyTestCase, add_test, started
from tests.integration.proxy import PROTOCOLS, Destination, Proxy, Reading, Settings
from tests.integration.scripted import (
    GREETINGS,
    BlackHole,
    ScriptedBackend,
    Talk,
    relay_to,
    until_login,
)
from tests.support.ports import LOOPBACK

BACKEND_SECONDS = 6
"""Of those who meet with silence: time enough for the login that succeeds afterwards."""
# Beyond the allowance itself: two slow cores.
MARGIN_SECONDS = 15
TEMPORARY = {
    "imap": "UNAVAILABLE",
    "pop3": "SYS/TEMP",
    "submission": "454 4.7.0",
    "managesieve": "TRYLATER",
}
CROWD = 60
HUGE = 10 * 1024 * 1024
HUGE_GROWTH_KIB = 2048

Fault = Callable[[Talk, str], None]


def silent_after_connect(talk: Talk, protocol: str) -> None:
    """Not even a greeting."""
    talk.until_left()


def silent_after_greeting(talk: Talk, protocol: str) -> None:
    """A greeting without capabilities, so that there is a question, or half a one; then nothing."""
    less = {"imap": b"* OK scripted\r\n", "managesieve": b'"SASL" "PLAIN"\r\n'}
    talk.say(less.get(protocol, GREETINGS[protocol]))
    talk.until_left()


def silent_after_login(talk: Talk, protocol: str) -> None:
    """The verdict never comes."""
    until_login(talk, protocol)
    talk.until_left()


def untagged_no_after_login(talk: Talk, protocol: str) -> None:
    """Something like an answer, but never the answer."""
    until_login(talk, protocol)
    words = {
        "imap": b"* NO not now\r\n",
        "pop3": b"+OK",
        "submission": b"454-4.7.0 wait\r\n",
        "managesieve": b"NO {9}\r\nnot now",
    }
    talk.say(words[protocol])
    talk.until_left()


def closes_at_once(talk: Talk, protocol: str) -> None:
    """Accepted and closed."""


def closes_after_login(talk: Talk, protocol: str) -> None:
    """The end of the stream instead of a verdict."""
    until_login(talk, protocol)


def resets_after_login(talk: Talk, protocol: str) -> None:
    """A reset instead of a verdict."""
    until_login(talk, protocol)
    talk.reset()


def refuses_service(talk: Talk, protocol: str) -> None:
    """BYE, -ERR, 421 for a greeting."""
    words = {
        "imap": b"* BYE too many connections\r\n",
        "pop3": b"-ERR too many connections\r\n",
        "submission": b"421 4.3.2 too many connections\r\n",
        "managesieve": b'BYE "too many connections"\r\n',
    }
    talk.say(words[protocol])


def says_goodbye_after_login(talk: Talk, protocol: str) -> None:
    """BYE, [SYS/TEMP], 421 for a verdict."""
    until_login(talk, protocol)
    words = {
        "imap": b"* BYE restarting\r\n",
        "pop3": b"-ERR [SYS/TEMP] restarting\r\n",
        "submission": b"421 4.3.2 restarting\r\n",
        "managesieve": b'BYE (TRYLATER) "restarting"\r\n',
    }
    talk.say(words[protocol])


def talks_nonsense(talk: Talk, protocol: str) -> None:
    """Another protocol on this port, and not even text."""
    talk.say(b"\x16\x03\x01\xff\x00HTTP/1.1 400 Bad Request\r\n\r\n")
    talk.until_left()


def greets_without_end(talk: Talk, protocol: str) -> None:
    """10 MB and no line end."""
    talk.say(GREETINGS[protocol].rstrip() + b" " + b"x" * HUGE)
    talk.until_left()


def greets_as_somebody(talk: Talk, protocol: str) -> None:
    """IMAP's PREAUTH: the session would be whosever the backend thinks."""
    talk.say(b"* PREAUTH welcome\r\n")
    talk.until_left()


REASONS: dict[Fault, str] = {
    silent_after_connect: "backend-timed-out",
    silent_after_greeting: "backend-timed-out",
    silent_after_login: "backend-timed-out",
    untagged_no_after_login: "backend-timed-out",
    closes_at_once: "backend-unreachable",
    closes_after_login: "backend-unreachable",
    resets_after_login: "backend-unreachable",
    refuses_service: "backend-unreachable",
    says_goodbye_after_login: "backend-(unreachable|busy)",
    talks_nonsense: "backend-misbehaved",
    greets_without_end: "backend-misbehaved",
}


@cache
def backend(protocol: str) -> ScriptedBackend:
    """The backend of this protocol that does as it is told."""
    return ScriptedBackend(lambda talk: None)


@cache
def front(backend_timeout: str) -> Proxy:
    """The mailroute before them that is so patient."""
    ports = {protocol: (backend(protocol).port, "plain") for protocol in PROTOCOLS}
    place = Destination("scripted", ports, (LOOPBACK,), {"allow_plaintext_auth": True})
    server = {"backend_timeout": backend_timeout}
    return started(Settings((place,), {ALICE: "scripted"}, server=server))


class FaultTests(ProxyTestCase):
    """One test for each trouble and protocol."""

    def real(self, protocol: str) -> None:
        """The backend is back: from now on it is the real server."""
        east, mx = servers.dovecot("east"), servers.postfix("east")
        ports = (east.imap, east.pop3, mx.submission, east.sieve)
        backend(protocol).script = relay_to(dict(zip(PROTOCOLS, ports, strict=True))[protocol])

    def idle_reading(self, proxy: Proxy, protocol: str) -> Reading:
        """What mailroute holds when it has nothing to do, having done everything once."""
        self.real(protocol)
        for _ in range(VISITS):
            self.visit(proxy, protocol)
        return proxy.forget_peak()

    def visit(self, proxy: Proxy, protocol: str) -> None:
        """Log in and leave, until the session is over on both sides."""
        with Wire(protocol, proxy.ports[protocol, "implicit"], "implicit") as wire:
            self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
        self.ended(proxy, protocol, wire)

    def ended(self, proxy: Proxy, protocol: str, wire: Wire) -> None:
        """Wait until this session is over on both sides."""
        proxy.wait_for("session", client=wire.origin)
        proxy.wait_until(lambda: backend(protocol).open == 0)


def fault(self: FaultTests, kind: str, protocol: str) -> None:
    """A temporary failure within backend_timeout, told in the log; then the same client gets in."""
    trouble, reason = next((f, r) for f, r in FAULTS.items() if f.__name__ == kind)
    # Every other trouble is told at once, whatever the allowance.
    is_silent = reason == "backend-timed-out"
    proxy = self.watch(front(f"{BACKEND_SECONDS}s" if is_silent else BACKEND_TIMEOUT))
    before = self.idle_reading(proxy, protocol)
    backend(protocol).script = lambda talk: trouble(talk, protocol)
    wire = Wire(protocol, proxy.ports[protocol, "implicit"], "implicit")
    self.addCleanup(wire.close)
    began = time.monotonic()
    answer = wire.log_in(ALICE, ALICE_SECRET)
    self.assertLess(time.monotonic() - began, BACKEND_SECONDS + MARGIN_SECONDS)
    self.assertFalse(answer.is_accepted)
    self.assertEqual(answer.code, TEMPORARY[protocol], answer.words)
    failure, *others = proxy.events("login-failed", client=wire.origin)
    self.assertEqual(others, [])
    self.assertRegex(failure["reason"], reason)
    # The operator is told which backend it was.
    self.assertIn(f"{LOOPBACK}:{backend(protocol).port}: ", failure["detail"])
    self.real(protocol)
    self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)
    wire.close()
    self.ended(proxy, protocol, wire)
    proxy.wait_until(lambda: proxy.reading().descriptors <= before.descriptors)
    after = proxy.reading()
    self.assertLessEqual(after.threads, before.threads)
    self.assertLess(after.peak_kib - before.peak_kib, HUGE_GROWTH_KIB)


FAULTS = {**REASONS, greets_as_somebody: "backend-misbehaved"}
for _fault in REASONS:
    for _protocol in PROTOCOLS:
        add_test(FaultTests, f"{_protocol}_{_fault.__name__}", fault, _fault.__name__, _protocol)
add_test(FaultTests, "imap_preauth", fault, greets_as_somebody.__name__, "imap")


# Dovecot listens at one address only: at the others the same ports are closed.
HOSTS = {
    "one": (LOOPBACK,),
    "refused": ("127.0.0.2", LOOPBACK),
    "lost": ("127.0.0.3", LOOPBACK),
}


@cache
def stoppable() -> Dovecot:
    """A Dovecot of these tests' own, whose users are named after their destinations."""
    users = {f"{name}@example.org": ALICE_SECRET for name in HOSTS}
    server = Dovecot("stoppable", users, servers.authority())
    atexit.register(server.remove)
    server.start()
    return server


@cache
def before_stoppable(backend_timeout: str = BACKEND_TIMEOUT) -> Proxy:
    """The mailroute before it."""
    server = stoppable()
    options = {"tls_ca_file": str(servers.authority().ca_file), "tls_server_name": "localhost"}
    ports = {
        "imap": (server.imaps, "implicit"),
        "pop3": (server.pop3, "starttls"),
        "managesieve": (server.sieve, "starttls"),
    }
    places = tuple(Destination(name, ports, hosts, options) for name, hosts in HOSTS.items())
    routes = {f"{name}@example.org": name for name in HOSTS}
    allowance = {"backend_timeout": backend_timeout}
    return started(Settings(places, routes, server=allowance))


class StoppedTests(ProxyTestCase):
    """A real server that is stopped, and started again; a destination with two hosts."""

    def test_stopped_and_started(self) -> None:
        """Joined sessions end, logins fail for now, and the same client gets in afterwards."""
        server, proxy = stoppable(), before_stoppable()
        self.watch(proxy)
        joined = Wire("imap", proxy.ports["imap", "implicit"], "implicit")
        waiting = [Wire(p, proxy.ports[p, "implicit"], "implicit") for p in ("pop3", "managesieve")]
        for wire in (joined, *waiting):
            self.addCleanup(wire.close)
        self.assertTrue(joined.log_in("one@example.org", ALICE_SECRET).is_accepted)
        server.stop()
        # Dovecot says so itself before it goes; nothing of ours is added to the stream.
        self.assertIn(joined.rest(), (b"", b"* BYE Server shutting down.\r\n"))
        for wire in waiting:
            answer = wire.log_in("one@example.org", ALICE_SECRET)
            self.assertEqual(answer.code, TEMPORARY[wire.protocol])
            failure = proxy.wait_for("login-failed", client=wire.origin)
            self.assertEqual(failure["reason"], "backend-unreachable")
        server.start()
        for wire in waiting:
            self.assertTrue(wire.log_in("one@example.org", ALICE_SECRET).is_accepted)

    def test_many_come_back(self) -> None:
        """A server's clients all come back at once: each hears "later", and gets in afterwards."""
        server, proxy = stoppable(), before_stoppable()
        self.watch(proxy)
        before = proxy.reading().descriptors
        with ExitStack() as joined:
            for wire in self.crowd(proxy, joined):
                self.assertTrue(wire.log_in("one@example.org", ALICE_SECRET).is_accepted)
            server.stop()
        with ExitStack() as back, ThreadPoolExecutor(CROWD) as pool:
            wires = self.crowd(proxy, back)
            for serves in (False, True):
                if serves:
                    server.start()
                answers = list(pool.map(lambda w: w.log_in("one@example.org", ALICE_SECRET), wires))
                codes = {answer.code for answer in answers if not answer.is_accepted}
                self.assertEqual(codes, set() if serves else {TEMPORARY["imap"]})
        proxy.wait_until(lambda: proxy.reading().descriptors <= before)

    def crowd(self, proxy: Proxy, stack: ExitStack) -> list[Wire]:
        """Many IMAP clients, greeted."""
        port = proxy.ports["imap", "implicit"]
        return [stack.enter_context(Wire("imap", port, "implicit")) for _ in range(CROWD)]

    def test_second_host(self) -> None:
        """The first of two hosts refuses connections, or does not answer: the second serves."""
        # Each host has its share of the allowance.
        proxy = self.watch(before_stoppable(f"{2 * BACKEND_SECONDS}s"))
        hole = BlackHole("127.0.0.3", stoppable().imaps)
        self.addCleanup(hole.close)
        for name in ("refused", "lost"):
            with Wire("imap", proxy.ports["imap", "implicit"], "implicit") as wire:
                answer = wire.log_in(f"{name}@example.org", ALICE_SECRET)
                self.assertTrue(answer.is_accepted, answer)
