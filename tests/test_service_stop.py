"""How the service ends: a goodbye before the join, a grace after it, and nothing left."""

from __future__ import annotations

import socket

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.net.joint import FLUSH_SECONDS
from mailroute.net.peer import LINGER_SECONDS
from mailroute.service import DRAIN_STEP_SECONDS
from tests.test_service import ServiceCase
from tests.test_session import JOINED, TEMPORARY


class StopTests(ServiceCase):
    """SIGTERM: a goodbye before the join, a grace after it."""

    def stop(self) -> Deferred[None]:
        stopping = self.service.stopService()
        self.settle()
        return stopping

    def test_nobody(self) -> None:
        """Without sessions it is over at once, and nothing is left."""
        self.start()
        before = self.reactor.getReaders()
        stopping = self.stop()
        self.successResultOf(stopping)
        self.assertEqual(len(self.reactor.getReaders()), len(before) - 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_listeners_close_first(self) -> None:
        """Nobody comes in any more."""
        self.start()
        client = self.client()
        self.log_in(client)
        self.stop()
        with socket.socket(socket.AF_UNIX) as late:
            self.assertRaises(OSError, late.connect, self.place())

    def test_goodbye(self) -> None:
        """Clients that are not joined hear a goodbye, whatever they wait for."""
        self.start()
        self.east.silent_at = "login"
        waiting, pending = self.client(), self.client()
        pending.say(b"a LOGIN alice secret\r\n")
        stopping = self.stop()
        for client in (waiting, pending):
            self.assertEqual(client.take(), b"* BYE Server is shutting down.\r\n<end>")
        self.assertIsNotNone(self.east.last.lost)
        self.advance(DRAIN_STEP_SECONDS)
        self.successResultOf(stopping)

    def test_grace(self) -> None:
        """A joined session goes on for the grace, and is then closed without a word."""
        self.start()
        client = self.client()
        self.assertEqual(self.log_in(client), JOINED)
        stopping = self.stop()
        self.advance(29)
        client.say(b"b NOOP\r\n")
        self.assertEqual(self.east.last.joined, b"b NOOP\r\n")
        self.assertNoResult(stopping)
        self.advance(2)
        self.assertEqual(client.take(), b"<end>")
        self.successResultOf(stopping)
        (line,) = [e["fields"] for e in self.events if e.get("event") == "session"]
        self.assertEqual(line["closed_by"], "shutdown")

    def test_soon_over(self) -> None:
        """The grace is an upper bound."""
        self.start()
        client = self.client()
        self.log_in(client)
        stopping = self.stop()
        client.sock.close()
        self.settle()
        self.east.last.hang_up()
        self.advance(DRAIN_STEP_SECONDS)
        self.successResultOf(stopping)

    def test_clinging(self) -> None:
        """Clients that do not read delay the end, but do not prevent it."""
        self.start()
        client = self.client()
        self.log_in(client)
        self.east.last.say(b"x" * 1_000_000)
        self.settle()
        stopping = self.stop()
        self.advance(30 + FLUSH_SECONDS + LINGER_SECONDS)
        self.successResultOf(stopping)

    def test_table_that_does_not_close(self) -> None:
        """A mapping that hangs delays the end, but does not prevent it."""
        self.start()

        async def hang() -> None:
            await Deferred()

        self.patch(self.service._source, "close", hang)
        stopping = self.stop()
        self.advance(10)
        self.successResultOf(stopping)
        self.assertIn("did not close in time", self.said("warn")[0])

    def test_table_that_does_not_start(self) -> None:
        """Serving goes on without it."""

        async def fail() -> None:
            raise RuntimeError("no database")

        async def refuse(key: object) -> None:
            raise LookupFailed("no database")

        self.service = self.make()
        self.patch(self.service._source, "start", fail)
        self.patch(self.service._source, "lookup", refuse)
        self.service.startService()
        self.addCleanup(self.stop_whatever_happens)
        self.assertEqual(self.log_in(self.client()), TEMPORARY)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)
