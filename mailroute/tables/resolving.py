"""Addresses of database servers, asked of the reactor's resolver: libpq's own would block."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Reactor, in_time


class Resolver:
    """Resolves names, each asked for once at a time.

    So a name server that hangs holds one of the reactor's threads, however many wait.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._waiting: dict[str, list[Deferred[tuple[str, ...]]]] = {}

    async def addresses(self, name: str, until: float) -> tuple[str, ...]:
        """Return the addresses of ``name``; itself if it is one.

        Raises LookupFailed when there is none in time.
        """
        if isIPAddress(name) or isIPv6Address(name):
            return (name,)
        is_new = name not in self._waiting
        waiting = self._waiting.setdefault(name, [])
        answer: Deferred[tuple[str, ...]] = Deferred(waiting.remove)
        waiting.append(answer)
        if is_new:
            receiver = _Receiver(lambda found: self._resolved(name, found))
            self._reactor.nameResolver.resolveHostName(receiver, name)
        try:
            found = await in_time(answer, until, self._reactor)
        except TimeoutError:
            raise LookupFailed(f"the name {name} was not resolved in time") from None
        if not found:
            raise LookupFailed(f"the name {name} has no address")
        return found

    def _resolved(self, name: str, found: tuple[str, ...]) -> None:
        waiting = self._waiting.pop(name)
        while waiting:
            waiting.pop(0).callback(found)


@implementer(IResolutionReceiver)
class _Receiver:
    """Gathers the addresses of one resolution."""

    def __init__(self, done: Callable[[tuple[str, ...]], None]) -> None:
        self._done = done
        self._found: list[str] = []

    def resolutionBegan(self, resolution: object) -> None:
        """Nothing to do: a resolution is not ended early."""

    def addressResolved(self, address: Any) -> None:
        """Note one address, once."""
        if address.host not in self._found:
            self._found.append(address.host)

    def resolutionComplete(self) -> None:
        """Hand them over."""
        self._done(tuple(self._found))


def is_socket_folder(host: str) -> bool:
    """Whether libpq takes this host for the folder of a Unix socket (or its own default)."""
    return not host or host.startswith(("/", "@"))
