"""A connection to Redis, octet by octet."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.redis_protocol import (
    VALUE_LIMIT_OCTETS,
    Lost,
    RedisConnection,
    RedisConnections,
    Refused,
)
from mailroute.tables.redis_url import RedisTarget


class ProtocolTests(SynchronousTestCase):
    """What is said and what is understood."""

    def connect(self, target: RedisTarget = RedisTarget()) -> RedisConnection:  # noqa: B008
        """A connection that has just been made."""
        connection = RedisConnections(target).buildProtocol(None)
        self.transport = StringTransport()
        connection.makeConnection(self.transport)
        return connection

    def lose(self, connection: RedisConnection) -> None:
        """The connection ends."""
        connection.connectionLost(Failure(ConnectionDone()))

    def test_get(self) -> None:
        """Values are octets, as they are: no number is made of them."""
        connection = self.connect()
        self.successResultOf(connection.opened)
        self.assertTrue(connection.is_usable)
        for reply, value in (
            (b"$4\r\n0.50\r\n", b"0.50"),
            (b"$2\r\n\xff\r\r\n", b"\xff\r"),
            (b"$0\r\n\r\n", b""),
            (b"$-1\r\n", None),
        ):
            asked = connection.get(b"route:k")
            self.assertEqual(self.transport.value(), b"*2\r\n$3\r\nGET\r\n$7\r\nroute:k\r\n")
            self.transport.clear()
            connection.dataReceived(reply)
            self.assertEqual(self.successResultOf(asked), value)

    def test_refused(self) -> None:
        """An error of the server is one of the question, not of the connection."""
        connection = self.connect()
        asked = connection.get(b"k")
        connection.dataReceived(b"-WRONGTYPE Operation\r\n")
        failure = self.failureResultOf(asked, Refused)
        self.assertFalse(failure.check(Lost))
        self.assertTrue(connection.is_usable)

    def test_lost(self) -> None:
        """Whoever waits for an answer is told that none will come."""
        connection = self.connect()
        asked = connection.get(b"k")
        self.lose(connection)
        self.failureResultOf(asked, Lost)
        self.assertFalse(connection.is_usable)

    def test_no_redis(self) -> None:
        """What answers in another language ends the connection: an outage, and no defect."""
        connection = self.connect()
        asked = connection.get(b"k")
        connection.dataReceived(b"\xff\xfe\r\n")
        self.assertTrue(self.transport.disconnected)
        self.lose(connection)
        self.failureResultOf(asked, Lost)
        self.assertIn("does not speak Redis", connection.lost_because)

    def test_login(self) -> None:
        """User, password and number of the database, before anything else."""
        connection = self.connect(RedisTarget(user="u", password="p", database=3))
        self.assertEqual(self.transport.value(), b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$1\r\np\r\n")
        self.assertNoResult(connection.opened)
        connection.dataReceived(b"+OK\r\n")
        self.assertIn(b"SELECT\r\n$1\r\n3\r\n", self.transport.value())
        connection.dataReceived(b"+OK\r\n")
        self.assertIs(self.successResultOf(connection.opened), connection)

    def test_login_refused(self) -> None:
        """The server's words are the reason, the password is no part of it."""
        connection = self.connect(RedisTarget(password="s3cret"))
        connection.dataReceived(b"-WRONGPASS invalid username-password pair\r\n")
        self.assertTrue(self.transport.disconnecting)
        self.lose(connection)
        reason = self.failureResultOf(connection.opened, LookupFailed).value.reason
        self.assertIn("WRONGPASS", reason)
        self.assertNotIn("s3cret", reason)

    def test_lost_before_the_login(self) -> None:
        """A connection that ends before it is open was never usable."""
        connection = self.connect(RedisTarget(password="p"))
        self.lose(connection)
        self.failureResultOf(connection.opened, LookupFailed)

    def test_bound(self) -> None:
        """A value over the bound ends the connection before a byte of it is kept."""
        for length in (VALUE_LIMIT_OCTETS + 1, 10**12, "9" * 5000, "x"):
            connection = self.connect()
            asked = connection.get(b"k")
            connection.dataReceived(b"$%s\r\n" % str(length).encode())
            self.assertTrue(self.transport.disconnected)
            self.lose(connection)
            self.failureResultOf(asked, Lost)
        connection = self.connect()
        asked = connection.get(b"k")
        connection.dataReceived(b"$%d\r\n" % VALUE_LIMIT_OCTETS)
        connection.dataReceived(b"v" * VALUE_LIMIT_OCTETS + b"\r\n")
        self.assertEqual(len(self.successResultOf(asked)), VALUE_LIMIT_OCTETS)
