"""Connections to a server that are kept for the next question: some of them die while they wait."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Generic, Protocol, TypeVar

from mailroute.tables.deadline import Clock
from mailroute.tables.slots import Slots

CLOSE_SECONDS = 2.0
"""How long ``close`` waits for questions that are under way."""


class Kept(Protocol):
    """A connection."""

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked, as far as we have heard."""

    def abort(self) -> None:
        """Close at once; allowed in every state."""


C = TypeVar("C", bound=Kept)
T = TypeVar("T")


class ConnectionGone(Exception):
    """The connection turned out to be dead: a new one may work."""


class KeptConnections(Generic[C]):
    """At most ``size`` connections, one question on each at a time.

    Whoever asks says afterwards, in any case, whether the connection can be kept.
    """

    def __init__(self, size: int, clock: Clock, connect: Callable[[float], Awaitable[C]]) -> None:
        """``connect`` makes a connection within the time, and adds it while it is made."""
        self._connect = connect
        self._clock = clock
        self._slots = Slots(size, clock)
        self._idle: list[C] = []
        self._open: set[C] = set()

    def __len__(self) -> int:
        """How many connections are open or being opened."""
        return sum(connection.is_usable for connection in self._open)

    async def ask(self, question: Callable[[C], Awaitable[T]], until: float) -> T:
        """Put a question; once more, on a new connection, where the first one was dead.

        Raises LookupFailed if no connection becomes free in time, ConnectionGone if a new one
        died as well, and what ``connect`` and the question raise.
        """
        await self._slots.acquire(until)
        try:
            connection = self._unused()
            if connection is not None:
                try:
                    return await question(connection)
                except ConnectionGone:
                    # The server was restarted since: the others are no better.
                    self.forget_idle()
            return await question(await self._connect(until))
        finally:
            self._slots.release()

    def add(self, connection: C) -> None:
        """A connection is being made."""
        self._open.add(connection)

    def keep(self, connection: C) -> None:
        """It may be asked again."""
        self._idle.append(connection)

    def discard(self, connection: C) -> None:
        """It may not."""
        self._open.discard(connection)
        connection.abort()

    def forget_idle(self) -> None:
        """Nor may those that wait."""
        while self._idle:
            self.discard(self._idle.pop())

    async def close(self) -> None:
        """Refuse new questions, close every connection; those in use after CLOSE_SECONDS."""
        self.forget_idle()
        await self._slots.close(self._clock.seconds() + CLOSE_SECONDS)
        for connection in tuple(self._open):
            self.discard(connection)

    def _unused(self) -> C | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            self.discard(connection)
        return None
