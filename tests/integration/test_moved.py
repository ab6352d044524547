"""The mapping in each engine: who lives where, who is unknown, who has moved, and bad rows."""

from __future__ import annotations

import atexit
import re
import shutil
import sqlite3
import tempfile
import time
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from tests.integration import mariadb, postgresql, servers
from tests.integration.clients import Answer, Wire
from tests.integration.daemon import WORKERS
from tests.integration.matrix import (
    ALICE,
    ALICE_SECRET,
    BOB,
    HOSTS,
    USERS,
    ProxyTestCase,
    add_test,
    destination,
    endpoints,
    started,
)
from tests.integration.proxy import PROTOCOLS, Destination, Proxy, Settings, table
from tests.integration.redis_server import RedisServer
from tests.support.ports import poll

MOVER = "mover@example.org"
UNKNOWN = "nobody@example.org"
ALIAS = "alice.other@example.org"
LOST, HALF = "lost@example.org", "half@example.org"
ROUTES = {ALICE: "east", BOB: "west", MOVER: "east", LOST: "nowhere", HALF: "imap-only"}
DELAY_MILLISECONDS = 250
DELAY_SECONDS = DELAY_MILLISECONDS / 1000
LOG_SECONDS = 60
"""For a line that Dovecot writes behind its answer."""
# ManageSieve has no code for a wrong password.
WRONG = dict(zip(PROTOCOLS, ("AUTHENTICATIONFAILED", "AUTH", "535 5.7.8", ""), strict=True))
TEMPORARY = dict(zip(PROTOCOLS, ("UNAVAILABLE", "SYS/TEMP", "454 4.7.0", "TRYLATER"), strict=True))

_TABLE = "CREATE TABLE moved_routes (identifier VARCHAR(190) PRIMARY KEY, destination VARCHAR(64))"


class Engine:
    """A mapping in one engine, and how to change it."""

    routes: Mapping[str, str] = ROUTES

    def mapping(self) -> str:
        """The text of ``[mapping]`` and below; empty: the file that the proxy writes."""
        return ""

    def move(self, proxy: Proxy, user: str, where: str) -> None:
        """Send the user elsewhere."""
        raise NotImplementedError


class File(Engine):
    """A text file: it is read again when mailroute is told to.

    What it may name is checked when it is read, so it has no rows that lead nowhere.
    """

    routes: Mapping[str, str] = {ALICE: "east", BOB: "west", MOVER: "east", HALF: "imap-only"}

    def move(self, proxy: Proxy, user: str, where: str) -> None:
        """Write the file anew and say so."""
        proxy.write_routes({**self.routes, user: where})
        proxy.reload()


class Sql(Engine):
    """A database."""

    url = ""
    parameter = "?"

    def execute(self, *statements: str) -> None:
        """Execute statements one by one."""
        raise NotImplementedError

    def create(self) -> None:
        """Make the table with its rows."""
        rows = ", ".join(f"('{user}', '{where}')" for user, where in self.routes.items())
        self.execute(
            "DROP TABLE IF EXISTS moved_routes", _TABLE, f"INSERT INTO moved_routes VALUES {rows}"
        )

    def mapping(self) -> str:
        """One row of one column."""
        query = f"SELECT destination FROM moved_routes WHERE identifier = {self.parameter}"
        sql = table("mapping.sql", {"url": self.url, "query": query})
        return '[mapping]\nsource = "sql"\nnormalize = "lowercase"\n' + sql

    def move(self, proxy: Proxy, user: str, where: str) -> None:
        """Change the row."""
        self.execute(f"UPDATE moved_routes SET destination = '{where}' WHERE identifier = '{user}'")


class Sqlite(Sql):
    """A file of its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-moved-"))
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.url = f"sqlite://{self.folder}/routes"
        self.create()

    def execute(self, *statements: str) -> None:
        """See Sql."""
        with closing(sqlite3.connect(self.folder / "routes")) as connection, connection:
            for statement in statements:
                connection.execute(statement)


class Postgres(Sql):
    """The server that the tests share."""

    parameter = "$1"

    def __init__(self) -> None:
        self.url = postgresql.shared_server().url()
        self.create()

    def execute(self, *statements: str) -> None:
        """See Sql."""
        postgresql.shared_server().execute(*statements)


class Mariadb(Sql):
    """The server that the tests share."""

    def __init__(self) -> None:
        self.url = mariadb.shared_server().url()
        self.create()

    def execute(self, *statements: str) -> None:
        """See Sql."""
        mariadb.shared_server().execute(*statements)


class Table(Sqlite):
    """A chain: what accounts are called elsewhere, then a table of statements."""

    def mapping(self) -> str:
        """The other names are in a file, which knows none of the accounts."""
        (self.folder / "aliases").write_text(f"{ALIAS}: {ALICE}\n")
        query = "SELECT destination FROM moved_routes WHERE identifier = :key"
        names = {"type": "file", "file": str(self.folder / "aliases")}
        homes = {"type": "sql_query", "driver": "sqlite3", "dsn": f"{self.folder}/routes"}
        return (
            '[mapping]\nsource = "table"\nnormalize = "lowercase"\n'
            + table("mapping.table", {"name": "routes"})
            + '[table.routes]\ntype = "chain"\n'
            + 'steps = [{ table = "names", optional = true }, { table = "homes" }]\n'
            + table("table.names", names)
            + table("table.homes", {**homes, "lookup": query})
        )


class Redis(Engine):
    """A server of its own: others empty the one that the tests share."""

    def __init__(self) -> None:
        self.server = RedisServer()
        atexit.register(self.server.destroy)
        self.server.start()
        for user, where in self.routes.items():
            self.server.command("SET", f"route:{user}", where)

    def mapping(self) -> str:
        """One key for each account."""
        redis = table("mapping.redis", {"url": self.server.url()})
        return '[mapping]\nsource = "redis"\nnormalize = "lowercase"\n' + redis

    def move(self, proxy: Proxy, user: str, where: str) -> None:
        """Set the key."""
        self.server.command("SET", f"route:{user}", where)


def _destinations() -> tuple[Destination, ...]:
    hidden = {"hide_auth_errors": True}
    trust = {"tls_ca_file": str(servers.authority().ca_file)}
    imap_only = {"imap": endpoints("east", "implicit")["imap"]}
    whole = [destination(name, "implicit", hidden) for name in HOSTS]
    return (*whole, Destination("imap-only", imap_only, ("localhost",), trust))


ENGINES: dict[str, type[Engine]] = {
    "file": File,
    "sqlite": Sqlite,
    "postgresql": Postgres,
    "mariadb": Mariadb,
    "table": Table,
    "redis": Redis,
}


SILENT = ("postgresql", "mariadb", "redis")
"""Engines that tell nobody of a change."""


@cache
def running(name: str, workers: int) -> tuple[Proxy, Engine]:
    """The mailroute whose mapping is in this engine."""
    engine = ENGINES[name]()
    server = {"auth_failure_delay": f"{DELAY_MILLISECONDS}ms", "workers": workers}
    return started(Settings(_destinations(), engine.routes, engine.mapping(), server)), engine


class MappingTests(ProxyTestCase):
    """The same answers from every engine: each test is made for each of them below."""

    def front(self, engine: str) -> Proxy:
        """The mailroute of this engine."""
        return self.watch(running(engine, WORKERS)[0])

    def connect(self, front: Proxy, protocol: str) -> Wire:
        """A client's connection, closed at the end of the test."""
        wire = Wire(protocol, front.ports[protocol, "implicit"], "implicit")
        self.addCleanup(wire.close)
        return wire

    def refused(self, wire: Wire, user: str, password: str) -> tuple[Answer, float]:
        """The answer to a login that fails, and after how many seconds it came."""
        began = time.monotonic()
        answer = wire.log_in(user, password)
        self.assertFalse(answer.is_accepted, answer)
        return answer, time.monotonic() - began


def each_at_home(self: MappingTests, engine: str) -> None:
    """Two users of one listener reach different servers."""
    front = self.front(engine)
    for protocol in PROTOCOLS:
        for user, (name, secret) in USERS.items():
            wire = self.connect(front, protocol)
            self.assertTrue(wire.log_in(user, secret).is_accepted)
            wire.close()
            # With its user: whoever tried the port before may have had the same origin.
            session = front.wait_for("session", client=wire.origin, user=user)
            self.assertEqual(session["destination"], name)


def unknown(self: MappingTests, engine: str) -> None:
    """An unknown account is answered as a wrong password is: code, words and least time."""
    front = self.front(engine)
    for protocol in PROTOCOLS:
        wire = self.connect(front, protocol)
        stranger, waited = self.refused(wire, UNKNOWN, "wrong")
        self.assertEqual(stranger.code, WRONG[protocol])
        self.assertGreaterEqual(waited, DELAY_SECONDS)
        mistake, waited = self.refused(wire, ALICE, "wrong")
        self.assertGreaterEqual(waited, DELAY_SECONDS)
        self.assertEqual(stranger, mistake)
        # The log tells them apart.
        reasons = [e["reason"] for e in front.events("login-failed", client=wire.origin)]
        self.assertEqual(reasons, ["account-unknown", "credentials-rejected"])
        self.assertTrue(wire.log_in(ALICE, ALICE_SECRET).is_accepted)


def nowhere(self: MappingTests, engine: str) -> None:
    """A destination that is not declared, or lacks the protocol: try later, and an error line."""
    front = self.front(engine)
    cases = [(HALF, protocol, "does not serve") for protocol in PROTOCOLS[1:]]
    if LOST in running(engine, WORKERS)[1].routes:
        cases += [(LOST, protocol, "not declared") for protocol in PROTOCOLS]
    for user, protocol, words in cases:
        wire = self.connect(front, protocol)
        answer, waited = self.refused(wire, user, "wrong")
        self.assertEqual(answer.code, TEMPORARY[protocol])
        self.assertGreaterEqual(waited, DELAY_SECONDS)
        failure = front.wait_for("login-failed", client=wire.origin)
        self.assertEqual((failure["level"], failure["reason"]), ("error", "destination-unknown"))
        self.assertIn(words, failure["detail"])


def moved(self: MappingTests, engine: str) -> None:
    """A row is cached, it changes, the old server says no: the same command lands at the new one.

    The account has another password at each server.  Where mailroute cannot know of the change, it
    is the old server's refusal that makes it look again.
    """
    # Each worker remembers for itself: which of them would have learnt is the kernel's choice.
    front, home = running(engine, 1)
    self.watch(front)
    protocol = MOVES[engine]
    before = refusals()
    for password, name in (("east-secret", "east"), ("west-secret", "west")):
        wire = self.connect(front, protocol)
        answer = wire.log_in(MOVER, password)
        self.assertTrue(answer.is_accepted, answer)
        wire.close()
        session = front.wait_for("session", client=wire.origin)
        self.assertEqual((session["destination"], session["failures"]), (name, 0))
        if name == "east":
            home.move(front, MOVER, "west")
        elif engine in SILENT:
            # It was cached: the old server has been asked once more, and has refused.
            self.assertTrue(poll(lambda: refusals() > before, LOG_SECONDS))
            self.assertEqual(refusals(), before + 1)
    # What was learnt is kept, and a wrong password is still a wrong password there: the old
    # server would have let it in.
    wire = self.connect(front, protocol)
    answer, _waited = self.refused(wire, MOVER, "east-secret")
    self.assertEqual(answer.code, WRONG[protocol])
    failure = front.wait_for("login-failed", client=wire.origin)
    self.assertEqual(failure["destination"], "west")


def refusals() -> int:
    """How often the old server has found the mover's password wrong."""
    pattern = rf"passwd-file\({re.escape(MOVER)},.*Password mismatch"
    return len(re.findall(pattern, servers.dovecot("east").log()))


def other_name(self: MappingTests, engine: str) -> None:
    """A chain leads from another name of an account to its server."""
    front = self.front(engine)
    wire = self.connect(front, "imap")
    answer, _waited = self.refused(wire, ALIAS, "wrong")
    self.assertEqual(answer.code, WRONG["imap"])
    failure = front.wait_for("login-failed", client=wire.origin)
    # It was asked of Alice's server, which knows nobody of this name.
    self.assertEqual((failure["destination"], failure["reason"]), ("east", "credentials-rejected"))


MOVES = {
    **{"file": "imap", "sqlite": "imap", "postgresql": "pop3", "mariadb": "submission"},
    **{"table": "imap", "redis": "imap"},
}

for _engine in ENGINES:
    for _check in (each_at_home, unknown, nowhere, moved):
        add_test(MappingTests, f"{_check.__name__}_{_engine}", _check, _engine)
add_test(MappingTests, "other_name_table", other_name, "table")
