"""Addresses of database servers, asked of the reactor's resolver: libpq's own would block."""

from __future__ import annotations

from twisted.internet.abstract import isIPAddress, isIPv6Address

from mailroute.errors import LookupFailed
from mailroute.names import Names
from mailroute.tables.deadline import Reactor, in_time


class Resolver:
    """Resolves names in bounded time."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._names = Names(reactor)

    async def addresses(self, name: str, until: float) -> tuple[str, ...]:
        """Return the addresses of ``name``; itself if it is one.

        Raises LookupFailed when there is none in time.
        """
        if isIPAddress(name) or isIPv6Address(name):
            return (name,)
        try:
            found = await in_time(self._names.addresses(name), until, self._reactor)
        except TimeoutError:
            raise LookupFailed(f"the name {name} was not resolved in time") from None
        if not found:
            raise LookupFailed(f"the name {name} has no address")
        return found


def is_socket_folder(host: str) -> bool:
    """Whether libpq takes this host for the folder of a Unix socket (or its own default)."""
    return not host or host.startswith(("/", "@"))
