"""Where we listen ourselves: a backend there is a loop."""

from __future__ import annotations

import ipaddress
import socket
import struct
from collections.abc import Callable, Iterable

from mailroute.net.transport import Clock
from mailroute.route import ip_of

MEMORY_SECONDS = 60.0
"""How long it is remembered whether an address is this machine's: addresses move."""

# rtnetlink(7): asked for the route to an address, the kernel says whether it ends here.
_RTM_NEWROUTE, _RTM_GETROUTE, _NLM_F_REQUEST, _RTA_DST, _RTN_LOCAL = 24, 26, 1, 1, 2
_HEADER, _ROUTE, _ATTRIBUTE = (
    struct.Struct("=IHHII"),
    struct.Struct("=BBBBBBBBI"),
    struct.Struct("=HH"),
)
_REMEMBERED = 4096
_TYPE_OFFSET = _HEADER.size + 7
_LOOPBACK = {4: ipaddress.ip_address("127.0.0.1"), 6: ipaddress.ip_address("::1")}


def is_local(address: str) -> bool:
    """Whether the IP address is one of this machine's."""
    ip = ipaddress.ip_address(address)
    family, packed = socket.AF_INET6 if ip.version == 6 else socket.AF_INET, ip.packed
    body = _ROUTE.pack(family, len(packed) * 8, 0, 0, 0, 0, 0, 0, 0)
    body += _ATTRIBUTE.pack(_ATTRIBUTE.size + len(packed), _RTA_DST) + packed
    header = _HEADER.pack(_HEADER.size + len(body), _RTM_GETROUTE, _NLM_F_REQUEST, 1, 0)
    try:
        with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as kernel:
            kernel.send(header + body)
            # The answer is there when ``send`` returns.
            reply = kernel.recv(4096, socket.MSG_DONTWAIT)
    except OSError:
        # A service may be forbidden to ask; what is certain is still known.
        return ip.is_loopback
    kind = _HEADER.unpack_from(reply)[1]
    return bool(kind == _RTM_NEWROUTE and reply[_TYPE_OFFSET] == _RTN_LOCAL)


class OwnPlaces:
    """The addresses and ports of our listeners."""

    def __init__(
        self,
        places: Iterable[tuple[str, int]],
        clock: Clock,
        is_local: Callable[[str], bool] = is_local,
    ) -> None:
        """``places``: IP address and port; ``0.0.0.0`` and ``::`` are all of this machine's."""
        self._exact: set[tuple[str, int]] = set()
        self._everywhere: set[tuple[int, int]] = set()
        """By version of IP."""
        for text, port in places:
            address = ipaddress.ip_address(text)
            if address.is_unspecified:
                self._everywhere.add((address.version, port))
            else:
                self._exact.add((str(address), port))
        self.ports = frozenset(port for _, port in (*self._exact, *self._everywhere))
        self._clock = clock
        self._is_local = is_local
        self._known: dict[str, tuple[bool, float]] = {}

    def have(self, address: str, port: int) -> bool:
        """Whether to connect to this IP address would lead back to us."""
        ip = ip_of(address)
        if ip is None:
            return False
        if ip.is_unspecified:
            # To connect there is to connect to this machine.
            ip = _LOOPBACK[ip.version]
        if (str(ip), port) in self._exact:
            return True
        return (ip.version, port) in self._everywhere and self._is_ours(str(ip))

    def _is_ours(self, ip: str) -> bool:
        now = self._clock.seconds()
        known = self._known.get(ip)
        if known is None or known[1] <= now:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            known = self._known[ip] = (self._is_local(ip), now + MEMORY_SECONDS)
        return known[0]
