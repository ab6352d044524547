"""A listener behind a proxy: whose header is read, whose is not, and when the greeting comes."""

from __future__ import annotations

import struct
from socket import AF_INET, inet_pton

from twisted.internet.address import IPv4Address

from mailroute.net.header_peer import OPTIONAL_SECONDS, REQUIRED_SECONDS, Headers, Proxies
from mailroute.net.networks import Networks
from mailroute.net.proxyheader import SIGNATURE
from tests.support import local_reactor
from tests.support.local_reactor import HERE, Script
from tests.support.peers import PREAUTH_SECONDS, Settings, World, plain_message
from tests.support.secured import Certificates, SecureScript, server_tls, trusting_client
from tests.test_session import SessionCase

V1 = b"PROXY TCP4 198.51.100.7 192.0.2.77 4711 993\r\n"
V2 = (
    SIGNATURE
    + b"\x21\x11\0\x11"
    + inet_pton(AF_INET, "198.51.100.7")
    + inet_pton(AF_INET, "192.0.2.77")
    + struct.pack("!HH", 4711, 993)
    + b"\xea\0\x02hi"
)
LOCAL = SIGNATURE + b"\x20\0\0\0"
TRUSTED = Networks(["203.0.113.0/24"])
STRANGER = IPv4Address("TCP", "198.51.100.66", 5)
LOGOUT = b"a LOGOUT\r\n"


class HeaderCase(SessionCase):
    """A listener that somebody may be in front of."""

    def behind(self, headers: Headers, **settings: object) -> None:
        """Serve behind proxies in 203.0.113.0/24."""
        proxies = Proxies(headers, TRUSTED)
        self.world = World(self.reactor, Settings(proxies=proxies, **settings))  # type: ignore[arg-type]

    def arrive(self, address: object = HERE, client: Script | None = None) -> Script:
        """A connection from this address."""
        client = client or Script()
        self.patch(local_reactor, "HERE", address)
        protocol = self.world.listener.buildProtocol(address)  # type: ignore[arg-type]
        self.reactor.join(client, protocol)
        self.settle()
        return client

    def leaves(self, client: Script) -> dict[str, object]:
        """The client logs out; returns what the log says of its session."""
        client.say(LOGOUT)
        self.settle()
        self.assertIn(b"a OK Logout", client.take())
        self.end(client)
        return self.world.fields("session")

    def say(self, client: Script, data: bytes) -> bytes:
        """Send; returns what was heard since."""
        client.say(data)
        self.settle()
        return client.take()


class RequiredTests(HeaderCase):
    """Everybody comes through a proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.behind(Headers.REQUIRED)

    def test_addresses(self) -> None:
        """The session is that of the client whom the header names, in either version."""
        for header in (V1, V2):
            self.behind(Headers.REQUIRED)
            client = self.arrive()
            self.assertTrue(self.say(client, header).startswith(b"* OK "))
            fields = self.leaves(client)
            self.assertEqual(fields["client"], "198.51.100.7:4711")
            self.assertEqual(fields["server"], "192.0.2.77:993")

    def test_greeting_waits(self) -> None:
        """Not a word before the header is whole, in whatever pieces it comes."""
        for header in (V1, V2):
            self.behind(Headers.REQUIRED)
            client = self.arrive()
            for piece in (header[:3], header[3:-1]):
                self.assertEqual(self.say(client, piece), b"")
            self.assertEqual(len(self.world.listener), 1)
            self.assertTrue(self.say(client, header[-1:]).startswith(b"* OK "))
            self.leaves(client)

    def test_bytes_behind(self) -> None:
        """What comes in one segment with the header is the client's first command."""
        client = self.arrive()
        said = self.say(client, V2 + b"x NOOP\r\n")
        self.assertTrue(said.endswith(b"x OK NOOP completed.\r\n"), said)
        self.leaves(client)

    def test_before_tls(self) -> None:
        """The header stands in the clear; not a byte of the handshake behind it is taken."""
        front = server_tls(Certificates(self).issue("front.example"))
        for header in (V1, V2):
            self.behind(Headers.REQUIRED, front=front)
            client = self.arrive(client=HeaderFirst(header))
            self.assertTrue(client.take().startswith(b"* OK "))
            self.assertEqual(self.leaves(client)["client"], "198.51.100.7:4711")

    def test_local(self) -> None:
        """The proxy's own health check is served under its real address."""
        client = self.arrive()
        self.assertTrue(self.say(client, LOCAL).startswith(b"* OK "))
        self.assertEqual(self.leaves(client)["client"], "203.0.113.9:40000")

    def refused(self, client: Script, detail: str) -> None:
        """Closed without a word, and told."""
        self.settle()
        self.assertEqual(client.take(), b"")
        self.assertIsNotNone(client.lost)
        fields = self.world.fields("session")
        self.assertEqual((fields["closed_by"], fields["outcome"]), ("proxy-header", "no-login"))
        self.assertIn(detail, str(fields["detail"]))
        self.end()

    def test_stranger(self) -> None:
        """A header from anywhere else could say anything: there is nothing for it here."""
        client = self.arrive(STRANGER)
        self.refused(client, "proxy_trusted")

    def test_no_header(self) -> None:
        """A client that comes without a header is not served under the proxy's address."""
        client = self.arrive()
        client.say(b"a NOOP\r\n")
        self.refused(client, "does not begin with one")

    def test_bad_header(self) -> None:
        """Nobody's address is guessed."""
        client = self.arrive()
        client.say(V1.replace(b"198.51.100.7", b"198.51.100.777"))
        self.refused(client, "198.51.100.777")

    def test_silence(self) -> None:
        """A header is there at once or never."""
        for start in (b"", V1[:10], V2[:-1]):
            self.behind(Headers.REQUIRED)
            client = self.arrive()
            self.say(client, start)
            self.advance(REQUIRED_SECONDS - 0.1)
            self.assertIsNone(client.lost)
            self.advance(0.2)
            self.refused(client, "in time")

    def test_end_before_header(self) -> None:
        """Who leaves is not waited for."""
        client = self.arrive()
        client.leave()
        self.refused(client, "ended before")

    def test_preauth_time(self) -> None:
        """The client's own time begins with its greeting."""
        client = self.arrive()
        self.advance(REQUIRED_SECONDS - 1)
        self.say(client, V2)
        self.advance(PREAUTH_SECONDS - 0.5)
        self.assertIsNone(client.lost)
        self.leaves(client)

    def test_room(self) -> None:
        """A connection that is still waited for takes its place."""
        self.behind(Headers.REQUIRED, max_connections=1)
        first = self.arrive()
        second = self.arrive()
        self.assertTrue(second.take().startswith(b"* BYE [UNAVAILABLE]"))
        self.assertTrue(self.world.listener.has_strangers)
        self.say(first, V1)
        self.leaves(first)

    def test_room_of_the_process(self) -> None:
        """It has a descriptor: it counts where all listeners are counted together."""
        room = self.world.room
        before = room.left
        for header in (V1, b"none\r\n"):
            client = self.arrive()
            self.assertEqual(room.left, before - 1)
            self.say(client, header)
            if client.lost is None:
                self.assertEqual(room.left, before - 1)
                self.leaves(client)
            self.assertEqual(room.left, before)
        self.end()

    def test_shut_down(self) -> None:
        """Whoever is still waited for is not waited for any longer."""
        client = self.arrive()
        self.world.listener.shut_down()
        self.refused(client, "ended before")


class OptionalTests(HeaderCase):
    """Some come through a proxy."""

    def setUp(self) -> None:
        super().setUp()
        self.behind(Headers.OPTIONAL)

    def test_header(self) -> None:
        """A header from a proxy counts."""
        client = self.arrive()
        self.assertTrue(self.say(client, V1).startswith(b"* OK "))
        self.assertEqual(self.leaves(client)["client"], "198.51.100.7:4711")

    def test_stranger(self) -> None:
        """Anybody else is greeted at once, and what looks like a header is a bad command."""
        client = self.arrive(STRANGER)
        self.assertTrue(client.take().startswith(b"* OK "))
        self.assertIn(b"BAD", self.say(client, V1))
        self.assertEqual(self.leaves(client)["client"], "198.51.100.66:5")

    def test_silent_client(self) -> None:
        """A proxy's machine without a header is greeted after a moment."""
        client = self.arrive()
        self.advance(OPTIONAL_SECONDS - 0.1)
        self.assertEqual(client.take(), b"")
        self.advance(0.2)
        self.assertTrue(client.take().startswith(b"* OK "))
        self.assertEqual(self.leaves(client)["client"], "203.0.113.9:40000")

    def test_client_speaks_first(self) -> None:
        """Bytes that begin no header are the client's own: nothing is waited for or lost."""
        client = self.arrive()
        said = self.say(client, b"x NOOP\r\n")
        self.assertTrue(said.endswith(b"x OK NOOP completed.\r\n"), said)
        self.leaves(client)

    def test_tls_without_header(self) -> None:
        """A handshake begins no header."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.behind(Headers.OPTIONAL, front=front)
        client = self.arrive(client=SecureScript(trusting_client()))
        self.assertTrue(client.take().startswith(b"* OK "))
        self.leaves(client)

    def test_half_a_header(self) -> None:
        """What has begun as a header is none of the client's commands."""
        client = self.arrive()
        self.say(client, V1[:10])
        self.advance(OPTIONAL_SECONDS + 0.1)
        self.assertEqual(client.take(), b"")
        self.assertIsNotNone(client.lost)
        self.end()


class OffTests(HeaderCase):
    """Proxies whose word counts, but that send no header."""

    def test_trust(self) -> None:
        """Who is believed is a proxy himself: a stranger whom a header names is a stranger."""
        for headers, place, header, is_trusted in (
            (Headers.OFF, HERE, b"", True),
            (Headers.OFF, STRANGER, b"", False),
            (Headers.OPTIONAL, STRANGER, b"", False),
            (Headers.OPTIONAL, HERE, V1, False),
            (Headers.REQUIRED, HERE, V1, False),
            (Headers.REQUIRED, HERE, V1.replace(b"198.51.100.7", b"203.0.113.77"), True),
            (Headers.REQUIRED, HERE, LOCAL, True),
        ):
            self.behind(headers)
            client = self.arrive(place)
            self.say(client, header)
            said = self.say(client, b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
            self.assertIn(b"a OK", said)
            self.assertEqual(self.world.origins[-1].is_trusted, is_trusted)
            self.end(client)

    def test_greeting(self) -> None:
        """Nobody is waited for."""
        self.behind(Headers.OFF)
        client = self.arrive()
        self.assertTrue(client.take().startswith(b"* OK "))
        self.leaves(client)


class HeaderFirst(SecureScript):
    """Sends a PROXY header, then begins TLS in the same breath."""

    def __init__(self, header: bytes) -> None:
        super().__init__(trusting_client())
        self._header = header

    def connectionMade(self) -> None:
        self.transport.write(self._header)
        super().connectionMade()
