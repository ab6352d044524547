"""Lookups in a real Redis server."""

from __future__ import annotations

import time
import tomllib
from collections.abc import Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.redis import RedisSettings, RedisTable
from mailroute.tables.redis_protocol import VALUE_LIMIT_OCTETS
from mailroute.tables.string_table import Changes, TableSource
from tests.integration.redis_server import RedisServer, shared_server
from tests.support.documented import answer_of, examples
from tests.tables.contract_tests import ALICE, INJECTIONS, TableContract

RECOVERY_SECONDS = 30


class RedisCase(TestCase):
    """The shared server, empty."""

    timeout = 120

    def setUp(self) -> None:
        """Start the server, once, and empty it."""
        self.server: RedisServer = shared_server()
        self.server.command("FLUSHALL")

    def make(self, url: str | None = None, **settings: Any) -> RedisTable:
        """A table that is closed at the end of the test."""
        given = {"lookup_seconds": 20.0, **settings}
        table = RedisTable("table.x", RedisSettings(url or self.server.url(), **given), reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def fails(self, table: RedisTable, key: str = ALICE) -> str:
        """Expect a failed lookup; return its reason."""
        try:
            values = await table.get(key)
        except LookupFailed as failed:
            self.assertNotIn("s3cret", failed.reason)
            return failed.reason
        raise self.failureException(f"answered {values!r}")


class RedisContractTests(TableContract, RedisCase):
    """Redis keeps the contract."""

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write with a connection of our own."""
        self.server.command("FLUSHALL")
        for key, value in rows.items():
            self.server.command("SET", f"route:{key}", value)
        if not hasattr(self, "table"):
            self.table = TableSource(self.make())

    async def damage(self) -> None:
        """The keys are no texts any more: an unknown one neither."""
        for key in (ALICE, "bob@example.org"):
            self.server.command("DEL", f"route:{key}")
            self.server.command("LPUSH", f"route:{key}", "x")

    async def mend(self) -> None:
        """Undo it."""
        await self.provide({ALICE: "east"})

    async def stall(self) -> None:
        """The server hangs."""
        self.table = TableSource(self.make(lookup_seconds=0.4))
        self.server.suspend()
        self.addCleanup(self.server.resume)


class RedisTests(RedisCase):
    """What is Redis' own."""

    async def test_prefix(self) -> None:
        """The key stands behind the prefix; a value of digits is text."""
        self.server.command("SET", "route:k", "007")
        self.server.command("SET", "k", "other")
        self.assertEqual(await self.make().get("k"), ("007",))
        self.assertEqual(await self.make(key_prefix="").get("k"), ("other",))
        self.assertIsNone(await self.make(key_prefix="x:").get("k"))

    async def test_empty(self) -> None:
        """An empty value is found."""
        self.server.command("SET", "route:k", "")
        self.assertEqual(await self.make().get("k"), ("",))

    async def test_bad_values(self) -> None:
        """What is not UTF-8, no text or too long is a failure; the table goes on."""
        self.server.command("SET", "route:octets", b"\xff")
        self.server.command("LPUSH", "route:list", "x")
        self.server.command("SET", "route:long", "x" * (VALUE_LIMIT_OCTETS + 1))
        self.server.command("SET", "route:k", "v")
        table = self.make()
        self.assertIn("UTF-8", await self.fails(table, "octets"))
        self.assertIn("WRONGTYPE", await self.fails(table, "list"))
        self.assertIn("lost", await self.fails(table, "long"))
        self.assertEqual(await table.get("k"), ("v",))

    async def test_changes(self) -> None:
        """Set, replace, delete; the rest stays, hostile keys are data."""
        table = self.make()
        await table.set("k", ("1",))
        await table.set("k", ("2",))
        self.assertEqual(await table.get("k"), ("2",))
        for key in INJECTIONS:
            await table.set(key, (key[::-1],))
            self.assertEqual(await table.get(key), (key[::-1],))
            self.assertTrue(await table.delete(key))
        self.assertFalse(await table.delete("none"))
        self.assertEqual(await table.list(), [("k", ("2",))])

    async def test_bulk(self) -> None:
        """Many keys are set by one command; hostile ones are data."""
        table = self.make()
        many = [(f"n{number}", (f"é{number}",)) for number in range(500)]
        hostile = [(key, (key[::-1],)) for key in INJECTIONS]
        await table.write(Changes(many, hostile))
        self.assertEqual(await table.list(), sorted([*many, *hostile]))
        await table.write(Changes())

    async def test_list(self) -> None:
        """All keys with the prefix, whatever signs it has, and no others."""
        other = self.make(key_prefix="oxe")
        await other.set("x", ("1",))
        for prefix in ("o[xy]*?\\", "route:"):
            table = self.make(key_prefix=prefix)
            self.assertEqual(await table.list(), [])
            wanted = [(f"k{number:04}", (str(number),)) for number in range(1200)]
            for key, values in wanted:
                await table.set(key, values)
            self.assertEqual(await table.list(), wanted)
        self.server.command("LPUSH", "route:list", "x")
        self.assertEqual(len(await self.make().list()), 1200)

    async def test_many_at_once(self) -> None:
        """More questions than connections: each has its own answer."""
        table = self.make(pool_size=3)
        for number in range(20):
            await table.set(f"k{number}", (str(number),))
        asked = [Deferred.fromCoroutine(table.get(f"k{number % 20}")) for number in range(200)]
        answers = await gatherResults(asked)
        self.assertEqual(answers, [(str(number % 20),) for number in range(200)])
        self.assertLessEqual(table._pool.connections, 3)

    async def test_ways(self) -> None:
        """A Unix socket, TLS with its authorities, a database by its number."""
        self.server.command("SET", "route:k", "v")
        password = "s3cret%40%3A%2F"
        for url in (
            f"unix://:{password}@{self.server.socket}",
            f"rediss://:{password}@localhost:{self.server.tls_port}"
            f"?ssl_ca_certs={self.server.folder}/ca.pem",
        ):
            table = self.make(url)
            self.assertEqual(table.check(), [])
            self.assertEqual(await table.get("k"), ("v",))
        self.assertIsNone(await self.make(self.server.url(3)).get("k"))

    async def test_untrusted(self) -> None:
        """A certificate that nobody vouches for is a failure."""
        table = self.make(f"rediss://localhost:{self.server.tls_port}")
        self.assertIn("certificate", await self.fails(table))
        (warning,) = table.check()
        self.assertIn("CERTIFICATE", warning.upper())

    async def test_wrong_password(self) -> None:
        """It is a failure of each lookup and a complaint of the check."""
        for url in (f"redis://:wrong@127.0.0.1:{self.server.port}",):
            table = self.make(url)
            self.assertIn("WRONGPASS", await self.fails(table))
            self.assertIn("WRONGPASS", await self.fails(table))
            with self.assertRaises(ConfigurationError):
                table.check()


class OutageTests(RedisCase):
    """A server of its own, which comes and goes."""

    def setUp(self) -> None:
        """Start it."""
        self.server = RedisServer()
        self.addCleanup(self.server.destroy)
        self.server.start()
        self.server.command("SET", f"route:{ALICE}", "east")

    async def recovers(self, table: RedisTable) -> None:
        """Ask until there is an answer."""
        give_up = time.monotonic() + RECOVERY_SECONDS
        while True:
            try:
                self.assertEqual(await table.get(ALICE), ("east",))
                return
            except LookupFailed:
                if time.monotonic() > give_up:
                    raise
                await deferLater(reactor, 0.1, lambda: None)

    async def test_restart(self) -> None:
        """A server that goes is a failure, and is asked again when it is back."""
        table = self.make()
        self.assertEqual(await table.get(ALICE), ("east",))
        self.server.stop()
        await self.fails(table)
        self.assertIn("cannot be asked now", table.check()[0])
        self.server.start()
        self.server.command("SET", f"route:{ALICE}", "east")
        await self.recovers(table)

    async def test_hanging(self) -> None:
        """A server that hangs is a failure in time; connections do not pile up."""
        table = self.make(lookup_seconds=0.5, pool_size=2)
        # The allowance is for the server that hangs: one that serves may be too slow for it.
        await self.recovers(table)
        self.server.suspend()
        for _ in range(4):
            await self.fails(table)
        self.assertLessEqual(table._pool.connections, 2)
        self.server.resume()
        await self.recovers(table)


class DocumentTests(RedisCase):
    """The example of the document."""

    async def test_example(self) -> None:
        """Each answer is the one that the document gives."""
        (example,) = [example for example in examples() if example.redis]
        for command in example.redis:
            self.server.command(*command)
        settings = tomllib.loads(example.configuration)["table"]
        for lookup in example.lookups:
            table = self.make(key_prefix=settings[lookup.table]["key_prefix"])
            self.assertEqual(await answer_of(table, lookup.key), lookup.answer, lookup.key)
