"""Sets of networks."""

from __future__ import annotations

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from mailroute.net.networks import Networks

SOME = Networks(["192.0.2.0/24", "2001:db8::/32", "fe80::/10"])


class NetworksTests(SynchronousTestCase):
    """Whether an address is in one of them."""

    def test_inside(self) -> None:
        """Both families; IPv4 as a part of IPv6, and an address with its interface, too."""
        for ip in ("192.0.2.255", "2001:db8:ffff::1", "::ffff:192.0.2.7", "fe80::1%eth0"):
            kind = IPv6Address if ":" in ip else IPv4Address
            self.assertTrue(SOME.has(kind("TCP", ip, 1)), ip)

    def test_outside(self) -> None:
        """What is in none, and what is no address."""
        for ip in ("192.0.3.0", "2001:db9::1", "::ffff:198.51.100.7", "::"):
            kind = IPv6Address if ":" in ip else IPv4Address
            self.assertFalse(SOME.has(kind("TCP", ip, 1)), ip)
        self.assertFalse(SOME.has(None))
        self.assertFalse(Networks([]).has(IPv4Address("TCP", "192.0.2.1", 1)))

    def test_unix(self) -> None:
        """The rights of the file say who may connect."""
        self.assertTrue(Networks([]).has(UNIXAddress(None)))
