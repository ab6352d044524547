"""The pool of PostgreSQL connections, with connections that answer when the test says so."""

from __future__ import annotations

from typing import Any

import psycopg2
import psycopg2.errors
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables import postgres_pool
from mailroute.tables.kept_connections import CLOSE_SECONDS
from mailroute.tables.postgres_pool import PostgresPool, is_dead
from mailroute.tables.sql_table import FirstRow
from mailroute.tables.sql_url import PostgresHost

ROW = FirstRow(("d",), ("east",))
EAST = PostgresHost("192.0.2.1", "192.0.2.1", "")
WEST = PostgresHost("/run/west", "", "7")


class _Error(psycopg2.OperationalError):
    """An error with a code."""

    def __init__(self, code: str | None) -> None:
        super().__init__("words of\n the server")
        self.code = code

    @property
    def pgcode(self) -> str | None:  # type: ignore[override]
        """SQLSTATE."""
        return self.code


class _Connection:
    """A connection under the test's control; its Deferreds must not be cancelled."""

    strings = "on"

    def __init__(self, reactor: object) -> None:
        self.is_usable = True
        self.arguments: dict[str, Any] = {}
        self.questions = 0
        self.answer: Deferred[Any] | None = None
        self.cancelled = False

    def _promise(self) -> Deferred[Any]:
        def cancel(_: Deferred[Any]) -> None:
            self.cancelled = True

        self.answer = Deferred(cancel)
        return self.answer

    def connect(self, **arguments: Any) -> Deferred[Any]:
        """Promise to be connected."""
        self.arguments = arguments
        return self._promise()

    def first_row(self, sql: str, parameters: tuple[str, ...]) -> Deferred[Any]:
        """Promise a row."""
        self.questions += 1
        return self._promise()

    def get_parameter_status(self, name: str) -> str:
        """The server's settings."""
        return self.strings

    def respond(self, result: Any) -> None:
        """Keep the promise."""
        answer, self.answer = self.answer, None
        assert answer is not None
        answer.callback(Failure(result) if isinstance(result, Exception) else result)

    def close(self) -> None:
        """Close as txpostgres does: the promise fails at once."""
        self.is_usable = False
        if self.answer is not None:
            self.respond(ConnectionDone())

    abort = close


class PostgresPoolTests(SynchronousTestCase):
    """Two connections, two hosts."""

    def setUp(self) -> None:
        """Nothing is open."""
        self.clock = Clock()
        self.made: list[_Connection] = []
        self.patch(postgres_pool, "Connection", self.make)
        self.pool = PostgresPool((EAST, WEST), {"dbname": "d"}, 2, self.clock)  # type: ignore[arg-type]

    def make(self, reactor: object) -> _Connection:
        """Note each connection."""
        self.made.append(_Connection(reactor))
        return self.made[-1]

    def ask(self, seconds: float = 10) -> Deferred[FirstRow | None]:
        """Ask for a row."""
        until = self.clock.seconds() + seconds
        return Deferred.fromCoroutine(self.pool.first_row("q", ("k",), until))

    def connected(self) -> _Connection:
        """Have one idle connection."""
        asked = self.ask()
        (connection,) = (made for made in self.made if made.answer)
        if not connection.questions:
            connection.respond(None)
        connection.respond(ROW)
        self.successResultOf(asked)
        return connection

    def tearDown(self) -> None:
        """No Deferred of txpostgres is ever cancelled: that would block the process."""
        self.assertFalse(any(connection.cancelled for connection in self.made))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_used_again(self) -> None:
        """A connection is used again; none is opened that is not needed."""
        connection = self.connected()
        asked = self.ask()
        connection.respond(None)
        self.assertIsNone(self.successResultOf(asked))
        self.assertEqual(self.made, [connection])
        self.assertEqual(connection.questions, 2)

    def test_bound(self) -> None:
        """Never more connections than the pool's size; the others wait, and fail in time."""
        asking = [self.ask() for _ in range(4)]
        self.assertEqual(len(self.made), 2)
        for connection in self.made:
            connection.respond(None)
        self.clock.advance(10)
        for asked in asking:
            self.failureResultOf(asked, LookupFailed)
        self.assertEqual(self.pool.connections, 0)

    def test_too_late(self) -> None:
        """A query that takes too long ends with its connection, never by a cancel."""
        connection = self.connected()
        asked = self.ask()
        self.clock.advance(10)
        self.failureResultOf(asked, LookupFailed)
        self.assertFalse(connection.is_usable)

    def test_cancelled_caller(self) -> None:
        """So does one whose caller left; its slot is free."""
        connection = self.connected()
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertFalse(connection.is_usable)
        for _ in range(2):
            self.connected()

    def test_cancelled_while_connecting(self) -> None:
        """A connection that nobody waits for any more is closed."""
        asked = self.ask()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.assertFalse(self.made[0].is_usable)

    def test_dead_connection(self) -> None:
        """A connection that died while idle is replaced, and the question asked once more."""
        for error in (_Error("57P01"), _Error("08006"), ConnectionDone()):
            connection = self.connected()
            asked = self.ask()
            connection.is_usable = not isinstance(error, ConnectionDone)
            connection.respond(error)
            self.made[-1].respond(None)
            self.made[-1].respond(ROW)
            self.assertEqual(self.successResultOf(asked), ROW)
            self.assertFalse(connection.is_usable)

    def test_fresh_connection_dies(self) -> None:
        """A new connection that dies is a failure: no second new one."""
        asked = self.ask()
        self.made[0].respond(None)
        self.made[0].respond(_Error("57P01"))
        self.failureResultOf(asked, LookupFailed)
        self.assertEqual(len(self.made), 1)

    def test_error_of_the_query(self) -> None:
        """It is not the connection's: the connection stays."""
        for error in (_Error("55P03"), _Error("40P01"), _Error(None), ValueError("NUL")):
            connection = self.connected()
            asked = self.ask()
            connection.respond(error)
            self.failureResultOf(asked, type(error))
            self.assertTrue(connection.is_usable)

    def test_server_ends_the_query(self) -> None:
        """txpostgres words it as a cancellation: it is a failure, and the connection is good."""
        connection = self.connected()
        asked = self.ask()
        connection.respond(CancelledError())
        self.failureResultOf(asked, LookupFailed)
        self.assertTrue(connection.is_usable)

    def test_next_host(self) -> None:
        """Each host has its share of the time; the one that answered is the first next time."""
        asked = self.ask()
        self.assertEqual(
            self.made[0].arguments,
            {"dbname": "d", "host": "192.0.2.1", "hostaddr": "192.0.2.1"},
        )
        self.clock.advance(5)
        self.assertFalse(self.made[0].is_usable)
        self.assertEqual(self.made[1].arguments, {"dbname": "d", "host": "/run/west", "port": "7"})
        self.made[1].respond(None)
        second = self.ask()
        self.assertEqual(self.made[2].arguments["host"], "/run/west")
        self.made[2].respond(None)
        for connection in self.made[1:]:
            connection.respond(ROW)
        self.successResultOf(asked)
        self.successResultOf(second)

    def test_no_host(self) -> None:
        """All hosts' faults are told."""
        asked = self.ask()
        self.made[0].respond(_Error(None))
        self.made[1].respond(_Error(None))
        reason = str(self.failureResultOf(asked, LookupFailed).value)
        words = "words of the server"
        self.assertTrue(reason.endswith(f": 192.0.2.1: {words}; /run/west port 7: {words}"), reason)
        self.assertEqual(self.pool.connections, 0)

    def test_strings(self) -> None:
        """A server that reads strings otherwise than we do is not asked."""
        self.patch(_Connection, "strings", "off")
        asked = self.ask()
        self.made[0].respond(None)
        self.made[1].respond(None)
        self.assertIn("standard_conforming", str(self.failureResultOf(asked, LookupFailed).value))
        self.assertEqual([connection.questions for connection in self.made], [0, 0])

    def test_close(self) -> None:
        """Idle connections at once, the others after their answer, newcomers refused."""
        idle = self.connected()
        busy, other = self.ask(), self.ask()
        self.made[1].respond(None)
        idle.respond(ROW)
        self.successResultOf(busy)
        closing = Deferred.fromCoroutine(self.pool.close())
        self.assertFalse(idle.is_usable)
        self.assertTrue(self.made[1].is_usable)
        self.made[1].respond(ROW)
        self.assertEqual(self.successResultOf(other), ROW)
        self.successResultOf(closing)
        self.assertEqual(self.pool.connections, 0)
        self.failureResultOf(self.ask(), LookupFailed)

    def test_close_while_hung(self) -> None:
        """Closing ends in bounded time, and opens nothing new."""
        self.connected()
        asked = self.ask(100)
        closing = Deferred.fromCoroutine(self.pool.close())
        self.clock.advance(CLOSE_SECONDS)
        self.successResultOf(closing)
        self.failureResultOf(asked, LookupFailed)
        self.assertEqual(len(self.made), 1)
        self.assertEqual(self.pool.connections, 0)


class DeadTests(SynchronousTestCase):
    """The state of the connection and the code decide, not the class of the error."""

    def test_codes(self) -> None:
        """Class 08 and the server's shutdown are dead; a lock or a limit is not."""
        connection = _Connection(None)
        for code in ("08000", "08006", "57P01", "57P02", "57P03"):
            self.assertTrue(is_dead(connection, _Error(code)), code)  # type: ignore[arg-type]
        for harmless in ("55P03", "40P01", "53300", "57014", None):
            error = _Error(harmless)
            self.assertFalse(is_dead(connection, error), harmless)  # type: ignore[arg-type]
        connection.is_usable = False
        self.assertTrue(is_dead(connection, _Error(None)))  # type: ignore[arg-type]
