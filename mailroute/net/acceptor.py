"""Accepts connections in batches and gives each to its factory."""

from __future__ import annotations

import errno
import socket
from typing import Any

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.logger import Logger

from mailroute.net.poller import Poller
from mailroute.net.stream import Stream
from mailroute.net.transport import Clock, DelayedCall

_BATCH = 64
_PASSING = frozenset(
    {
        errno.ECONNABORTED,
        errno.EHOSTDOWN,
        errno.EHOSTUNREACH,
        errno.ENETDOWN,
        errno.ENETUNREACH,
        errno.ENONET,
        errno.ENOPROTOOPT,
        errno.EOPNOTSUPP,
        errno.EPERM,
        errno.EPROTO,
    }
)
"""What accept(2) may report of one client's connection."""
_PAUSE_SECONDS = 0.5

_log = Logger(namespace="mailroute.net")


class Acceptor:
    """One listening socket."""

    def __init__(
        self, poller: Poller, clock: Clock, listening: socket.socket, factory: Any
    ) -> None:
        self._poller = poller
        self._clock = clock
        self._listening = listening
        self._factory = factory
        self._is_open = True
        self._retry: DelayedCall | None = None
        """While there are no descriptors."""
        self._fixed_host = _fixed_host(listening)
        poller.watch(listening.fileno(), self)

    def getHost(self) -> Any:
        """Where it listens."""
        return _address(self._listening.family, self._listening.getsockname())

    def stop(self) -> None:
        """Accept no more."""
        if self._is_open:
            self._is_open = False
            if self._retry is not None:
                self._retry.cancel()
            self._poller.leave(self._listening.fileno())
            self._listening.close()

    def ready(self, mask: int) -> None:
        """Connections wait."""
        if self._retry is None:
            self._accept()

    def defect(self) -> None:
        """A defect in making one connection does not end the listener."""
        self._poller.again(self._accept)

    def _accept(self) -> None:
        for _ in range(_BATCH):
            if not self._is_open:
                return
            try:
                sock, address = self._listening.accept()
            except BlockingIOError:
                return
            except OSError as error:
                self._refused(error)
                return
            sock.setblocking(False)
            self._begin(sock, address)
        self._poller.again(self._accept)

    def _begin(self, sock: socket.socket, address: Any) -> None:
        family = sock.family
        host = self._fixed_host or _address(family, sock.getsockname())
        peer = _address(family, address)
        stream = Stream(self._poller, sock, (peer, host))
        self._poller.watch(sock.fileno(), stream)
        try:
            stream.open(self._factory.buildProtocol(peer))
        except Exception:
            _log.failure("a connection is closed for a defect")
            stream.defect()

    def _try_again(self) -> None:
        self._retry = None
        self._accept()

    def _refused(self, error: OSError) -> None:
        """The kernel gave no connection: without descriptors, say, we wait rather than spin."""
        if error.errno in _PASSING:
            # The client has gone before it was accepted; others may wait behind it.
            self._poller.again(self._accept)
        else:
            _log.error("cannot accept: {error}; trying again in a moment", error=str(error))
            self._retry = self._clock.callLater(_PAUSE_SECONDS, self._try_again)


def _fixed_host(listening: socket.socket) -> Any:
    """Our address, where every connection has the same."""
    name = listening.getsockname()
    is_wildcard = listening.family != socket.AF_UNIX and name[0] in ("0.0.0.0", "::")  # noqa: S104
    return None if is_wildcard else _address(listening.family, name)


def _address(family: int, name: Any) -> Any:
    if family == socket.AF_INET:
        return IPv4Address("TCP", name[0], name[1])
    if family == socket.AF_INET6:
        return IPv6Address("TCP", name[0], name[1])
    return UNIXAddress(name or None)
