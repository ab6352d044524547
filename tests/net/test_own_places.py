"""Where we listen ourselves."""

from __future__ import annotations

import errno
import socket

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.own_places import MEMORY_SECONDS, OwnPlaces, is_local


class LocalTests(SynchronousTestCase):
    """What the kernel says of addresses."""

    def test_kernel(self) -> None:
        """Loopback is ours, all of it; the addresses of documentation (RFC 5737) are not."""
        for address in ("127.0.0.1", "127.8.7.6"):
            self.assertTrue(is_local(address), address)
        for address in ("192.0.2.1", "2001:db8::1"):
            self.assertFalse(is_local(address), address)

    def test_forbidden(self) -> None:
        """A service that may not ask the kernel still knows loopback."""

        def forbidden(*_: object) -> socket.socket:
            raise OSError(errno.EAFNOSUPPORT, "not in this unit")

        self.patch(socket, "socket", forbidden)
        for address, expected in (("127.0.0.1", True), ("::1", True), ("192.0.2.1", False)):
            self.assertEqual(is_local(address), expected)


class OwnPlacesTests(SynchronousTestCase):
    """Which connections would lead back."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.ours = {"192.0.2.1", "2001:db8::1"}
        self.asked: list[str] = []

    def places(self, *places: tuple[str, int]) -> OwnPlaces:
        def local(address: str) -> bool:
            self.asked.append(address)
            return address in self.ours

        return OwnPlaces(places, self.clock, local)

    def test_exact(self) -> None:
        """An address that is listened at, however it is written, with its port alone."""
        own = self.places(("192.0.2.1", 143), ("2001:db8::1", 993))
        self.assertEqual(own.ports, {143, 993})
        self.assertTrue(own.have("192.0.2.1", 143))
        self.assertTrue(own.have("2001:DB8:0::1", 993))
        for address, port in (("192.0.2.1", 993), ("192.0.2.2", 143), ("2001:db8::1", 143)):
            self.assertFalse(own.have(address, port))
        self.assertEqual(self.asked, [])

    def test_everywhere(self) -> None:
        """All addresses of the machine, of the family that is listened at."""
        own = self.places(("0.0.0.0", 143))
        self.assertTrue(own.have("192.0.2.1", 143))
        self.assertFalse(own.have("192.0.2.2", 143))
        self.assertFalse(own.have("2001:db8::1", 143))
        self.assertTrue(self.places(("::", 143)).have("2001:db8::1", 143))

    def test_other_forms(self) -> None:
        """IPv4 as a part of IPv6 is IPv4; the address of nobody is this machine's own."""
        own = self.places(("192.0.2.1", 143), ("127.0.0.1", 143), ("::1", 143), ("0.0.0.0", 993))
        for address, port in (
            ("::ffff:192.0.2.1", 143),
            ("::ffff:192.0.2.1", 993),
            ("0.0.0.0", 143),
            ("::", 143),
        ):
            self.assertTrue(own.have(address, port), address)
        self.assertFalse(own.have("::ffff:192.0.2.2", 143))
        self.assertFalse(own.have("no address", 143))

    def test_remembered(self) -> None:
        """The kernel is asked once in a while: a shared address moves between machines."""
        own = self.places(("0.0.0.0", 143))
        for _ in range(3):
            self.assertFalse(own.have("192.0.2.9", 143))
        self.assertEqual(self.asked, ["192.0.2.9"])
        self.ours.add("192.0.2.9")
        self.clock.advance(MEMORY_SECONDS)
        self.assertTrue(own.have("192.0.2.9", 143))
