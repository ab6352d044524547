"""Destinations, and the complaints about them, from the configuration."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from mailroute import composition, destination_composition
from mailroute.credentials import Identity
from mailroute.net.tls import BackendContexts
from tests.config.reading import SECTIONS
from tests.test_composition import FILE, ORIGIN, CompositionCase

SHARDS = (
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)


class DestinationTests(CompositionCase):
    """What the mapping's values mean."""

    def test_pattern(self) -> None:
        """A value that fits a pattern is a destination of its own."""
        self.write("routes", "")
        both = SECTIONS["destination"] + SHARDS
        configuration = self.read_sections(mapping=FILE, destination=both)
        self.write("routes", "bob shard-b7\n")
        self.assertEqual(destination_composition.check_trust(configuration, BackendContexts()), [])
        table = composition.make_source(configuration, Clock())
        router = composition.make_router(configuration, cast(Any, table), Clock())
        route = self.successResultOf(Deferred.fromCoroutine(router.route(Identity("bob"), ORIGIN)))
        self.assertEqual(route.destination, "shard-b7")
        self.assertEqual(route.backend.hosts, ("b7.example.org",))

    def test_address(self) -> None:
        """A value that is an address is served by the destination for addresses."""
        self.write("routes", "bob 192.0.2.5:1143\n")
        configuration = self.read_sections(
            mapping=FILE, routing='[routing]\naddress_destination = "east"\n'
        )
        directory = destination_composition.make_destinations(configuration)
        found = directory.get("192.0.2.5:1143")
        assert found is not None
        backend = found.endpoints["imap"]
        self.assertEqual((backend.hosts, backend.port), (("192.0.2.5",), 1143))
        self.assertEqual(backend.trust.server_name, "east.example.org")
        self.assertIsNone(
            destination_composition.make_destinations(self.read_sections(mapping=FILE)).get(
                "192.0.2.5:1143"
            )
        )


class CheckTests(CompositionCase):
    """What is wrong with destinations."""

    def test_trust(self) -> None:
        """Every destination whose files cannot be used is named; the others are not."""
        text = "".join(
            f'[destination.{name}]\nhost = "{name}.example"\n{trust}'
            f'[destination.{name}.protocol.imap]\nport = 993\ntls = "implicit"\n'
            for name, trust in (
                ("east", 'tls_ca_file = "chain.pem"\n'),
                ("west", 'tls_client_cert = "chain.pem"\ntls_client_key = "key.pem"\n'),
                ("north", ""),
            )
        )
        configuration = self.configured(destination=text)
        complaints = destination_composition.check_trust(configuration, BackendContexts())
        self.assertEqual(
            [complaint.partition(":")[0] for complaint in complaints],
            ["destination.east", "destination.west"],
        )

    def test_sources(self) -> None:
        """An address to connect from that is not this machine's now is a warning with its name."""
        host = 'host = "east.example.org"\n'
        text = SECTIONS["destination"].replace(
            host, f'{host}source_ips = ["127.0.0.9", "192.0.2.77", "::1", "2001:db8::77"]\n'
        )
        configuration = self.configured(destination=text)
        warnings = destination_composition.check_sources(configuration)
        self.assertEqual(len(warnings), 2, warnings)
        for warning, address in zip(warnings, ("192.0.2.77", "2001:db8::77"), strict=True):
            self.assertTrue(warning.startswith(f"destination.east.source_ips: {address} is no"))
        backend = self.route("alice", destination=text).backend
        self.assertEqual(backend.source_ips, ("127.0.0.9", "192.0.2.77", "::1", "2001:db8::77"))
