"""One regression for each class of attack that is known against mail proxies: too much of it."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import REPLY_LIMIT
from mailroute.errors import FailureKind
from mailroute.events import Rejected
from mailroute.protocols import PROTOCOLS
from mailroute.server_dialogue import BAD_COMMAND_BUDGET, COMMAND_LIMIT
from mailroute.wire.framing import ReceiveBuffer
from tests.support.attackers import LOGINS, client, server, verdict
from tests.support.dialogues import describe, written
from tests.support.house import PREAUTH_SECONDS, House


class FloodTests(SynchronousTestCase):
    """Input without measure, and input of another kind."""

    def test_endless_lines(self) -> None:
        """A line without an end ends the session, and is not kept."""
        for protocol in PROTOCOLS:
            starts = [(b"", COMMAND_LIMIT), (b"a LOGIN ", COMMAND_LIMIT), (b"USER ", COMMAND_LIMIT)]
            for start, limit in starts:
                dialogue = server(protocol)
                events = dialogue.receive_data(start + b"x" * (limit + 1))
                self.assertEqual(describe(events[-1]), "Close line-too-long", (protocol, start))
                self.assertEqual(dialogue.trailing_data, b"")
            begin = {
                "imap": b"a AUTHENTICATE PLAIN\r\n",
                "pop3": b"AUTH PLAIN\r\n",
                "managesieve": b'AUTHENTICATE "PLAIN"\r\n',
            }
            dialogue = server(protocol)
            dialogue.receive_data(begin.get(protocol, b"EHLO me\r\nAUTH PLAIN\r\n"))
            events = dialogue.receive_data(b"x" * 70_000)
            self.assertEqual(describe(events[-1]), "Close line-too-long", protocol)

    def test_endless_backend(self) -> None:
        """A backend's greeting, reply or list without an end is a temporary failure."""
        endless = {
            "imap": (b"* OK " + b"x" * 1000, b"* OK hi\r\n" + b"* OK more and more\r\n"),
            "pop3": (b"+OK " + b"x" * 1000, b"+OK hi\r\n+OK\r\n" + b"X-MORE and more\r\n"),
            "submission": (b"220 " + b"x" * 1000, b"220-more and more\r\n"),
            "managesieve": (b'"SASL" "' + b"x" * 1000, b'"X-MORE" "and more"\r\n'),
        }
        for protocol, starts in endless.items():
            for start in starts:
                dialogue = client(protocol)
                events = dialogue.receive_data(start)
                more = start if b"\n" not in start else start.splitlines(keepends=True)[-1]
                for _ in range(2 * REPLY_LIMIT // len(more)):
                    events += dialogue.receive_data(more)
                found = verdict(events)
                assert isinstance(found, Rejected), (protocol, start[:20])
                self.assertIs(found.failure.kind, FailureKind.BACKEND_MISBEHAVED)
                self.assertEqual(dialogue.trailing_data, b"")

    def test_cross_protocol(self) -> None:
        """ALPACA and form posts: a browser's request or a TLS hello is never executed."""
        for protocol, login in LOGINS.items():
            body = b"Host: mail.example.org:143\r\n\r\n" + login
            for start in (
                b"POST / HTTP/1.1\r\n",
                b"GET /x HTTP/1.0\r\n",
                b"PRI * HTTP/2.0\r\n\r\n",
            ):
                events = server(protocol).receive_data(start + body)
                self.assertEqual([describe(event) for event in events], ["Close http-request"])
            hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(32) + login
            events = server(protocol).receive_data(hello)
            self.assertEqual(
                [describe(event) for event in events], ["Close tls-hello-on-plain-port"]
            )

    def test_nonsense_has_a_budget(self) -> None:
        """What is no command at all is answered a few times, then the session ends."""
        for protocol in PROTOCOLS:
            dialogue = server(protocol)
            events = dialogue.receive_data(b"\x80\xff ?\r\n" * BAD_COMMAND_BUDGET * 3)
            self.assertEqual(describe(events[-1]), "Close too-many-bad-commands", protocol)
            self.assertLessEqual(written(events).count(b"\r\n"), BAD_COMMAND_BUDGET + 1)

    def test_quadratic_time(self) -> None:
        """Hash-flooding's cousin: octets that drip in are looked at a fixed number of times."""
        looked = {}
        for size in (2000, 4000):
            for protocol in PROTOCOLS:
                dialogue = server(protocol)
                counted = CountedOctets()
                buffer = dialogue._buffer
                self.assertIsInstance(buffer, ReceiveBuffer)
                buffer._data = counted
                for _ in range(size):
                    dialogue.receive_data(b"x")
                looked[protocol, size] = counted.looked / size
        for protocol in PROTOCOLS:
            once, twice = looked[protocol, 2000], looked[protocol, 4000]
            self.assertLess(twice, once * 1.5, f"{protocol}: octets looked at for each received")


class PatienceTests(SynchronousTestCase):
    """Clients that take their time."""

    def test_slow_loris(self) -> None:
        """A client that drips, or keeps itself busy, has its time and no more."""
        begins = {
            "imap": (b"", b"a LOGIN {100}\r\n", b"a AUTHENTICATE PLAIN\r\n"),
            "pop3": (b"", b"USER x\r\n", b"AUTH PLAIN\r\n"),
            "submission": (b"", b"EHLO x\r\nBDAT 100000\r\n", b"EHLO x\r\nAUTH PLAIN\r\n"),
            "managesieve": (b"", b"NOOP {100+}\r\n", b'AUTHENTICATE "PLAIN"\r\n'),
        }
        for protocol, starts in begins.items():
            for start, drip in ((s, d) for s in starts for d in (b"x", b"")):
                house = House(protocol, {})
                visit = house.visit()
                visit.says(start)
                for _ in range(int(PREAUTH_SECONDS)):
                    self.assertFalse(visit.closed, (protocol, start))
                    visit.says(drip)
                    house.wait(1)
                self.assertTrue(visit.closed, (protocol, start))
                self.assertEqual(house.sessions, 0)
                self.assertIn(" closed_by=timeout ", house.lines()[-1])

    def test_busy_client_has_no_more_time(self) -> None:
        """Commands without a login do not buy time."""
        for protocol in PROTOCOLS:
            noop = b"a NOOP\r\n" if protocol == "imap" else b"NOOP\r\n"
            house = House(protocol, {})
            visit = house.visit()
            for _ in range(int(PREAUTH_SECONDS)):
                visit.says(noop)
                house.wait(1)
            self.assertTrue(visit.closed, protocol)


class CountedOctets(bytearray):
    """Counts the octets that searching and copying touch."""

    looked = 0

    def find(self, *arguments: Any) -> int:
        """Search, counting what is searched."""
        self.looked += len(self) - (arguments[1] if len(arguments) > 1 else 0)
        return super().find(*arguments)

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        self.looked += len(found) if isinstance(found, bytearray) else 1
        return found
