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

LOST_SECONDS = 30.0
"""A question that is not answered by then is put again."""


class Resolver:
    """Resolves names, each asked for once at a time.

    So a name server that hangs holds one of the reactor's threads, however many wait.
    """

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._questions: dict[str, _Question] = {}

    async def addresses(self, name: str, until: float) -> tuple[str, ...]:
        """Return the addresses of ``name``; itself if it is one.

        Raises LookupFailed when there is none in time.
        """
        if isIPAddress(name) or isIPv6Address(name):
            return (name,)
        now = self._reactor.seconds()
        question = self._questions.get(name)
        # Twisted completes only what is answered or has failed for its name: what has failed for
        # want of a descriptor goes on for ever.
        is_new = question is None or now - question.put_at >= LOST_SECONDS
        if question is None or is_new:
            question = self._questions[name] = _Question(now, self._forget, name)
        answer = question.answer()
        if is_new:
            self._reactor.nameResolver.resolveHostName(question, name)
        try:
            found = await in_time(answer, until, self._reactor)
        except TimeoutError:
            raise LookupFailed(f"the name {name} was not resolved in time") from None
        if not found:
            raise LookupFailed(f"the name {name} has no address")
        return found

    def _forget(self, name: str, question: _Question) -> None:
        if self._questions.get(name) is question:
            del self._questions[name]


@implementer(IResolutionReceiver)
class _Question:
    """Gathers the addresses of one resolution, for everybody who waits for them."""

    def __init__(self, put_at: float, when_answered: Callable[..., None], name: str) -> None:
        """``put_at``: the reactor's time; ``when_answered`` is called with ``name`` and this."""
        self.put_at = put_at
        self._when_answered = when_answered
        self._name = name
        self._waiting: list[Deferred[tuple[str, ...]]] = []
        self._found: list[str] = []

    def answer(self) -> Deferred[tuple[str, ...]]:
        """Wait for it, as one of many."""
        waiting: Deferred[tuple[str, ...]] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def resolutionBegan(self, resolution: object) -> None:
        """Nothing to do: a resolution is not ended early."""

    def addressResolved(self, address: Any) -> None:
        """Note one address, once."""
        if address.host not in self._found:
            self._found.append(address.host)

    def resolutionComplete(self) -> None:
        """Hand them over."""
        self._when_answered(self._name, self)
        while self._waiting:
            self._waiting.pop(0).callback(tuple(self._found))


def is_socket_folder(host: str) -> bool:
    """Whether libpq takes this host for the folder of a Unix socket (or its own default)."""
    return not host or host.startswith(("/", "@"))
