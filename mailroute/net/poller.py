"""Watches the connections: an epoll of our own inside the reactor's.

The reactor sees one descriptor, the epoll itself, and calls us when any connection is ready.
That spares each event the reactor's log context and each connection its calls to change what
is watched: a connection is registered once, edge-triggered, for reading and writing.

An edge comes once, so whoever is not finished with it says so (``again``) and is called in the
next round, after all others: a large transfer delays nobody.  Handshakes cost a hundred times
what other events do, so only a few are done between two looks at the rest.
"""

from __future__ import annotations

import select
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure as Caught
from zope.interface import implementer

READABLE = select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP
WRITABLE = select.EPOLLOUT
ENDED = select.EPOLLHUP | select.EPOLLERR | select.EPOLLRDHUP

_WATCHED = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
_ROUNDS_A_TURN = 4
_EVENTS_A_ROUND = 256
_HANDSHAKES_A_ROUND = 4

_log = Logger(namespace="mailroute.net")


@runtime_checkable
class Watched(Protocol):
    """A connection, as the poller sees it."""

    def ready(self, mask: int) -> None:
        """Something happened: a mask of READABLE, WRITABLE and ENDED."""

    def defect(self) -> None:
        """``ready``, or what was postponed, raised: the connection cannot be served on."""


@implementer(IReadDescriptor)
class Poller:
    """The connections of one process."""

    def __init__(self, reactor: Any) -> None:
        """Nothing is opened yet: a process may still fork to become a daemon."""
        self._reactor = reactor
        self._epoll: select.epoll
        self._watched: list[Watched | None] = []
        """By descriptor: the kernel gives the lowest free number, so few places are empty."""
        self._again: deque[Callable[[], None]] = deque()
        self._slow: deque[Callable[[], None]] = deque()
        self._is_woken = False

    def start(self) -> None:
        """Begin to watch."""
        self._epoll = select.epoll()
        self._reactor.addReader(self)

    def watch(self, descriptor: int, watched: Watched) -> None:
        """Watch this descriptor until it is closed or forgotten."""
        missing = descriptor + 1 - len(self._watched)
        if missing > 0:
            self._watched += [None] * missing
        self._watched[descriptor] = watched
        self._epoll.register(descriptor, _WATCHED)

    @property
    def watched(self) -> list[Watched]:
        """What is watched at this moment."""
        return [each for each in self._watched if each is not None]

    def replace(self, descriptor: int, watched: Watched) -> None:
        """The descriptor is watched already; its events are for another from now on."""
        self._watched[descriptor] = watched

    def forget(self, descriptor: int) -> None:
        """The descriptor is about to be closed, which ends its registration."""
        self._watched[descriptor] = None

    def leave(self, descriptor: int) -> None:
        """Watch this one no more: others hold it open, so closing ours would not end that."""
        self._watched[descriptor] = None
        self._epoll.unregister(descriptor)

    def again(self, call: Callable[[], None]) -> None:
        """Call this in the next round: it was not finished, or must not run now."""
        self._again.append(call)
        self._wake()

    def slowly(self, call: Callable[[], None]) -> None:
        """Call this when it is its turn among the expensive ones."""
        self._slow.append(call)
        self._wake()

    def close(self) -> None:
        """End what is left, and watch nothing any more."""
        for each in self.watched:
            each.defect()
        self._run(self._again, len(self._again))
        self._reactor.removeReader(self)
        self._epoll.close()

    # -- the reactor's side --------------------------------------------------------------

    def fileno(self) -> int:
        """The epoll's own descriptor, which is readable while a connection is ready."""
        return -1 if self._epoll.closed else self._epoll.fileno()

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "poller"

    def connectionLost(self, reason: Caught) -> None:
        """The reactor is being stopped."""

    def doRead(self) -> None:
        """A few rounds, as long as there is something to do: a turn of the reactor costs more."""
        for _ in range(_ROUNDS_A_TURN):
            # Whoever is called may be the one who closes.
            if self._epoll.closed or not self._round():
                break
        if self._again or self._slow:
            self._wake()

    def _round(self) -> bool:
        """What is ready, what is left from the last round, a few handshakes."""
        left = len(self._again)
        watched = self._watched
        events = self._epoll.poll(0, _EVENTS_A_ROUND)
        for descriptor, mask in events:
            each = watched[descriptor]
            if each is None:
                continue
            try:
                each.ready(mask)
            except Exception:
                _log.failure("a connection is closed for a defect")
                each.defect()
        self._run(self._again, left)
        self._run(self._slow, min(_HANDSHAKES_A_ROUND, len(self._slow)))
        return bool(events or self._again or self._slow)

    def _run(self, calls: deque[Callable[[], None]], count: int) -> None:
        for _ in range(count):
            if not calls:
                return
            call = calls.popleft()
            try:
                call()
            except Exception:
                _log.failure("a connection is closed for a defect")
                _end_owner(call)

    def _wake(self) -> None:
        if not self._is_woken:
            self._is_woken = True
            self._reactor.callLater(0, self._woken)

    def _woken(self) -> None:
        self._is_woken = False
        if not self._epoll.closed:
            self.doRead()


def _end_owner(call: Callable[[], None]) -> None:
    """End the connection whose method failed.

    Left open it would go on behind what has failed, and that may have been a verification.
    """
    owner = getattr(call, "__self__", None)
    if isinstance(owner, Watched):
        owner.defect()
