"""Host names, asked of the reactor's resolver."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.names import LOST_SECONDS, Names

NAME = "db.example"
V6, V4 = IPv6Address("TCP", "2001:db8::1", 0), IPv4Address("TCP", "192.0.2.1", 0)


class Resolver(Clock):
    """A clock whose resolver answers when the test says so, or at once."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.asked: list[tuple[str, Any]] = []
        self.is_quick = False

    def resolveHostName(self, receiver: Any, name: str) -> None:
        """Note the question."""
        self.asked.append((name, receiver))
        receiver.resolutionBegan(None)
        if self.is_quick:
            self.answer(V4)

    def answer(self, *addresses: IPv4Address | IPv6Address) -> None:
        """Answer the oldest question."""
        _, receiver = self.asked.pop(0)
        for address in addresses:
            receiver.addressResolved(address)
        receiver.resolutionComplete()


class NamesTests(SynchronousTestCase):
    """A name is asked for once at a time."""

    def setUp(self) -> None:
        """Nothing asked yet."""
        self.resolver = Resolver()
        self.names = Names(self.resolver)

    def test_shared(self) -> None:
        """Who asks while a question is open shares its answer; another name is another's."""
        asking = [self.names.addresses(NAME) for _ in range(3)]
        other = self.names.addresses("other.example")
        self.assertEqual([name for name, _ in self.resolver.asked], [NAME, "other.example"])
        self.resolver.answer(V6, V4, V6)
        for asked in asking:
            self.assertEqual(self.successResultOf(asked), ("2001:db8::1", "192.0.2.1"))
        self.assertNoResult(other)
        self.resolver.answer()
        self.assertEqual(self.successResultOf(other), ())

    def test_nothing_is_remembered(self) -> None:
        """Behind an answer the name is asked for anew, be it given at once."""
        self.resolver.is_quick = True
        for _ in range(2):
            asked = self.names.addresses(NAME)
            self.assertEqual(self.successResultOf(asked), ("192.0.2.1",))
        self.resolver.is_quick = False
        self.names.addresses(NAME)
        self.assertEqual(len(self.resolver.asked), 1)

    def test_cancelled(self) -> None:
        """Who gives up leaves the question to the others, and its answer to nobody."""
        leaving, staying = self.names.addresses(NAME), self.names.addresses(NAME)
        leaving.cancel()
        self.failureResultOf(leaving, CancelledError)
        self.names.addresses(NAME).addErrback(lambda _: None).cancel()
        self.assertEqual(len(self.resolver.asked), 1)
        self.resolver.answer(V4)
        self.assertEqual(self.successResultOf(staying), ("192.0.2.1",))

    def test_lost(self) -> None:
        """A question that is never answered, not even that it failed, is put again one day."""
        lost = self.names.addresses(NAME)
        self.resolver.advance(LOST_SECONDS - 1)
        self.names.addresses(NAME)
        self.assertEqual(len(self.resolver.asked), 1)
        self.resolver.advance(1)
        asking = [self.names.addresses(NAME) for _ in range(2)]
        self.assertEqual(len(self.resolver.asked), 2)
        self.resolver.answer()
        self.assertEqual(self.successResultOf(lost), ())
        self.names.addresses(NAME)
        self.assertEqual(len(self.resolver.asked), 1)
        self.resolver.answer(V4)
        for asked in asking:
            self.assertEqual(self.successResultOf(asked), ("192.0.2.1",))
