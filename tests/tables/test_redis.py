"""Tables in Redis; lookups are tested in tests.integration."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.redis import RedisSettings, RedisTable


class RedisTableTests(SynchronousTestCase):
    """What needs no server."""

    def make(self, url: str) -> RedisTable:
        """A table that is not started."""
        clock: Any = Clock()
        return RedisTable("table.x", RedisSettings(url), clock)

    def test_url(self) -> None:
        """A URL that cannot be read is a complaint with the table's key."""
        error = self.assertRaises(ConfigurationError, self.make, "http://h")
        self.assertIn("table.x.url: ", str(error))
        self.assertNotIn("s3cret", repr(RedisSettings("redis://:s3cret@h")))

    def test_refused(self) -> None:
        """What cannot be a key, or a value, is refused before anything is sent."""
        table = self.make("redis://192.0.2.1")
        failed = Deferred.fromCoroutine(table.get("\ud800"))
        self.failureResultOf(failed, LookupFailed)
        for values in ((), ("1", "2")):
            self.failureResultOf(Deferred.fromCoroutine(table.set("k", values)), ValueError)

    def test_no_value(self) -> None:
        """A reply of another kind is a lookup that failed: something else may answer there."""
        table = self.make("redis://192.0.2.1")
        for reply in ("OK", [b"value"], 7):

            async def ask(*_: object, reply: object = reply) -> object:
                return reply

            self.patch(table._pool, "ask", ask)
            asked = Deferred.fromCoroutine(table.get("k"))
            failed = self.failureResultOf(asked, LookupFailed).value
            self.assertIn("may not be Redis", failed.reason)


class CheckTests(SynchronousTestCase):
    """The check before the reactor runs, against a socket."""

    def check(self, *replies: bytes, credentials: str = "") -> tuple[Any, bytes]:
        """Check a server that replies so; return the warnings and what it was told."""
        path = self.mktemp()[-60:].replace("/", "")
        heard = b""

        def serve() -> None:
            nonlocal heard
            connection = listener.accept()[0]
            for reply in replies:
                heard += connection.recv(4096)
                connection.sendall(reply)
            connection.close()

        clock: Any = Clock()
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as listener:
            listener.bind(path)
            listener.listen()
            server = threading.Thread(target=serve)
            server.start()
            url = f"unix://{credentials}{os.path.abspath(path)}?db=2"
            try:
                warnings = RedisTable("table.x", RedisSettings(url), clock).check()
            finally:
                server.join()
        return warnings, heard

    def test_good(self) -> None:
        """Login, database, ping."""
        warnings, heard = self.check(b"+OK\r\n", b"+OK\r\n", b"+PONG\r\n", credentials="u:p%C3%A4@")
        self.assertEqual(warnings, [])
        self.assertEqual(
            heard,
            b"*3\r\n$4\r\nAUTH\r\n$1\r\nu\r\n$3\r\np\xc3\xa4\r\n"
            b"*2\r\n$6\r\nSELECT\r\n$1\r\n2\r\n*1\r\n$4\r\nPING\r\n",
        )

    def test_refused(self) -> None:
        """A server that does not let us in is a complaint, without the password."""
        with self.assertRaises(ConfigurationError) as raised:
            self.check(b"-WRONGPASS invalid\r\n", credentials=":s3cret@")
        self.assertIn("table.x.url: the server refuses us: WRONGPASS", str(raised.exception))
        self.assertNotIn("s3cret", str(raised.exception))

    def test_may_pass(self) -> None:
        """One that is away, loads its data or hangs up is a warning."""
        for replies in ((b"-LOADING Redis is loading\r\n",), (b"",), ()):
            warnings, _ = self.check(*replies)
            self.assertEqual(len(warnings), 1)
            self.assertIn("cannot be asked now", warnings[0])
        clock: Any = Clock()
        settings = RedisSettings(f"unix://{os.path.abspath(self.mktemp())}")
        (warning,) = RedisTable("table.x", settings, clock).check()
        self.assertIn("No such file", warning)
