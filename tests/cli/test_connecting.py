"""Connections to backends for one command."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mailroute import composition
from mailroute.cli.connecting import backends
from mailroute.cli.overhearing import Recorder
from mailroute.cli.redaction import Redaction
from mailroute.cli.story import Story
from mailroute.credentials import Identity
from mailroute.events import Accepted
from mailroute.route import Origin
from mailroute.sasl.plain import password_login
from tests.config.reading import ConfigurationCase
from tests.support.backends import House
from tests.support.local_reactor import LocalCase

DESTINATION = (
    '[destination.east]\nhost = "192.0.2.1"\nallow_plaintext_auth = true\n'
    '[destination.east.protocol.imap]\nport = 143\ntls = "plain"\n'
)


class ConnectingTests(LocalCase, ConfigurationCase):
    """Those of the service, and nothing is left of them."""

    def setUp(self) -> None:
        LocalCase.setUp(self)
        ConfigurationCase.setUp(self)

    def test_login(self) -> None:
        """A login of the configuration's own dialogue, overheard."""
        self.write("routes", "alice east\n")
        house = House({"alice": b"sesame"})
        self.reactor.listening[("192.0.2.1", 143)] = house.accept
        mapping = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'
        configuration = self.read_sections(destination=DESTINATION, mapping=mapping)
        recorder = Recorder(Story(self.reactor.seconds), Redaction(b"sesame"))
        origin = Origin("x", "imap", "", 0, "", 0)
        login = password_login(b"alice", b"sesame")

        async def work() -> Any:
            source = composition.make_source(configuration, self.reactor)
            cache = composition.make_cache(configuration, source, self.reactor)
            router = composition.make_router(configuration, cache, self.reactor)
            route = await router.route(Identity("alice"), origin)
            async with backends(configuration, self.reactor, recorder) as connector:
                backend, milestone = await connector.connect(route, login, origin)
                backend.abandon()
            return milestone

        done = Deferred.fromCoroutine(work())
        self.settle()
        self.assertIsInstance(self.successResultOf(done), Accepted)
        self.assertEqual([visit.logins[0].identity.authcid for visit in house.visits], ["alice"])
        ours = [heard.text for heard in recorder.transcript if heard.who == "C"]
        self.assertIn("mr1 AUTHENTICATE PLAIN ****", ours)
        self.assert_quiet()
