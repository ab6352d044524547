"""Dials backends: an address at once, a name after it was resolved, when the connection is made.

The addresses of a name are tried in the resolver's order, IPv6 and IPv4 alike.  One that does
not answer soon does not use up the time of the next (RFC 8305 section 5, without racing).
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any, TypeVar, cast

from twisted.internet.defer import Deferred, TimeoutError

from mailroute.errors import Failure, FailureKind
from mailroute.names import Names
from mailroute.net.own_places import OwnPlaces
from mailroute.net.poller import Poller
from mailroute.net.stream import Stream
from mailroute.net.tls import is_address
from mailroute.net.transport import Clock, DelayedCall

P = TypeVar("P")
PATIENCE_SECONDS = 2.0
"""For one of several addresses of a name."""

# Linux's in.h: the port is chosen with the connection, so that one address of ours has as many
# ports for each backend as there are, and not for all of them together.
_IP_BIND_ADDRESS_NO_PORT = 24


class Dialer:
    """Makes TCP connections."""

    def __init__(
        self, reactor: Any, clock: Clock, poller: Poller, own: OwnPlaces | None = None
    ) -> None:
        """``reactor`` resolves names; ``clock`` may be a coarse one; ``own``: where not to go."""
        self._names = Names(reactor)
        self._clock = clock
        self._poller = poller
        self._own = own
        self._own_ports = own.ports if own is not None else frozenset()
        self._turns: dict[tuple[tuple[str, ...], bool], Iterator[str]] = {}
        """Addresses of ours and whether they are to be IPv6, to those in their turn."""

    async def dial(
        self,
        host: str,
        port: int,
        make: Callable[[], P],
        seconds: float,
        sources: tuple[str, ...] = (),
    ) -> P:
        """Connect, then make the protocol; raises Failure (BACKEND_UNREACHABLE) in time.

        ``sources``: the IP addresses of ours to connect from, those of the backend's family in
        turn; where there is none of its family the kernel chooses.
        """
        until = self._clock.seconds() + seconds
        addresses = (host,) if is_address(host) else await self._resolve(host, port, seconds)
        for number, address in enumerate(addresses):
            left = until - self._clock.seconds()
            is_last = number == len(addresses) - 1
            patience = left if is_last else min(left, PATIENCE_SECONDS)
            try:
                source = self._source(sources, ":" in address) if sources else None
                attempt = await self._connect(address, port, patience, source)
            except Failure:
                if is_last:
                    raise
            else:
                return self._begin(attempt, make)
        reason = f"{host}:{port}: the name does not resolve"
        raise Failure(FailureKind.BACKEND_UNREACHABLE, reason)

    def _begin(self, attempt: Attempt, make: Callable[[], P]) -> P:
        try:
            protocol = make()
        except BaseException:
            attempt.give_up()
            raise
        attempt.open(protocol)
        return protocol

    def _source(self, sources: tuple[str, ...], is_v6: bool) -> str | None:
        """The address of this family whose turn it is."""
        turn = self._turns.get((sources, is_v6))
        if turn is None:
            turn = cycle([source for source in sources if (":" in source) == is_v6])
            self._turns[sources, is_v6] = turn
        return next(turn, None)

    async def _connect(
        self, address: str, port: int, seconds: float, source: str | None
    ) -> Attempt:
        if port in self._own_ports and self._own is not None and self._own.have(address, port):
            reason = f"{_shown(address, port)}: this is a listener of ours: it would be a loop"
            raise Failure(FailureKind.DESTINATION_UNKNOWN, reason)
        attempt = Attempt(self._poller, address, port, source)
        if attempt.waiting is not None:
            attempt.bound(self._clock, max(seconds, 0))
            try:
                await attempt.waiting
            except BaseException:
                attempt.give_up()
                raise
        return attempt

    async def _resolve(self, host: str, port: int, seconds: float) -> tuple[str, ...]:
        where = f"{host}:{port}"
        try:
            host.encode("idna")
        except UnicodeError:
            # The resolver would fail in a thread of its own, and never say so.
            reason = f"{where}: this is no host name"
            raise Failure(FailureKind.BACKEND_UNREACHABLE, reason) from None
        asked = self._names.addresses(host)
        try:
            return await asked.addTimeout(seconds, cast(Any, self._clock))
        except TimeoutError:
            reason = f"{where}: the name was not resolved within {seconds:.1f} s"
            raise Failure(FailureKind.BACKEND_UNREACHABLE, reason) from None


class Attempt:
    """One connection attempt, as the poller sees it."""

    def __init__(self, poller: Poller, address: str, port: int, source: str | None = None) -> None:
        """Begin to connect; ``waiting`` is None where the connection stands at once.

        ``source``: the address of ours to connect from.  Raises Failure.
        """
        self._poller = poller
        self.where = _shown(address, port)
        self.waiting: Deferred[None] | None = None
        self._timer: DelayedCall | None = None
        self._is_watched = False
        self._sock: socket.socket | None = None
        try:
            self._sock = _new_socket(":" in address)
            if source is not None:
                self._leave_from(self._sock, source)
            code = self._sock.connect_ex((address, port))
        except OSError as error:
            # No IPv6 here, no such interface, no descriptor left: nothing to connect with.
            self.give_up()
            reason = f"{self.where}: {error.strerror}"
            raise Failure(FailureKind.BACKEND_UNREACHABLE, reason) from None
        if code == errno.EINPROGRESS:
            self.waiting = Deferred()
            self._is_watched = True
            poller.watch(self._sock.fileno(), self)
        elif code:
            self.give_up()
            raise self._failure(code)

    def _leave_from(self, sock: socket.socket, source: str) -> None:
        try:
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
        except OSError as error:
            self.give_up()
            words = f"{self.where}: cannot connect from {source}: {error.strerror}"
            reason = f"{words}; source_ips are addresses of this machine"
            raise Failure(FailureKind.BACKEND_UNREACHABLE, reason) from None

    def bound(self, clock: Clock, seconds: float) -> None:
        """Fail when it has not ended after so many seconds."""
        self._timer = clock.callLater(seconds, self._expire, seconds)

    def _expire(self, seconds: float) -> None:
        self._timer = None
        waiting, self.waiting = self.waiting, None
        self.give_up()
        if waiting is not None:
            reason = f"{self.where}: no connection within {seconds:.1f} s"
            waiting.errback(Failure(FailureKind.BACKEND_UNREACHABLE, reason))

    def ready(self, mask: int) -> None:
        """The attempt has ended, one way or the other."""
        waiting, self.waiting = self.waiting, None
        if waiting is None or self._sock is None:
            return
        self._stop_timer()
        code = self._sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            self.give_up()
            waiting.errback(self._failure(code))
        else:
            waiting.callback(None)

    def defect(self) -> None:
        """A defect of ours."""
        self.give_up()

    def open(self, protocol: Any) -> None:
        """The connection stands: hand it to its protocol."""
        sock, self._sock = self._sock, None
        if sock is None:
            raise Failure(FailureKind.BACKEND_UNREACHABLE, f"{self.where}: connection lost")
        stream = Stream(self._poller, sock, (None, None))
        if self._is_watched:
            # The greeting may have come with the edge that told of the connection.
            self._poller.replace(sock.fileno(), stream)
            stream.is_readable = True
        else:
            self._poller.watch(sock.fileno(), stream)
        stream.open(protocol)
        stream.resumeProducing()

    def give_up(self) -> None:
        """Close; nobody wants the connection any more."""
        self._stop_timer()
        sock, self._sock = self._sock, None
        if sock is not None:
            if self._is_watched:
                self._poller.forget(sock.fileno())
            sock.close()

    def _stop_timer(self) -> None:
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _failure(self, code: int) -> Failure:
        return Failure(FailureKind.BACKEND_UNREACHABLE, f"{self.where}: {os.strerror(code)}")


def _shown(address: str, port: int) -> str:
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _new_socket(is_v6: bool) -> socket.socket:
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    # Before a handshake: else its last small write waits for an acknowledgement.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    return sock
