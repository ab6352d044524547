"""``mailroute explain``: each step, and the exit status of lookup."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.explain import route_facts
from mailroute.credentials import Supplied
from mailroute.route import Backend, Route, TLSMode, Trust
from tests.cli.calling import CallingCase


class ExplainTests(CallingCase):
    """With a mapping file."""

    def explain(self, *arguments: str) -> int:
        """Call it."""
        return self.call("--config", self.configure(), "explain", *arguments)

    def test_found(self) -> None:
        """From the name to the server."""
        self.assertEqual(self.explain("alice%admin", "--json"), 0)
        (found,) = self.printed()
        self.assertEqual((found["identifier"], found["result"]), ("alice%admin", "found"))
        steps = {step["step"]: step for step in found["steps"]}
        self.assertEqual(
            list(steps),
            ["master_user", "normalisation", "cache", "file", "lookup", "destination", "route"],
        )
        route = steps["route"]
        self.assertEqual((route["hosts"], route["port"]), (["east.example.org"], 993))
        self.assertEqual((route["tls"], route["login_name"]), ("implicit", "alice%admin"))
        self.assertIn("ms", route)

    def test_people(self) -> None:
        """The same in words."""
        self.assertEqual(self.explain("alice"), 0)
        for part in ("normalisation", "row: destination=east", "port: 993", "tls: implicit"):
            self.assertIn(part, self.stdout)

    def test_absent(self) -> None:
        """The way up to the policy that ends it."""
        self.assertEqual(self.explain("bob", "--json"), 1)
        (found,) = self.printed()
        self.assertEqual((found["result"], found["kind"]), ("absent", "account-unknown"))
        self.assertEqual(found["steps"][-1]["step"], "no_route")

    def test_failed(self) -> None:
        """A destination that does not serve the protocol."""
        self.assertEqual(self.explain("alice", "--protocol", "pop3"), 75)
        self.assertIn("does not serve pop3", self.stdout)

    def test_configuration(self) -> None:
        """A mapping that cannot be served."""
        self.write("routes", "alice nowhere\n")
        self.assertEqual(self.explain("alice"), 78)


class RouteTests(SynchronousTestCase):
    """Where it goes in the end, and whom we trust there."""

    def facts(self, trust: Trust, tls: TLSMode = TLSMode.IMPLICIT, **rest: Any) -> Any:
        """The facts of a route."""
        backend = Backend(("a.example.org", "b.example.org"), 993, tls, trust)
        return route_facts(Route("alice", "east", backend, **rest), "Alice")

    def test_login_name(self) -> None:
        """The client's own, or the row's."""
        self.assertEqual(self.facts(Trust())["login name"], "Alice")
        self.assertEqual(self.facts(Trust(), login_name="al")["login name"], "al")

    def test_supplied(self) -> None:
        """Credentials of ours: whose and when, never what."""
        self.assertNotIn("password", self.facts(Trust()))
        for supplied, words in (
            (Supplied("hush"), "ours, of the account, for a login by certificate alone"),
            (Supplied("hush", "boss", True), "ours, of boss, for every login"),
        ):
            facts = self.facts(Trust(), supplied=supplied)
            self.assertEqual(facts["password"], words)
            self.assertNotIn("hush", str(facts))

    def test_way(self) -> None:
        """Mechanism and addresses to connect from, where anything is said of them."""
        facts = route_facts(Route("alice", "east", Backend(("h",), 1, TLSMode.PLAIN)), "Alice")
        self.assertNotIn("mechanism", facts)
        self.assertNotIn("source addresses", facts)
        backend = Backend(("h",), 1, TLSMode.PLAIN, source_ips=("192.0.2.7",), mechanism="LOGIN")
        facts = route_facts(Route("alice", "east", backend), "Alice")
        self.assertEqual(facts["mechanism"], "LOGIN")
        self.assertEqual(facts["source addresses"], ["192.0.2.7"])

    def test_certificate(self) -> None:
        """The name, the authorities, the pin, or nothing at all."""
        for trust, words in (
            (Trust(), "for a.example.org or b.example.org, by the system's authorities"),
            (Trust("x.example.org", "/ca.pem"), "for x.example.org, by /ca.pem"),
            (Trust(pinned_sha256=b"\x01\x02"), "with the SHA-256 0102"),
            (Trust(allow_invalid=True), "any: tls_allow_invalid_certs"),
        ):
            self.assertEqual(self.facts(trust)["certificate"], words)

    def test_plain(self) -> None:
        """Without TLS: whether a password may leave."""
        facts = self.facts(Trust(), TLSMode.PLAIN)
        self.assertNotIn("certificate", facts)
        self.assertIs(facts["allow_plaintext_auth"], False)
