"""What a looked-up value means."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.destinations import Destination, Destinations, Place, is_host, parse_place
from mailroute.route import Backend, TLSMode, Trust

IMAP = Backend(("east.example",), 143, TLSMode.STARTTLS)
SUBMISSION = Backend(("east.example",), 587, TLSMode.STARTTLS, allow_plaintext_auth=True)
EAST = Destination("east", {"imap": IMAP, "submission": SUBMISSION}, hide_auth_errors=True)
SHARD = Destination(
    "shard-*",
    {
        "imap": Backend(
            ("{1}.mail.internal", "{1}b.mail.internal"),
            993,
            TLSMode.IMPLICIT,
            Trust("imap-{1}.example"),
        )
    },
)
ANY = Destination("*-1", {"imap": IMAP})


class PlaceTests(SynchronousTestCase):
    """Ways to write an address."""

    def test_forms(self) -> None:
        """Hosts with and without port and brackets, and Postfix's transport."""
        for value, place in {
            "mx.example.org": Place("mx.example.org"),
            "mx.example.org:143": Place("mx.example.org", 143),
            "[mx.example.org]": Place("mx.example.org"),
            "[mx.example.org]:143": Place("mx.example.org", 143),
            "10.0.0.1:65535": Place("10.0.0.1", 65535),
            "[10.0.0.1]:1": Place("10.0.0.1", 1),
            "2001:db8::1": Place("2001:db8::1"),
            "[2001:db8::1]": Place("2001:db8::1"),
            "[2001:db8::1]:993": Place("2001:db8::1", 993),
            "[ipv6:2001:db8::1]": Place("2001:db8::1"),
            "smtp:[mx.example.org]:2525": Place("mx.example.org", 2525, transport=True),
            "smtp:[mx.example.org]": Place("mx.example.org", None, transport=True),
            "smtp:mx.example.org:2525": Place("mx.example.org", 2525, transport=True),
            "smtp:mx.example.org": Place("mx.example.org", None, transport=True),
            "smtp": Place("smtp"),
        }.items():
            self.assertEqual(parse_place(value), place, value)

    def test_no_address(self) -> None:
        """Other transports and what is no host, or no port, is no address."""
        for value in (
            *(
                "",
                ":",
                ":143",
                "smtp:",
                "smtp::25",
                "error:no such user",
                "discard:",
                "lmtp:[h]:24",
            ),
            *("a b", "a/b", "a@b", "[a", "a]", "[]", "[a]b", "[a]:", "a:", "a:0", "a:65536"),
            *("a:x", "a:1:2", "[a]:1:2", "a\n", "ä.example", "a:\u0661", "a:000001", "unix:/tmp/x"),
        ):
            self.assertIsNone(parse_place(value), value)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(alphabet="sm:tp[]1a.-:", max_size=12))
    def test_any(self, value: str) -> None:
        """What comes out is a host that can be dialled and a port that exists."""
        place = parse_place(value)
        if place is not None:
            self.assertTrue(is_host(place.host))
            self.assertTrue(place.port is None or 0 < place.port < 65536)


class DestinationsTests(SynchronousTestCase):
    """Names, patterns, addresses."""

    def setUp(self) -> None:
        declared = {d.name: d for d in (SHARD, ANY, EAST)}
        shard_nine = Destination("shard-9", {"imap": IMAP})
        self.directory = Destinations({**declared, "shard-9": shard_nine})
        self.addressed = Destinations(declared, "east")

    def get(self, value: str) -> Destination:
        """A destination that is there."""
        found = self.addressed.get(value)
        assert found is not None, value
        return found

    def test_exact(self) -> None:
        """A declared name is that destination, even where a pattern fits it."""
        self.assertEqual(self.directory.get("east"), EAST)
        nine = self.directory.get("shard-9")
        assert nine is not None
        self.assertEqual(nine.endpoints["imap"], IMAP)

    def test_pattern(self) -> None:
        """The label of the name is repeated in hosts and in the certificate's name."""
        found = self.directory.get("shard-a1")
        assert found is not None
        self.assertEqual(found.name, "shard-a1")
        backend = found.endpoints["imap"]
        self.assertEqual(backend.hosts, ("a1.mail.internal", "a1b.mail.internal"))
        self.assertEqual(backend.trust, Trust("imap-a1.example"))

    def test_order(self) -> None:
        """Of several patterns the first one counts."""
        self.assertEqual(self.get("shard-1").endpoints["imap"].port, 993)
        self.assertEqual(self.get("x-1").endpoints["imap"].port, 143)

    def test_undeclared(self) -> None:
        """Without a destination for addresses nothing else is one; a pattern's name is none."""
        for value in ("west", "mx.example.org", "[10.0.0.1]:143", "shard-*", "shard-A", "", "*-1"):
            self.assertIsNone(self.directory.get(value), value)
            self.assertNotIn(value, self.directory)
        self.assertIn("shard-1", self.directory)
        self.assertNotIn(None, self.directory)

    def test_names(self) -> None:
        """What is declared, in its order."""
        self.assertEqual(list(self.directory), ["shard-*", "*-1", "east", "shard-9"])

    def test_address(self) -> None:
        """An address has the ports, TLS and policies of the destination for addresses."""
        found = self.get("mx.example.org")
        self.assertEqual((found.name, found.hide_auth_errors), ("east", True))
        backend = found.endpoints["submission"]
        self.assertEqual(backend.hosts, ("mx.example.org",))
        self.assertEqual((backend.port, backend.tls), (587, TLSMode.STARTTLS))
        self.assertTrue(backend.allow_plaintext_auth)
        self.assertEqual(found.endpoints["imap"].port, 143)

    def test_trust_of_an_address(self) -> None:
        """Who is trusted at an address stays the configured name."""
        self.assertEqual(self.get("10.0.0.1").endpoints["imap"].trust.server_name, "east.example")
        directory = Destinations({"shard-*": SHARD}, "shard-1")
        found = directory.get("10.0.0.1")
        assert found is not None
        self.assertEqual(found.endpoints["imap"].trust.server_name, "imap-1.example")

    def test_port_of_an_address(self) -> None:
        """A port goes before the configured one; that of a transport where SMTP is spoken."""
        for value, imap, submission in (
            ("[10.0.0.1]:1143", 1143, 1143),
            ("mx:1143", 1143, 1143),
            ("smtp:[mx]:2525", 143, 2525),
            ("smtp:[mx]", 143, 587),
        ):
            endpoints = self.get(value).endpoints
            ports = (endpoints["imap"].port, endpoints["submission"].port)
            self.assertEqual(ports, (imap, submission), value)

    def test_names_before_addresses(self) -> None:
        """A value that fits a pattern is no host."""
        self.assertEqual(self.get("shard-1").name, "shard-1")
        for value in ("error:unknown", "a b", ""):
            self.assertIsNone(self.addressed.get(value))

    def test_bound(self) -> None:
        """Values that are all different do not fill the memory."""
        for number in range(5000):
            self.get(f"h{number}")
        self.assertLessEqual(self.addressed._derive.cache_info().currsize, 4096)
