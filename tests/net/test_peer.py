"""A connection and its dialogue: what is read, what is written, and how it ends."""

from __future__ import annotations

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure as Caught

from mailroute.dialogue import PAUSED_LIMIT
from mailroute.events import Accepted
from mailroute.net.peer import LINGER_SECONDS, WRITTEN_LIMIT, why_lost
from mailroute.net.stream import Stream
from tests.support.backends import CAPABILITIES, WRONG
from tests.support.local_reactor import Script, is_read
from tests.support.peers import DELAY_SECONDS, PREAUTH_SECONDS, Settings, World
from tests.support.peers import plain_message as plain
from tests.support.secured import Certificates, server_tls
from tests.test_session import JOINED, SessionCase

ACCEPTED = Accepted(CAPABILITIES)
LOGIN = b"a AUTHENTICATE PLAIN " + plain("alice") + b"\r\n"


class ReadingTests(SessionCase):
    """A client that has to wait is still read, up to a bound."""

    def flood(self, octets: bytes) -> tuple[Script, Stream]:
        """A login with this behind it, in the same breath; the backend takes its time."""
        self.world.east.silent_at = "login"
        client, transport = self.world.connect()
        client.say(LOGIN + octets)
        self.settle()
        return client, transport

    def held(self, transport: Stream) -> int:
        return len(transport._protocol._dialogue._buffer)

    def test_bound(self) -> None:
        """Reading stops at the bound: the rest stays with the client."""
        client, transport = self.flood(b"x" * 1_000_000)
        self.assertGreaterEqual(self.held(transport), PAUSED_LIMIT)
        self.assertLess(self.held(transport), 2 * PAUSED_LIMIT + 1)
        self.assertFalse(is_read(transport))
        self.assertIsNone(client.lost)
        client.reset()
        # Nobody looks, so its end is seen when the backend's time is over.
        self.advance(10 + DELAY_SECONDS)
        self.end()

    def test_resumed_for_the_stream(self) -> None:
        """After the join all of it arrives, in order."""
        octets = b"".join(b"%07d\n" % number for number in range(40_000))
        client, _ = self.flood(octets)
        self.world.east.last.answer(ACCEPTED)
        self.settle()
        self.assertEqual(self.world.east.last.joined, octets)
        self.end(client)

    def test_resumed_for_commands(self) -> None:
        """After a NO what had to wait is read as commands, all of it."""
        command = b'x ID ("name" "' + b"v" * 1000 + b'")\r\n'
        client, transport = self.flood(command * 200)
        self.assertFalse(is_read(transport))
        self.world.east.last.answer(WRONG)
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.heard.count(b"x OK ID completed.\r\n"), 200)
        self.assertTrue(is_read(transport))
        self.end(client)

    def test_below_the_bound(self) -> None:
        """Below the bound reading goes on, so that the client's end is seen at once."""
        client, transport = self.flood(b"x" * 1000)
        self.assertTrue(is_read(transport))
        client.leave()
        self.end()


class WritingTests(SessionCase):
    """What is written before the join is bounded."""

    def test_limit(self) -> None:
        """A client that makes us talk without an end is sent away, read or not."""
        client, _ = self.world.connect()
        noops = b"x NOOP\r\n" * 1000
        while client.lost is None:
            client.say(noops)
            self.settle()
            self.assertLess(len(client.heard), WRITTEN_LIMIT + 1)
        self.assertEqual(self.world.fields("session")["closed_by"], "too-much-chatter")
        self.end()

    def test_limit_for_a_client_that_does_not_read(self) -> None:
        """Such a client keeps neither our memory nor the descriptor."""
        client, transport = self.world.connect()
        client.transport.pauseProducing()
        for _ in range(20):
            client.say(b"x NOOP\r\n" * 1000)
            self.settle()
        held = transport._out
        assert held is not None
        self.assertLess(len(held), WRITTEN_LIMIT)
        self.advance(LINGER_SECONDS)
        self.assertEqual(len(self.world.listener), 0)
        client.transport.resumeProducing()
        self.end()


class EndTests(SessionCase):
    """However a connection ends, it ends."""

    def test_half_closed_before_the_login(self) -> None:
        """A client that will say no more cannot log in any more."""
        client, _ = self.world.connect()
        client.transport.loseWriteConnection()
        self.settle()
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.fields("session")["closed_by"], "closed-by-peer")
        self.end()

    def test_nothing_read_after_a_close(self) -> None:
        """Commands behind the one that closed are nobody's."""
        client, _ = self.world.connect()
        client.say(b"a LOGOUT\r\n" + LOGIN)
        self.settle()
        self.assertNotIn(JOINED, client.heard)
        self.assertEqual(self.world.east.visits, [])
        self.assertEqual(self.world.fields("session")["closed_by"], "logout")
        self.end()

    def test_nothing_read_after_too_much(self) -> None:
        """Nor behind those that made us close, though TLS still reads for the goodbye."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=front))
        client, _ = self.world.connect()
        client.transport.pauseProducing()
        client.say(b"x NOOP\r\n" * 20_000 + LOGIN)
        self.settle()
        self.assertEqual(self.world.table.asked, [])
        client.transport.resumeProducing()
        self.settle()
        self.assertEqual(self.world.fields("session")["closed_by"], "too-much-chatter")
        self.end()

    def test_lingering_tls(self) -> None:
        """A TLS client that does not read is gone after a while, sent to or not."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=front))
        client, transport = self.world.connect()
        client.transport.pauseProducing()
        for _ in range(10):
            client.say(b"x NOOP\r\n" * 1000)
            self.settle()
        self.assertTrue(transport.is_blocked)
        self.advance(PREAUTH_SECONDS)
        self.assertNotEqual(transport.fileno(), -1)
        self.advance(LINGER_SECONDS - 0.1)
        self.assertNotEqual(transport.fileno(), -1)
        self.advance(0.1)
        self.assertEqual(transport.fileno(), -1)
        self.assertEqual(self.world.fields("session")["closed_by"], "timeout")
        client.transport.abortConnection()
        self.end()

    def test_closing_in_time_plans_nothing(self) -> None:
        """A client that closes when it is told to leaves no timer behind."""
        client, _ = self.world.connect()
        client.say(b"a LOGOUT\r\n")
        self.settle()
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        self.end()

    def test_asking_a_lost_peer(self) -> None:
        """Whoever asks a connection that is gone for more is cancelled, and does not wait."""
        client, transport = self.world.connect()
        peer = transport._protocol
        client.leave()
        self.settle()
        asked = Deferred.fromCoroutine(peer.milestone())
        self.failureResultOf(asked, CancelledError)
        self.end()

    def test_words(self) -> None:
        """The log's words for an end."""
        self.assertEqual(why_lost(Caught(ConnectionDone())), "closed-by-peer")
        self.assertEqual(why_lost(Caught(ConnectionLost())), "connection-lost")
