"""What a row's columns change of a destination, seen in the routes of its account."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred

from mailroute.credentials import Identity, Supplied
from mailroute.errors import FailureKind
from mailroute.route import Backend, Forwarding, TLSMode
from mailroute.routing import Router, RoutingPolicy
from mailroute.tables.contract import Row
from mailroute.tables.rows import RECOGNISED
from tests.test_routing import DESTINATIONS, EAST_IMAP, ORIGIN, WEST_IMAP, RouterCase


class RowTests(RouterCase):
    """The columns of a row override the destination for this session."""

    def adapted(self, destination: str, **columns: str) -> Backend:
        return self.route(Row(destination, columns)).backend

    def unroutable(self, part: str, destination: str = "east", **columns: str) -> None:
        self.fails(FailureKind.DESTINATION_UNKNOWN, Row(destination, columns), part)

    def test_host_changes_where_not_whom(self) -> None:
        """RFC 6125: the certificate is checked against the configured name, never the row's."""
        east = self.adapted("east", host="10.0.0.9")
        self.assertEqual(east.hosts, ("10.0.0.9",))
        self.assertEqual(east.trust.server_name, "east.example")
        west = self.adapted("west", host="evil.example")
        self.assertEqual(west.trust.server_name, "mail.west.example")
        self.assertEqual(west, replace(WEST_IMAP, hosts=("evil.example",)))

    def test_tls_name(self) -> None:
        """A row names the certificate only where the destination allows it."""
        loose = self.adapted("loose", host="10.0.0.9", tls_name="other.example")
        self.assertEqual(loose.trust.server_name, "other.example")
        east = self.adapted("east", host="10.0.0.9", tls_name="other.example")
        self.assertEqual(east.trust.server_name, "east.example")
        self.assertEqual(self.adapted("east", tls_name="other.example"), EAST_IMAP)
        self.unroutable("tls_name", "loose", tls_name="a b")

    def test_tls_is_strengthened_only(self) -> None:
        """What is weaker than configured ends the attempt: it is neither used nor ignored."""
        self.assertIs(self.adapted("east", tls="implicit").tls, TLSMode.IMPLICIT)
        self.assertIs(self.adapted("east", tls="starttls").tls, TLSMode.STARTTLS)
        self.unroutable("weaker", tls="plain")
        self.unroutable("weaker", "west", tls="starttls")
        self.unroutable("weaker", "west", tls="plain")
        self.unroutable("none of", tls="TLS")

    def test_port(self) -> None:
        """A port is a port, in ASCII digits."""
        self.assertEqual(self.adapted("east", port="1143"), replace(EAST_IMAP, port=1143))
        for port in ("0", "65536", "-1", "imap", "1.5", "١٤٣", "1 ", "9" * 5000):
            self.unroutable("port", port=port)

    def test_host_forms(self) -> None:
        """Names and addresses; nothing that could be more than a host."""
        for host in ("a.example", "a_b.example.", "127.0.0.1", "::1", "fe80::1%eth0"):
            self.assertEqual(self.adapted("east", host=host).hosts, (host,))
        for host in ("a b", "a:143", "[::1]", "a\n", "/run/x", "-a", "é.example", "fe80::1%a\nb"):
            self.unroutable("host", host=host)

    def test_username(self) -> None:
        """The name to log in with; one that could end a line is not used."""
        found = self.route(Row("east", {"username": "Alice Smith"}))
        self.assertEqual((found.login_name, found.account), ("Alice Smith", "alice@example.org"))
        self.unroutable("username", username="a\r\nb")
        self.unroutable("username", username="a" * 513)

    def test_username_of_a_master_login(self) -> None:
        """The master behind the separator is kept: only the account's name is replaced."""
        row = Row("east", {"username": "a.smith"})
        found = self.route(row, identity=Identity("alice@example.org%admin"))
        self.assertEqual((found.login_name, found.account), ("a.smith%admin", "alice@example.org"))

    def test_password(self) -> None:
        """A password of the row, and whose it is; one that no login could carry is not used."""
        found = self.route(Row("east", {"password": "p w", "master_user": "proxy"}))
        self.assertEqual(found.supplied, Supplied("p w", "proxy"))
        self.assertEqual(self.route(Row("east", {"password": "x"})).supplied, Supplied("x"))
        self.assertIsNone(self.route(Row("east", {"master_user": "proxy"})).supplied)
        self.unroutable("master_user", password="x", master_user="a\nb")
        self.unroutable("password", password="a\0b")
        self.assertNotIn("p w", repr(found) + repr(Row("east", {"password": "p w"})))

    def test_credentials_of_the_destination(self) -> None:
        """Those of the destination, a row's before them; a password stays with its owner."""
        east = replace(
            DESTINATIONS["east"],
            username="all",
            password="masters",
            master_user="proxy",
            replaces_unchecked=True,
        )
        for columns, name, supplied in (
            ({}, "all", Supplied("masters", "proxy", True)),
            ({"username": "a"}, "a", Supplied("masters", "proxy", True)),
            ({"master_user": "m"}, "all", Supplied("masters", "m", True)),
            ({"password": "x"}, "all", Supplied("x", None, True)),
        ):
            self.table.rows = {"alice@example.org": Row("east", columns)}
            router = Router(self.table, {"east": east}, RoutingPolicy(), self.clock)
            asked = Deferred.fromCoroutine(router.route(Identity("alice@example.org"), ORIGIN))
            found = self.successResultOf(asked)
            self.assertEqual((found.login_name, found.supplied), (name, supplied))

    def test_forwarding(self) -> None:
        """The row's word replaces the destination's; the version of a header stays."""
        for forwarding in Forwarding:
            backend = self.adapted("east", forwarding=forwarding.value)
            self.assertEqual(backend, replace(EAST_IMAP, forwarding=forwarding))
        self.unroutable("forwarding", "east", forwarding="id")

    def test_mechanism(self) -> None:
        """RFC 4422 section 3.1: one name, in whichever letters; it is part of where we go."""
        found = self.adapted("east", mech="Login")
        self.assertEqual(found, replace(EAST_IMAP, mechanism="LOGIN"))
        for mech in ("PLAIN LOGIN", "a\r\nb", "x" * 21, "é", "{5}"):
            self.unroutable("mech", mech=mech)

    def test_empty_columns_say_nothing(self) -> None:
        """An empty column leaves the destination as it is."""
        found = self.route(Row("east", dict.fromkeys(RECOGNISED, "")))
        self.assertEqual(found, self.route(Row("east")))

    def test_time_to_live_is_the_cache_s(self) -> None:
        """A ttl changes no route."""
        self.assertEqual(self.adapted("east", ttl="5"), EAST_IMAP)

    def test_columns_alone(self) -> None:
        """Without a destination the default one is adapted, if there is one."""
        row = Row(None, {"host": "10.0.0.9"})
        found = self.route(row, default_destination="east")
        self.assertEqual((found.destination, found.backend.hosts), ("east", ("10.0.0.9",)))
        self.fails(FailureKind.DESTINATION_UNKNOWN, row, "names no destination")

    def test_deny(self) -> None:
        """The row's reason is for the log; a denied account goes nowhere, not even to a default."""
        policy = {"undeclared": "default", "not_found": "default", "default_destination": "east"}
        for destination in ("east", "nroth", None):
            row = Row(destination, {"state": "deny", "reason": "moved out"})
            self.fails(FailureKind.ACCOUNT_DENIED, row, "moved out", **policy)
        self.fails(FailureKind.ACCOUNT_DENIED, Row("east", {"state": "deny"}), "deny")

    def test_states(self) -> None:
        """Active is the rule; a state that we do not know is not to be guessed."""
        self.assertEqual(self.adapted("east", state="active"), EAST_IMAP)
        for state in ("hold", "Active", "DENY"):
            self.fails(FailureKind.ACCOUNT_TEMPFAIL, Row("east", {"state": state}), repr(state))
