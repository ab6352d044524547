"""From the configuration of listeners to what listens."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailroute import composition, listener_composition
from mailroute.credentials import Identity
from mailroute.events import Accepted, Login
from mailroute.net.header_peer import Headers
from mailroute.net.splice import Splicer
from tests.config.reading import SECTIONS
from tests.test_composition import ORIGIN, CompositionCase


class ProxyTests(CompositionCase):
    """Who is in front of a listener."""

    def test_proxies(self) -> None:
        """Without a network there is nobody, and a connection pays for nothing."""
        (listener,) = self.configured().listeners
        self.assertIsNone(listener_composition.make_proxies(listener))
        trusted = 'proxy_protocol = "required"\nproxy_trusted = ["192.0.2.0/24"]\n'
        (listener,) = self.configured(listener=SECTIONS["listener"] + trusted).listeners
        proxies = listener_composition.make_proxies(listener)
        assert proxies is not None
        self.assertIs(proxies.headers, Headers.REQUIRED)
        self.assertTrue(proxies.trusted.has(IPv4Address("TCP", "192.0.2.9", 1)))
        self.assertFalse(proxies.trusted.has(IPv4Address("TCP", "198.51.100.9", 1)))


class OwnPlaceTests(CompositionCase):
    """Where a backend would be ourselves."""

    def test_binds(self) -> None:
        """Every address with its port; sockets without one are none."""
        binds = '["192.0.2.1:143", "[::]:993", "unix:/run/x", "systemd:y"]'
        text = SECTIONS["listener"].replace('["127.0.0.1:143"]', binds)
        own = listener_composition.own_places(self.configured(listener=text), Clock())
        self.assertEqual(own.ports, {143, 993})
        self.assertTrue(own.have("192.0.2.1", 143))
        self.assertTrue(own.have("::1", 993))
        self.assertFalse(own.have("192.0.2.2", 143))


class TermTests(CompositionCase):
    """What a listener serves."""

    def test_terms(self) -> None:
        """The words of the configuration arrive."""
        text = SECTIONS["listener"] + 'max_connections = 9\npreauth_timeout = "7s"\n'
        configuration = self.configured(listener=text)
        (listener,) = configuration.listeners
        terms = listener_composition.make_terms(configuration, listener, None)
        self.assertEqual((terms.protocol, terms.tls_mode.value), ("imap", "starttls"))
        self.assertEqual((terms.max_connections, terms.preauth_seconds), (9, 7.0))
        self.assertEqual((terms.is_verbose, terms.proxies), (False, None))
        self.assertTrue(terms.full.startswith(b"* BYE "))


class SurroundingTests(CompositionCase):
    """What the sessions of a listener share."""

    def test_pass_through(self) -> None:
        """Sessions of mail transfer are all for one place; the others' routes are looked up."""
        configuration = self.configured(
            listener=SECTIONS["listener"]
            + '[listener.mx]\nprotocol = "smtp"\nbind = ["127.0.0.1:25"]\ntls = "plain"\n',
            destination=SECTIONS["destination"]
            + '[destination.east.protocol.smtp]\nport = 2525\ntls = "plain"\n',
            routing='[routing]\nsmtp_passthrough_destination = "east"\n',
        )
        clock = Clock()
        connector = composition.make_connector(configuration, cast(Any, None), clock)
        around = composition.make_surroundings(
            configuration,
            self.router(),
            connector,
            Splicer(clock, 1.0),
            clock,  # type: ignore[arg-type]
        )
        imap, smtp = configuration.listeners
        self.assertIs(listener_composition.surroundings_for(configuration, imap, around), around)
        routes = listener_composition.surroundings_for(configuration, smtp, around).routes
        found = Deferred.fromCoroutine(cast(Any, routes.route(Identity(""), ORIGIN)))
        route = self.successResultOf(found)
        self.assertEqual((route.destination, route.backend.port), ("east", 2525))
        dialogue = composition.server_dialogue_maker(configuration, smtp)()
        (login,) = dialogue.start()
        client = composition.client_dialogue_maker("proxy.example.org")(
            route, cast(Login, login), replace(ORIGIN, protocol="smtp")
        )
        self.assertEqual(client.start(), [Accepted()])
