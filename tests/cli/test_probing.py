"""Backends dialled up to where a login would begin."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.probing import (
    MECHANISM,
    Endpoint,
    Probed,
    capabilities,
    endpoints,
    probe_all,
)
from mailroute.route import Backend, TLSMode
from tests.config.reading import ConfigurationCase
from tests.support.backends import House
from tests.support.local_reactor import LocalCase, Script
from tests.support.secured import Certificates, server_tls

HOSTS = (
    '[destination.east]\nhosts = ["192.0.2.1", "192.0.2.2"]\n{options}\n'
    '[destination.east.protocol.imap]\nport = 993\ntls = "{mode}"\n'
    '[destination."shard-*"]\nhost = "{{1}}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)


class CapabilityTests(SynchronousTestCase):
    """What a backend advertises, out of its replies."""

    def test_imap(self) -> None:
        """The last list counts, in the greeting or in an answer."""
        replies = [
            b"* OK [CAPABILITY IMAP4rev1 LOGINDISABLED] ready",
            b"* CAPABILITY IMAP4rev1 AUTH=PLAIN",
            b"mr1 OK done",
        ]
        self.assertEqual(capabilities("imap", replies), ["AUTH=PLAIN", "IMAP4rev1".upper()])
        self.assertEqual(capabilities("imap", [b"* OK hello"]), [])

    def test_pop3(self) -> None:
        """The lines of the list."""
        replies = [b"+OK ready", b"+OK list follows", b"SASL PLAIN", b"UIDL", b"."]
        self.assertEqual(capabilities("pop3", replies), ["SASL PLAIN", "UIDL"])
        self.assertEqual(capabilities("pop3", [b"+OK ready", b"-ERR what?"]), [])
        self.assertEqual(capabilities("pop3", [b"."]), [])

    def test_submission(self) -> None:
        """The keywords behind the server's name."""
        replies = [b"220 x ESMTP", b"250-x", b"250-AUTH PLAIN LOGIN", b"250 8BITMIME"]
        self.assertEqual(capabilities("submission", replies), ["AUTH PLAIN LOGIN", "8BITMIME"])

    def test_managesieve(self) -> None:
        """Names and values, without the quotes and the last word."""
        replies = [b'"SASL" "PLAIN LOGIN"', b'"STARTTLS"', b'OK "ready"']
        self.assertEqual(capabilities("managesieve", replies), ["SASL PLAIN LOGIN", "STARTTLS"])

    def test_other(self) -> None:
        """Whatever was said, where nobody knows how to read it."""
        self.assertEqual(capabilities("gopher", [b"a", b"\xff"]), ["a", "\\xff"])


class ProbedTests(SynchronousTestCase):
    """How it is told."""

    def test_told(self) -> None:
        """For people and for programs."""
        backend = Backend(("h.example.org",), 993, TLSMode.IMPLICIT)
        endpoint = Endpoint("east", "imap", backend)
        found = Probed(endpoint, "", {"version": "TLSv1.3", "valid until": "x"}, ("A", "B C"))
        self.assertEqual(
            found.words(),
            "destination.east.protocol.imap: h.example.org:993:"
            " version TLSv1.3, valid until x; A | B C",
        )
        data = found.data()
        self.assertEqual(data["tls"], {"version": "TLSv1.3", "valid_until": "x"})
        self.assertEqual((data["port"], data["mode"], data["fault"]), (993, "implicit", None))
        nothing = Probed(endpoint, "gone", {}, ())
        self.assertTrue(nothing.words().endswith("no TLS; no capabilities"))
        self.assertEqual(nothing.data()["fault"], "gone")
        self.assertEqual(nothing.complaint(), "destination.east.protocol.imap: gone")
        refused = Probed(endpoint, "wrong", {"certificate": "CN=x", "refused": "wrong"}, ())
        self.assertEqual(
            refused.complaint(), "destination.east.protocol.imap: wrong (certificate CN=x)"
        )


PASSED = (
    '[destination.mx]\nhost = "192.0.2.1"\n[destination.mx.protocol.smtp]\n'
    'port = 25\ntls = "plain"\n'
)


class ProbeTests(LocalCase, ConfigurationCase):
    """Houses in memory."""

    def setUp(self) -> None:
        LocalCase.setUp(self)
        ConfigurationCase.setUp(self)

    def probe(self, mode: str, options: str = "") -> list[Probed]:
        """Dial every endpoint."""
        text = HOSTS.format(mode=mode, options=options)
        configuration = self.read_sections(destination=text)
        self.assertEqual(
            [each.backend.hosts for each in endpoints(configuration)],
            [("192.0.2.1",), ("192.0.2.2",)],
        )
        done: Deferred[Any] = Deferred.fromCoroutine(probe_all(configuration, self.reactor))
        self.settle()
        self.advance(120)
        self.assert_quiet()
        found: list[Probed] = self.successResultOf(done)
        return found

    def test_found(self) -> None:
        """Certificate and capabilities of each; nobody tries to log in."""
        certificates = Certificates(self)
        house = House({"alice": b"x"}, tls=server_tls(certificates.issue("mail.example")))
        for host in ("192.0.2.1", "192.0.2.2"):
            self.reactor.listening[(host, 993)] = house.accept
        options = f'tls_ca_file = "{certificates.ca_file}"\ntls_server_name = "mail.example"'
        found = self.probe("implicit", options)
        self.assertEqual([each.fault for each in found], ["", ""])
        for each in found:
            self.assertEqual(each.tls["certificate"], "CN=mail.example")
            self.assertIn("AUTH=PLAIN", each.capabilities)
        self.assertEqual([visit.logins for visit in house.visits], [[], []])

    def test_faults(self) -> None:
        """Nobody there; somebody who says something else."""
        self.reactor.listening[("192.0.2.2", 993)] = lambda: Script(b"220 not IMAP\r\n")
        found = self.probe("plain", "allow_plaintext_auth = true")
        self.assertIn("refused", found[0].fault)
        self.assertIn("greeting is not IMAP", found[1].fault)

    def test_cleartext(self) -> None:
        """An endpoint at which no password may be said is of no use for logins."""
        for host in ("192.0.2.1", "192.0.2.2"):
            greeting = b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready\r\n"
            self.reactor.listening[(host, 993)] = lambda: Script(greeting)  # noqa: B023
        found = self.probe("plain")
        self.assertIn("allow_plaintext_auth", found[0].fault)
        self.assertNotIn(MECHANISM, found[0].fault)
        self.assertEqual(found[0].capabilities, ["AUTH=PLAIN", "IMAP4REV1"])

    def test_passed_through(self) -> None:
        """A protocol without a login is well where there is a connection."""
        self.reactor.listening[("192.0.2.1", 25)] = Script
        listener = '[listener.mx]\nprotocol = "smtp"\nbind = ["127.0.0.1:25"]\ntls = "plain"\n'
        routing = '[routing]\nsmtp_passthrough_destination = "mx"\n'
        configuration = self.read_sections(
            destination=PASSED, listener=listener, routing=routing, tls=""
        )
        done: Deferred[Any] = Deferred.fromCoroutine(probe_all(configuration, self.reactor))
        self.settle()
        self.advance(120)
        self.assert_quiet()
        (found,) = self.successResultOf(done)
        self.assertEqual((found.fault, found.capabilities), ("", []))
