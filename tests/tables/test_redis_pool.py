"""Connections to Redis: how many, and what becomes of them."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.redis_pool import RedisPool, endpoint_of
from mailroute.tables.redis_protocol import RedisConnection, RedisConnections
from mailroute.tables.redis_url import RedisTarget

VALUE = b"$1\r\nv\r\n"


class Server:
    """An endpoint in memory whose connections are seen; ``refuses`` is why it has none."""

    def __init__(self) -> None:
        self.connections: list[RedisConnection] = []
        self.refuses: Exception | None = None
        self.hangs = False

    def connect(self, factory: RedisConnections) -> Deferred[RedisConnection]:
        """Make a connection."""
        if self.hangs:
            return Deferred()
        if self.refuses is not None:
            raise self.refuses
        connection = factory.buildProtocol(None)
        connection.makeConnection(StringTransport())
        self.connections.append(connection)
        return succeed(connection)

    def answer(self, number: int = -1) -> None:
        """Answer a question with the value v."""
        self.connections[number].dataReceived(VALUE)

    def end(self, number: int = -1) -> None:
        """End a connection."""
        self.connections[number].connectionLost(Failure(ConnectionDone()))


class PoolTests(SynchronousTestCase):
    """Questions, connections, time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.server = Server()
        self.pool = RedisPool(RedisTarget("h"), 2, cast(Any, self.clock))
        self.pool._endpoint = self.server

    def ask(self, seconds: float = 5) -> Deferred[Any]:
        """Ask for a key."""
        until = self.clock.seconds() + seconds
        return Deferred.fromCoroutine(self.pool.ask(lambda c: c.get(b"k"), until))

    def reason(self, asked: Deferred[Any]) -> str:
        """Why it failed."""
        return str(self.failureResultOf(asked, LookupFailed).value.reason)

    def test_reuse(self) -> None:
        """One question after the other goes over one connection."""
        for _ in range(3):
            asked = self.ask()
            self.server.answer()
            self.assertEqual(self.successResultOf(asked), b"v")
        self.assertEqual(len(self.server.connections), 1)
        self.assertEqual(self.pool.connections, 1)

    def test_size(self) -> None:
        """Never more connections than the size; further questions wait for their turn."""
        asked = [self.ask() for _ in range(3)]
        self.assertEqual(len(self.server.connections), 2)
        self.server.answer(1)
        self.assertEqual(self.successResultOf(asked[1]), b"v")
        self.server.answer(1)
        self.assertEqual(self.successResultOf(asked[2]), b"v")
        self.server.answer(0)
        self.assertEqual(self.successResultOf(asked[0]), b"v")

    def test_no_answer(self) -> None:
        """A question that is not answered in time fails, and its connection is given up."""
        asked = self.ask()
        self.clock.advance(5)
        self.assertIn("Redis at h:6379: no answer in time", self.reason(asked))
        self.assertTrue(self.server.connections[0].transport.disconnected)
        self.assertEqual(self.pool.connections, 0)
        self.ask()
        self.assertEqual(len(self.server.connections), 2)

    def test_idle_connection_lost(self) -> None:
        """A connection that ended while nobody asked is not asked."""
        self.ask()
        self.server.answer()
        self.server.end()
        asked = self.ask()
        self.server.answer()
        self.assertEqual(self.successResultOf(asked), b"v")
        self.assertEqual(len(self.server.connections), 2)

    def test_used_connection_lost(self) -> None:
        """If it ends with the question on it, the question is put once more, then fails."""
        self.ask()
        self.server.answer()
        asked = self.ask()
        self.server.end()
        self.assertNoResult(asked)
        self.server.end()
        self.assertIn("connection was lost", self.reason(asked))
        self.assertEqual(len(self.server.connections), 2)

    def test_refused(self) -> None:
        """A server that is away fails the question at once; it may come back."""
        self.server.refuses = ConnectionRefusedError()
        self.assertIn("refused", self.reason(self.ask()))
        self.server.refuses = None
        asked = self.ask()
        self.server.answer()
        self.assertEqual(self.successResultOf(asked), b"v")

    def test_no_authorities(self) -> None:
        """A file of authorities that cannot be read is why, and no defect; it may come back."""
        path = self.mktemp()
        target = RedisTarget("h", tls=True, ca_file=path)
        self.pool = RedisPool(target, 2, cast(Any, self.clock))
        for _ in range(2):
            self.assertIn(f"{path} cannot be read", self.reason(self.ask()))

    def test_connecting_takes_too_long(self) -> None:
        """Connecting is a part of the question's time, and so is waiting for a turn."""
        self.server.hangs = True
        asked = [self.ask() for _ in range(3)]
        self.clock.advance(5)
        for one in asked:
            self.assertIn("time", self.reason(one))
        self.server.hangs = False
        self.ask()
        self.assertEqual(len(self.server.connections), 1)

    def test_question_refused(self) -> None:
        """The server's refusal of a question leaves the connection as it is."""
        asked = self.ask()
        self.server.connections[0].dataReceived(b"-WRONGTYPE no text\r\n")
        self.assertIn("WRONGTYPE", self.reason(asked))
        self.ask()
        self.assertEqual(len(self.server.connections), 1)

    def test_cancelled(self) -> None:
        """Who stops waiting takes the connection along: its answer may still come."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked)
        self.assertTrue(self.server.connections[0].transport.disconnected)
        self.ask()
        self.assertEqual(len(self.server.connections), 2)

    def test_close(self) -> None:
        """A closed pool has no connection and takes no question."""
        self.ask()
        self.server.answer()
        closing = Deferred.fromCoroutine(self.pool.close())
        self.successResultOf(closing)
        self.assertTrue(self.server.connections[0].transport.disconnected)
        self.assertIn("closed", self.reason(self.ask()))


class EndpointTests(SynchronousTestCase):
    """Where to connect."""

    def test_bad_authorities(self) -> None:
        """A file that holds no certificate is a complaint."""
        target = RedisTarget("h", tls=True, ca_file=self.mktemp())
        self.assertRaises(ConfigurationError, endpoint_of, target, Clock())
