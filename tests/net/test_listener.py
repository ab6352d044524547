"""Accepted connections become sessions, as long as there is room."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv6Address, UNIXAddress

from mailroute.imap import replies
from mailroute.net.listener import CALM_SECONDS
from mailroute.net.stream import Stream
from tests.support.local_reactor import Script
from tests.support.peers import Settings, World
from tests.support.secured import Certificates, server_tls
from tests.test_session import JOINED, SessionCase


class RoomTests(SessionCase):
    """More than there is room for is refused, politely."""

    def arrive(self) -> Script:
        client = Script()
        self.reactor.join(client, self.world.listener.buildProtocol(None))
        self.settle()
        return client

    def refused(self, words: bytes = replies.FULL) -> None:
        client = self.arrive()
        self.assertEqual(client.heard, words)
        self.assertIsNotNone(client.lost)

    def test_max_connections(self) -> None:
        """The listener's own limit; who leaves makes room."""
        self.world = World(self.reactor, Settings(max_connections=2))
        first, _ = self.world.connect()
        second, _ = self.world.connect()
        self.refused()
        self.assertEqual(len(self.world.listener), 2)
        first.leave()
        self.settle()
        third, _ = self.world.connect()
        self.end(second, third)

    def test_process(self) -> None:
        """The process' limit, whichever listener is asked."""
        other = self.world.make_listener()
        self.world.room.left = 1
        client, _ = self.world.connect()
        self.assertEqual(self.world.room.left, 0)
        self.refused()
        mine, self.world.listener = self.world.listener, other
        self.refused()
        client.leave()
        self.settle()
        self.assertEqual((self.world.room.left, len(mine)), (1, 0))
        self.world.room.left = 100
        self.end()

    def test_joined_sessions_count(self) -> None:
        """A joined session takes its room until both connections are gone."""
        self.world = World(self.reactor, Settings(max_connections=1))
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        self.refused()
        self.end(client)

    def test_before_tls(self) -> None:
        """Where TLS comes first nobody would understand words: none are said."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=front, max_connections=0))
        self.refused(b"")
        self.end()

    def test_told_seldom(self) -> None:
        """The log hears of refusals less and less often."""
        self.world = World(self.reactor, Settings(max_connections=0))
        for _ in range(20):
            self.refused()
        told = [event["count"] for event in self.world.events]
        self.assertEqual(told, [1, 2, 4, 8, 16])
        self.assertIn("raise max_connections or LimitNOFILE", self.world.lines()[0])
        self.end()

    def test_told_anew(self) -> None:
        """Each crowd is told of, however large the last one was."""
        self.world = World(self.reactor, Settings(max_connections=0))
        for _ in range(3):
            self.refused()
        self.advance(2 * CALM_SECONDS)
        self.refused()
        self.assertEqual([event["count"] for event in self.world.events], [1, 2, 1])
        self.end()


class BirthTests(SessionCase):
    """What a session knows from the beginning."""

    def test_origin(self) -> None:
        """Both addresses of the connection; an identifier of its own."""
        clients = [self.world.connect()[0] for _ in range(2)]
        for client in clients:
            client.leave()
        self.settle()
        ended = [e["fields"] for e in self.world.events if e["event"] == "session"]
        self.assertEqual({fields["client"] for fields in ended}, {"203.0.113.9:40000"})
        self.assertEqual({fields["server"] for fields in ended}, {"192.0.2.1:143"})
        self.assertEqual({fields["protocol"] for fields in ended}, {"imap"})
        identifiers = {fields["id"] for fields in ended}
        self.assertEqual(len(identifiers), 2)
        for identifier in identifiers:
            self.assertRegex(identifier, r"\A[0-9a-f]{12}[0-9a-f]{5,}\Z")
        self.end()

    def test_one_name(self) -> None:
        """IPv4 that comes as a part of IPv6 is IPv4: bans and look-ups know one name of it."""
        self.patch(Stream, "getPeer", lambda _: IPv6Address("TCP", "::ffff:203.0.113.9", 5))
        self.patch(Stream, "getHost", lambda _: IPv6Address("TCP", "::ffff:c000:201", 143))
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        self.assertEqual(self.world.table.asked[0].client_ip, "203.0.113.9")
        self.assertEqual(self.world.table.asked[0].server_ip, "192.0.2.1")
        self.end(client)
        self.assertEqual(self.world.fields("session")["client"], "203.0.113.9:5")

    def test_unix(self) -> None:
        """A connection over a Unix socket has no address, and is served."""
        self.patch(Stream, "getPeer", lambda _: UNIXAddress(None))
        self.patch(Stream, "getHost", lambda _: UNIXAddress(b"/run/mailroute"))
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        self.assertEqual(self.world.table.asked[0].client_ip, "unix")
        client.leave()
        self.settle()
        self.assertEqual(self.world.fields("session")["client"], "unix:0")
        self.end()

    def test_gone_before_it_was_here(self) -> None:
        """A connection whose addresses the kernel does not know any more."""

        def fail(_: Any) -> None:
            raise OSError(107, "Transport endpoint is not connected")

        self.patch(Stream, "getPeer", fail)
        client = Script()
        self.reactor.join(client, self.world.listener.buildProtocol(None))
        self.settle()
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.lines(), [])
        self.end()

    def test_shut_down(self) -> None:
        """Every client that is not joined hears a goodbye, and no other."""
        waiting, _ = self.world.connect()
        joined, _ = self.world.log_in()
        joined.take()
        self.world.listener.shut_down()
        self.settle()
        self.assertIsNotNone(waiting.lost)
        self.assertEqual((joined.heard, joined.lost), (b"", None))
        self.assertEqual(len(self.world.listener), 1)
        self.end(joined)
