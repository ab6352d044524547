"""One regression for each class of attack that is known against mail proxies: mistaken trust."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure as Caught
from twisted.trial.unittest import SynchronousTestCase

from mailroute.destinations import Destination
from mailroute.errors import Failure
from mailroute.net.tls import BackendContexts
from mailroute.protocols import PROTOCOLS
from mailroute.route import Backend, Origin, Route, TLSMode, Trust
from mailroute.routing import Router, RoutingPolicy
from mailroute.sasl.plain import password_login
from mailroute.tables.contract import Row
from tests.support.attackers import (
    ACCEPTED,
    ALICE,
    BOB,
    REJECTED,
    ROWS,
    SECRET,
    converse,
    join,
    login,
    plain,
)
from tests.support.house import DELAY_SECONDS, House
from tests.support.tables import MemoryTable

ORIGIN = Origin("id", "imap", "192.0.2.1", 1, "192.0.2.2", 143)


class TrustTests(SynchronousTestCase):
    """Whom we believe, and whom we take for whom."""

    def test_row_chooses_no_authority(self) -> None:
        """A writer of the table moves a session, but cannot say whose certificate is right."""
        row = Row("east", {"host": "evil.example.net", "tls_name": "evil.example.net"})
        route = self.route(row, TLSMode.IMPLICIT)
        self.assertEqual(route.hosts, ("evil.example.net",))
        side = BackendContexts().side(route.trust, route.hosts[0])
        self.assertEqual(side._name, "east.example.org")

    def test_row_weakens_nothing(self) -> None:
        """A row that asks for less TLS than the configuration is a failure, not a downgrade."""
        plain, starttls, implicit = TLSMode.PLAIN, TLSMode.STARTTLS, TLSMode.IMPLICIT
        for configured, asked in ((implicit, plain), (implicit, starttls), (starttls, plain)):
            with self.assertRaises(Failure) as caught:
                self.route(Row("east", {"tls": asked.value}), configured)
            self.assertTrue(caught.exception.kind.temporary)
        self.assertIs(self.route(Row("east", {"tls": "implicit"}), plain).tls, implicit)

    def route(self, row: Row, mode: TLSMode) -> Backend:
        """The backend of a row at a destination with this mode.  Raises Failure."""
        backend = Backend(("east.example.org",), 993, mode, Trust(allow_invalid=True))
        destinations = {"east": Destination("east", {"imap": backend})}
        clock = House("imap", {}).clock
        router = Router(MemoryTable({ALICE: row}), destinations, RoutingPolicy(), clock)
        identity = password_login(ALICE.encode(), SECRET).identity
        found: list[Any] = []
        Deferred.fromCoroutine(router.route(identity, ORIGIN)).addBoth(found.append)
        if isinstance(found[0], Caught):
            found[0].raiseException()
        assert isinstance(found[0], Route)
        return found[0].backend

    def test_no_bridge_after_rejection(self) -> None:
        """A rejected login leaves no pipe to its backend: the next user goes to his own server."""
        for protocol in PROTOCOLS:
            house = House(protocol, ROWS)
            visit = house.visit()
            visit.says(login(protocol, ALICE))
            converse(house, house.dialled[0], REJECTED[protocol])
            house.wait(DELAY_SECONDS)
            self.assertTrue(house.dialled[0].closed, protocol)
            visit.says(login(protocol, BOB))
            self.assertEqual([d.route.destination for d in house.dialled], ["east", "west"])
            converse(house, house.dialled[1], ACCEPTED[protocol])
            visit.says(b"for bob's server\r\n")
            self.assertTrue(house.dialled[1].hears().endswith(b"for bob's server\r\n"), protocol)
            self.assertNotIn(b"bob", house.dialled[0].hears())

    def test_response_splitting(self) -> None:
        """The answers to our own commands stay with us, whichever tags the client uses."""
        for tag in (b"mr1", b"mr2", b"a"):
            house = House("imap", ROWS)
            visit = house.visit()
            visit.says(tag + b" AUTHENTICATE PLAIN " + plain(ALICE) + b"\r\n" + tag + b" NOOP\r\n")
            backend = house.dialled[0]
            backend.says(b"* OK ready\r\n")
            backend.says(b"* CAPABILITY IMAP4rev1 AUTH=PLAIN\r\nmr1 OK asked\r\n")
            self.assertEqual(visit.hears(), b"", "an answer to a command of ours")
            backend.says(b"+\r\n")
            backend.says(b"mr2 OK welcome\r\n")
            self.assertEqual(visit.hears(), b"")
            heard = backend.says(b"* CAPABILITY IMAP4rev1 IDLE\r\nmr3 OK asked\r\n* 1 EXISTS\r\n")
            self.assertEqual(heard, tag + b" NOOP\r\n")
            self.assertEqual(
                visit.hears(),
                b"* CAPABILITY IMAP4rev1 IDLE\r\n" + tag + b" OK welcome\r\n* 1 EXISTS\r\n",
            )


class StreamTests(SynchronousTestCase):
    """The joined stream."""

    def test_smtp_smuggling(self) -> None:
        """CVE-2023-51764 and its kin: after the join no dot, CR or LF is added or mended."""
        ends = (
            b"\n.\n",
            b"\n.\r\n",
            b"\r\n.\n",
            b"\r.\r",
            b"\r\n\0.\r\n",
            b"\r\n.\r\n",
            b"\r\n..\r\n",
        )
        house = House("submission", ROWS)
        visit, backend = join(house)
        visit.hears()
        backend.hears()
        for end in ends:
            mail = b"DATA\r\nSubject: x\r\n\r\nx" + end + b"MAIL FROM:<admin@example.org>\r\n"
            visit.says(mail)
            self.assertEqual(backend.hears(), mail)
            backend.says(mail)
            self.assertEqual(visit.hears(), mail)

    def test_words_are_no_commands(self) -> None:
        """After the join nothing is parsed: what reads like an end may stand in a literal."""
        words = (
            b"a LOGOUT\r\n",
            b"a IDLE\r\n",
            b"DONE\r\n",
            b"a COMPRESS DEFLATE\r\n",
            b"a STARTTLS\r\n",
            b"QUIT\r\n",
            b"* BYE done\r\n",
            b"a OK LOGOUT completed\r\n",
            b"421 4.3.2 closing\r\n",
            b"221 2.0.0 Bye\r\n",
            b"-ERR [IN-USE] closing\r\n",
            b"\x16\x03\x01\x02\x00",
            b"GET / HTTP/1.1\r\n",
        )
        for protocol in PROTOCOLS:
            visit, backend = join(House(protocol, ROWS))
            visit.hears()
            backend.hears()
            for said in words:
                with self.subTest(protocol=protocol, said=said):
                    visit.says(said)
                    self.assertEqual(backend.hears(), said)
                    backend.says(said)
                    self.assertEqual(visit.hears(), said)
