"""IMAP logins whose mapping is a table or Redis, while what they ask fails and comes back."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from pathlib import Path

from tests.integration import servers
from tests.integration.clients import Answer, Wire
from tests.integration.matrix import ALICE, ALICE_SECRET, BOB, BOB_SECRET, ProxyTestCase
from tests.integration.proxy import Destination, Proxy, Settings, table
from tests.integration.redis_server import RedisServer
from tests.support.ports import poll

SECONDS = 60
_REDIS = '[mapping]\nsource = "redis"\nlookup_timeout = "10s"\nnegative_ttl = "0s"\n'
_TABLE = '[mapping]\nsource = "table"\nnormalize = "lowercase"\nnegative_ttl = "0s"\n'


def imap_server(name: str, server: str, host: str = "localhost") -> Destination:
    """The destination of this name is one of the real servers."""
    trust = {"tls_ca_file": str(servers.authority().ca_file)}
    endpoint = (servers.dovecot(server).imaps, "implicit")
    return Destination(name, {"imap": endpoint}, (host,), trust)


class SourceTests(ProxyTestCase):
    """Absent, failed and found are three answers to the client."""

    timeout = 300

    def front(self, mapping: str, *more: Destination, extra: str = "") -> Proxy:
        """A mailroute of the test's own before the real IMAP servers."""
        both = (imap_server("east", "east"), imap_server("west", "west"))
        # Each worker remembers for itself.
        alone = {"workers": 1}
        proxy = Proxy(Settings((*both, *more), mapping=mapping, extra=extra, server=alone))
        self.addCleanup(proxy.remove)
        proxy.start()
        return self.watch(proxy)

    def log_in(self, front: Proxy, user: str, password: str) -> Answer:
        """A login on a new connection; what was joined answers the backend's own words."""
        with Wire("imap", front.ports["imap", "implicit"], "implicit") as wire:
            answer = wire.log_in(user, password)
            if answer.is_accepted:
                self.assertIn("a OK", wire.ask("a SELECT INBOX"))
            return answer

    def succeeds(self, front: Proxy, user: str, password: str) -> None:
        """It does, if need be after a while."""
        self.assertTrue(poll(lambda: self.log_in(front, user, password).is_accepted, SECONDS))

    def test_redis(self) -> None:
        """A server that goes and comes back; whoever was looked up before is served meanwhile."""
        server = RedisServer()
        self.addCleanup(server.destroy)
        server.start()
        for user, where in ((ALICE, "east"), (BOB, "west")):
            server.command("SET", f"route:{user}", where)
        front = self.front(_REDIS + table("mapping.redis", {"url": server.url()}))
        self.assertTrue(self.log_in(front, ALICE, ALICE_SECRET).is_accepted)
        unknown = self.log_in(front, "nobody@example.org", ALICE_SECRET)
        self.assertEqual(unknown.code, "AUTHENTICATIONFAILED")
        server.stop()
        self.assertEqual(self.log_in(front, BOB, BOB_SECRET).code, "UNAVAILABLE")
        self.assertEqual(self.log_in(front, "nobody@example.org", "x").code, "UNAVAILABLE")
        self.assertTrue(self.log_in(front, ALICE, ALICE_SECRET).is_accepted)
        self.assertNotIn("s3cret", front.text())
        server.start()
        server.command("SET", f"route:{BOB}", "west")
        self.succeeds(front, BOB, BOB_SECRET)
        front.wait_for("session", user=BOB, destination="west", outcome="joined")

    def test_table(self) -> None:
        """A file table: changed and told so; broken it keeps the old content."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-source-"))
        self.addCleanup(shutil.rmtree, folder)
        routes = folder / "routes"
        routes.write_text(f"{ALICE}: west\n")
        tables = table("mapping.table", {"name": "routes"})
        tables += table("table.routes", {"type": "file", "file": str(routes)})
        front = self.front(_TABLE + tables)
        # Alice is known in the east only.
        self.assertEqual(self.log_in(front, ALICE, ALICE_SECRET).code, "AUTHENTICATIONFAILED")
        routes.write_text(f"{ALICE}: east\n")
        front.reload()
        self.succeeds(front, ALICE.title(), ALICE_SECRET)
        routes.write_text(": nobody\n")
        front.reload()
        front.wait_until(lambda: "the old content stays" in front.text())
        self.succeeds(front, ALICE, ALICE_SECRET)

    def test_update(self) -> None:
        """What was looked up a moment ago is asked anew when the database or the file changes."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-source-"))
        self.addCleanup(shutil.rmtree, folder)
        database, routes = folder / "routes.db", folder / "routes"
        writer = sqlite3.connect(database, isolation_level=None)
        self.addCleanup(writer.close)
        writer.execute("CREATE TABLE routes (identifier TEXT PRIMARY KEY, destination TEXT)")

        def update(destination: str) -> None:
            writer.execute("REPLACE INTO routes VALUES (?, ?)", (ALICE, destination))

        def rewrite(destination: str) -> None:
            routes.write_text(f"{ALICE}: {destination}\n")

        query = "SELECT destination FROM routes WHERE identifier = "
        postfix = folder / "routes.cf"
        postfix.write_text(f"dbpath = {database}\nquery = {query}'%s'\n")
        sql = '[mapping]\nsource = "sql"\n'
        sql += table("mapping.sql", {"url": f"sqlite://{database}", "query": f"{query}$1"})
        kinds = {
            "file": ({"file": str(routes)}, rewrite),
            "sql_query": (
                {"driver": "sqlite3", "dsn": str(database), "lookup": f"{query}$1"},
                update,
            ),
            "postfix": ({"map": f"sqlite:{postfix}"}, update),
        }
        named = table("mapping.table", {"name": "routes"})
        configured = [
            (_TABLE + named + table("table.routes", {"type": kind, **keys}), change)
            for kind, (keys, change) in kinds.items()
        ]
        for mapping, change in ((sql, update), *configured):
            change("east")
            front = self.front(mapping)
            self.assertTrue(self.log_in(front, ALICE, ALICE_SECRET).is_accepted)
            change("west")
            # Alice is known in the east only; nobody but the log tells her that she is sent west.
            front.wait_until(
                lambda f=front: self.log_in(f, ALICE, ALICE_SECRET).code == "AUTHENTICATIONFAILED",
                SECONDS,
            )
            front.wait_for("login-failed", user=ALICE, destination="west")
            front.stop()

    def test_values(self) -> None:
        """A value may fit a destination's pattern, or be an address."""
        port = servers.dovecot("west").imaps
        entries = [[ALICE, "at-localhost"], [BOB, f"[localhost]:{port}"]]
        tables = table("mapping.table", {"name": "routes"})
        tables += table("table.routes", {"type": "static", "entries": entries})
        front = self.front(
            _TABLE + tables,
            imap_server("at-*", "east", "{1}"),
            extra=table("routing", {"address_destination": "east"}),
        )
        for user, password in ((ALICE, ALICE_SECRET), (BOB, BOB_SECRET)):
            self.assertTrue(self.log_in(front, user, password).is_accepted)
        front.wait_for("session", user=ALICE, destination="at-localhost", outcome="joined")
        front.wait_for("session", user=BOB, outcome="joined")

    def test_failing_table(self) -> None:
        """A table that cannot tell is a temporary failure, not a wrong password."""
        folder = Path(tempfile.mkdtemp(prefix="mailroute-source-"))
        self.addCleanup(shutil.rmtree, folder)
        tables = table("mapping.table", {"name": "routes"})
        tables += table("table.routes", {"type": "file", "file": str(folder / "routes")})
        front = self.front(_TABLE + tables)
        self.assertEqual(self.log_in(front, ALICE, ALICE_SECRET).code, "UNAVAILABLE")
        (folder / "routes").write_text(f"{ALICE}: east\n")
        # Nobody tells: it is looked for.
        self.succeeds(front, ALICE, ALICE_SECRET)
