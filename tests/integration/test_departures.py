"""A client that leaves, at every stage: the backend's connection ends, nothing is left behind.

Every wait of this mailroute is longer than a test waits, so that it is the departure that ends
things and not a time-out.
"""

from __future__ import annotations

import atexit
import contextlib
import shutil
import socket
import sqlite3
import ssl
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

from mailroute.tables.sqlite_file import MAX_THREADS
from tests.integration import clients
from tests.integration.clients import Wire
from tests.integration.matrix import ProxyTestCase, add_test, started
from tests.integration.proxy import QUIET_SECONDS, Destination, Proxy, Settings, table
from tests.integration.scripted import (
    BlackHole,
    ScriptedBackend,
    Talk,
    accept_login,
    reset_on_close,
    until_login,
)
from tests.support.ports import LOOPBACK

USER, UNREACHED = "user@example.org", "unreached@example.org"
LONG = f"{4 * QUIET_SECONDS}s"


@cache
def backend() -> ScriptedBackend:
    """The backend that can be reached."""
    return ScriptedBackend(accept_login)


@cache
def database() -> Path:
    """The routes; whoever locks this file stops every lookup."""
    folder = tempfile.mkdtemp(prefix="mailroute-departures-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    path = Path(folder) / "routes"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE routes (identifier TEXT, destination TEXT)")
        rows = [(USER, "scripted"), (UNREACHED, "hole")]
        connection.executemany("INSERT INTO routes VALUES (?, ?)", rows)
    connection.close()
    return path


@cache
def front() -> Proxy:
    """The mailroute that waits long for everything."""
    hole = BlackHole()
    atexit.register(hole.close)
    options = {"allow_plaintext_auth": True}
    places = tuple(
        Destination(name, {"imap": (port, "plain")}, (LOOPBACK,), options)
        for name, port in (("scripted", backend().port), ("hole", hole.port))
    )
    times = {"backend_timeout": LONG, "auth_failure_delay": LONG}
    query = "SELECT destination FROM routes WHERE identifier = ?"
    caching = {"source": "sql", "lookup_timeout": LONG, "positive_ttl": "0s", "negative_ttl": "0s"}
    sql = table("mapping.sql", {"url": f"sqlite://{database()}", "query": query})
    proxy = started(Settings(places, mapping=table("mapping", caching) + sql, server=times))
    _open_connections(proxy)
    return proxy


def _open_connections(proxy: Proxy) -> None:
    """Have each process open both its connections to the database, with a thread for each."""
    lock = sqlite3.connect(database(), isolation_level=None)
    lock.execute("BEGIN EXCLUSIVE")
    wires: list[Wire] = []

    def ask() -> bool:
        """One more look-up that has to wait; whether that was enough."""
        wires.append(Wire("imap", proxy.ports["imap", "implicit"], "implicit"))
        wires[-1].say(f"a LOGIN {USER} secret")
        return all(_open_files(pid).count(str(database())) == MAX_THREADS for pid in proxy.servers)

    proxy.wait_until(ask)
    lock.execute("ROLLBACK")
    lock.close()
    for wire in wires:
        wire.reply()
        wire.close()
        proxy.wait_for("session", client=wire.origin)
    proxy.wait_until(lambda: backend().open == 0)


def _open_files(pid: int) -> list[str]:
    found = []
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            found.append(str(descriptor.readlink()))
    return found


class DepartureTests(ProxyTestCase):
    """One test for each stage and each way to leave."""

    def setUp(self) -> None:
        backend().script = accept_login
        self.proxy = self.watch(front())
        # Once everything: threads and contexts are there afterwards.
        for mode in ("plain", "implicit"):
            with Wire("imap", self.proxy.ports["imap", mode], mode) as wire:
                self.assertTrue(wire.log_in(USER, "secret").is_accepted)
            self.gone(wire.origin)
        self.before = self.proxy.reading()

    def gone(self, origin: str) -> None:
        """The session is over, on both sides."""
        self.proxy.wait_for("session", client=origin)
        self.proxy.wait_until(lambda: backend().open == 0)

    def connect(self, mode: str = "implicit") -> Wire:
        """A client that has been greeted."""
        wire = Wire("imap", self.proxy.ports["imap", mode], mode)
        self.addCleanup(wire.close)
        return wire

    def check(self, origin: str) -> None:
        """The session ends, everything is given back, and the next client is served."""
        self.gone(origin)
        self.proxy.wait_until(lambda: self.proxy.reading().descriptors <= self.before.descriptors)
        self.assertLessEqual(self.proxy.reading().threads, self.before.threads)
        backend().script = accept_login
        with self.connect() as wire:
            self.assertTrue(wire.log_in(USER, "secret").is_accepted)
        # Nothing of it is counted by the next test.
        self.gone(wire.origin)

    def test_handshake(self) -> None:
        """In the middle of the TLS handshake."""
        port = self.proxy.ports["imap", "implicit"]
        hello = ssl.MemoryBIO()
        half = clients.trust().wrap_bio(ssl.MemoryBIO(), hello, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            half.do_handshake()
        with socket.create_connection((LOOPBACK, port)) as connection:
            origin = "{}:{}".format(*connection.getsockname())
            connection.sendall(hello.read()[:100])
            self.proxy.wait_until(
                lambda: self.proxy.reading().descriptors > self.before.descriptors
            )
        self.check(origin)

    def test_starttls(self) -> None:
        """After STARTTLS, instead of a handshake."""
        wire = self.connect("starttls")
        self.assertTrue(wire.ask("a STARTTLS").startswith("a OK"))
        wire.close()
        self.check(wire.origin)


Leave = Callable[[Wire], None]


def close(wire: Wire) -> None:
    """An orderly end."""
    wire.close()


def cut(wire: Wire) -> None:
    """A reset."""
    reset_on_close(wire.socket)
    wire.close()


LEAVES: dict[str, Leave] = {"close": close, "reset": cut}


def greeted(self: DepartureTests, leave: str) -> None:
    """Before it has said anything."""
    wire = self.connect()
    LEAVES[leave](wire)
    self.check(wire.origin)


def lookup(self: DepartureTests, leave: str) -> None:
    """While its account is looked up."""
    lock = sqlite3.connect(database(), isolation_level=None)
    self.addCleanup(lock.close)
    lock.execute("BEGIN EXCLUSIVE")
    accepted = backend().accepted
    wire = self.connect()
    wire.say(f"a LOGIN {USER} secret")
    other = self.connect()
    other.say("a NOOP")
    self.assertEqual(other.line()[:4], "a OK")
    LEAVES[leave](wire)
    # The session ends although the lookup does not.
    self.gone(wire.origin)
    lock.execute("ROLLBACK")
    other.close()
    self.check(wire.origin)
    self.assertEqual(backend().accepted, accepted + 1)


def connecting(self: DepartureTests, leave: str) -> None:
    """While its backend is connected to."""
    wire = self.connect()
    wire.say(f"a LOGIN {UNREACHED} secret")
    # The client's connection and the one that is being made.
    self.proxy.wait_until(lambda: self.proxy.reading().descriptors >= self.before.descriptors + 2)
    LEAVES[leave](wire)
    self.check(wire.origin)


def logging_in(self: DepartureTests, leave: str) -> None:
    """While its backend thinks about the login."""

    def script(talk: Talk) -> None:
        until_login(talk, "imap")
        reached.append(True)
        talk.until_left()

    reached: list[bool] = []
    backend().script = script
    wire = self.connect()
    wire.say(f"a LOGIN {USER} secret")
    self.proxy.wait_until(lambda: reached)
    LEAVES[leave](wire)
    self.check(wire.origin)


def challenged(self: DepartureTests, leave: str) -> None:
    """While a relayed challenge waits for its response."""

    def script(talk: Talk) -> None:
        until_login(talk, "imap")
        talk.say(b"+ eyJzdGF0dXMiOiI0MDEifQ==\r\n")
        talk.until_left()

    backend().script = script
    wire = self.connect()
    wire.say("a AUTHENTICATE XOAUTH2 " + clients.xoauth2(USER, "token"))
    self.assertEqual(wire.line(), "+ eyJzdGF0dXMiOiI0MDEifQ==")
    LEAVES[leave](wire)
    self.check(wire.origin)


def held_back(self: DepartureTests, leave: str) -> None:
    """While the answer to its wrong password is held back."""

    def script(talk: Talk) -> None:
        tag = until_login(talk, "imap").split()[0]
        talk.say(tag + b" NO [AUTHENTICATIONFAILED] no\r\n")
        talk.until_left()

    backend().script = script
    wire = self.connect()
    wire.say(f"a LOGIN {USER} wrong")
    self.proxy.wait_for("login-failed", client=wire.origin)
    LEAVES[leave](wire)
    self.check(wire.origin)


def joined(self: DepartureTests, leave: str) -> None:
    """When the streams are joined: by the kernel, and by the pump."""

    def script(talk: Talk) -> None:
        accept_login(talk)
        talk.until_left()

    for mode in ("plain", "implicit"):
        backend().script = script
        wire = self.connect(mode)
        self.assertTrue(wire.log_in(USER, "secret").is_accepted)
        LEAVES[leave](wire)
        self.check(wire.origin)


def joined_and_full(self: DepartureTests, leave: str) -> None:
    """When the streams are joined and much is under way to the client."""

    def script(talk: Talk) -> None:
        accept_login(talk)
        while True:
            talk.say(b"x" * 65536)

    for mode in ("plain", "implicit"):
        backend().script = script
        wire = self.connect(mode)
        self.assertTrue(wire.log_in(USER, "secret").is_accepted)
        wire.socket.recv(1)
        LEAVES[leave](wire)
        self.check(wire.origin)


def backend_leaves(self: DepartureTests, leave: str) -> None:
    """The other way round: when the joined backend leaves, the client reads the end."""

    def script(talk: Talk) -> None:
        accept_login(talk)
        talk.line()
        talk.say(b"* the last words\r\n")
        if leave == "reset":
            talk.reset()

    for mode in ("plain", "implicit"):
        backend().script = script
        wire = self.connect(mode)
        self.assertTrue(wire.log_in(USER, "secret").is_accepted)
        wire.say("b NOOP")
        if leave == "close":
            # What was said before the end arrives; after a reset nobody can promise that.
            self.assertEqual(wire.rest(), b"* the last words\r\n")
        else:
            wire.rest_or_reset()
        wire.close()
        self.check(wire.origin)


for _leave in LEAVES:
    for _stage in (greeted, lookup, connecting, logging_in, challenged, held_back):
        add_test(DepartureTests, f"{_stage.__name__}_{_leave}", _stage, _leave)
    for _stage in (joined, joined_and_full, backend_leaves):
        add_test(DepartureTests, f"{_stage.__name__}_{_leave}", _stage, _leave)
