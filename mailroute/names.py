"""Host names, asked of the reactor's resolver: each once at a time, however many wait.

The resolver has a few threads for all names together.  If each login asked anew, one name whose
server does not answer would soon hold them all, and no other name could be resolved.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IResolutionReceiver
from zope.interface import implementer

LOST_SECONDS = 30.0
"""A question that is not answered by then is put again."""


class Reactor(Protocol):
    """The part of a reactor that resolves names and knows the time."""

    nameResolver: Any

    def seconds(self) -> float:
        """The time now."""


class Names:
    """What is being asked for at this moment."""

    def __init__(self, reactor: Reactor) -> None:
        self._reactor = reactor
        self._questions: dict[str, _Question] = {}

    def addresses(self, name: str) -> Deferred[tuple[str, ...]]:
        """The IP addresses of a name in the resolver's order; none where it has none.

        Whoever no longer waits cancels it; the question goes on for the others.
        """
        now = self._reactor.seconds()
        question = self._questions.get(name)
        # Twisted completes only what is answered or has failed for its name: what has failed for
        # want of a descriptor goes on for ever.
        is_new = question is None or now - question.put_at >= LOST_SECONDS
        if question is None or is_new:
            question = self._questions[name] = _Question(name, now, self._answered)
        answer = question.answer()
        if is_new:
            self._reactor.nameResolver.resolveHostName(question, name)
        return answer

    def _answered(self, question: _Question) -> None:
        if self._questions.get(question.name) is question:
            del self._questions[question.name]


@implementer(IResolutionReceiver)
class _Question:
    """Gathers the addresses of one resolution, for everybody who waits for them."""

    def __init__(
        self, name: str, put_at: float, when_answered: Callable[[_Question], None]
    ) -> None:
        self.name = name
        self.put_at = put_at
        self._when_answered = when_answered
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
        self._when_answered(self)
        while self._waiting:
            self._waiting.pop(0).callback(tuple(self._found))
