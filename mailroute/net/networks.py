"""Sets of IP networks, asked whether an address is in them."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from typing import Any

from twisted.internet.address import UNIXAddress


class Networks:
    """Some networks, IPv4 and IPv6."""

    def __init__(self, networks: Iterable[str]) -> None:
        """``networks`` as ``192.0.2.0/24`` or ``2001:db8::/32``; raises ValueError."""
        self._networks = [ipaddress.ip_network(network) for network in networks]

    def has(self, address: Any) -> bool:
        """Whether Twisted's address is in one of them.

        Who may connect to a Unix socket is decided by the rights of its file: it is in all.
        """
        if isinstance(address, UNIXAddress):
            return True
        try:
            # A link-local address names its interface behind "%".
            ip = ipaddress.ip_address(getattr(address, "host", "").partition("%")[0])
        except ValueError:
            return False
        # A socket of systemd's may take both families, and shows IPv4 as a part of IPv6.
        mapped = getattr(ip, "ipv4_mapped", None)
        return any((mapped or ip) in network for network in self._networks)
