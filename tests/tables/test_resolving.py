"""Addresses asked of the reactor's resolver."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.resolving import Resolver, is_socket_folder


class _Reactor(Clock):
    """A clock whose resolver answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.asked: list[tuple[str, Any]] = []

    def resolveHostName(self, receiver: Any, name: str) -> None:
        """Note the question."""
        self.asked.append((name, receiver))

    def callFromThread(self, callable: object, *_: object) -> None:
        """Not used here."""


class ResolverTests(SynchronousTestCase):
    """A name has its addresses in time, or that is a failure."""

    def setUp(self) -> None:
        """Nothing asked yet."""
        self.reactor = _Reactor()
        self.resolver = Resolver(self.reactor)

    def addresses(self, name: str, until: float = 5) -> Deferred[tuple[str, ...]]:
        """Ask for a name."""
        return Deferred.fromCoroutine(self.resolver.addresses(name, until))

    def answer(self, *addresses: IPv4Address) -> None:
        """Answer the oldest question."""
        _, receiver = self.reactor.asked.pop(0)
        receiver.resolutionBegan(None)
        for address in addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()

    def test_literal(self) -> None:
        """An address is its own answer."""
        for literal in ("192.0.2.1", "2001:db8::1"):
            self.assertEqual(self.successResultOf(self.addresses(literal)), (literal,))
        self.assertEqual(self.reactor.asked, [])

    def test_name(self) -> None:
        """A name has those that the resolver finds."""
        asked = self.addresses("db.example")
        self.answer(IPv4Address("TCP", "192.0.2.1", 0), IPv4Address("TCP", "192.0.2.2", 0))
        self.assertEqual(self.successResultOf(asked), ("192.0.2.1", "192.0.2.2"))

    def test_nothing(self) -> None:
        """A name without an address is a failure."""
        asked = self.addresses("db.example")
        self.answer()
        self.assertIn("db.example", str(self.failureResultOf(asked, LookupFailed).value))

    def test_too_late(self) -> None:
        """A resolver that hangs is asked once, however many wait and give up."""
        for _ in range(3):
            asked = self.addresses("db.example", self.reactor.seconds() + 5)
            self.reactor.advance(5)
            self.failureResultOf(asked, LookupFailed)
        self.assertEqual(len(self.reactor.asked), 1)
        self.answer()

    def test_cancelled(self) -> None:
        """A cancelled waiter leaves; the answer finds nobody."""
        asked = self.addresses("db.example")
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.answer()

    def test_sockets(self) -> None:
        """libpq's folders and abstract sockets are no names."""
        for folder in ("", "/run/postgresql", "@abstract"):
            self.assertTrue(is_socket_folder(folder))
        self.assertFalse(is_socket_folder("db.example"))
