"""Which of several servers is asked, and which next.

Servers that answered last time go first, Unix sockets before hosts before URIs, in random order
among equals.  One that could not be reached is left alone for the retry interval, as long as
there is another.  A query that a server refuses is put to the next one, but takes nobody out
of service: one odd key must not stop the lookups of all others.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Clock

Row = Sequence[bytes | str | None]
"""The columns of one row, as text."""
Values = tuple[str | int, ...]


class QueryRefused(LookupFailed):
    """The server is there and answers with an error."""


class Server(Protocol):
    """One server."""

    place: str
    rank: int

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Ask.  Raises QueryRefused, and LookupFailed where there is no answer."""

    def check(self) -> str | None:
        """Try the query, blocking; see StringTable."""

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this when answers may be others than before; see StringTable."""

    async def start(self) -> None:
        """Begin to serve."""

    async def close(self) -> None:
        """End connections and threads."""


class Failover:
    """Servers that hold the same data."""

    def __init__(
        self,
        servers: Sequence[Server],
        retry_seconds: float,
        clock: Clock,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._servers = list(servers)
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._chance = chance
        self._answered: set[int] = set()
        self._down_until: dict[int, float] = {}

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Ask one server after the other.  Raises LookupFailed with every reason."""
        order = self._order()
        # A lone server may be a balancer of load: another connection may do.
        attempts = order * 2 if len(self._servers) == 1 else order
        faults: list[str] = []
        for tried, index in enumerate(attempts):
            now = self._clock.seconds()
            if now >= until and faults:
                break
            share = (until - now) / len(set(attempts[tried:]))
            server = self._servers[index]
            try:
                rows = await server.rows(values, now + share)
            except QueryRefused as refused:
                faults.append(f"{server.place}: {refused.reason}")
                if len(self._servers) == 1:
                    break
            except LookupFailed as failed:
                faults.append(f"{server.place}: {failed.reason}")
                self._answered.discard(index)
                self._down_until[index] = self._clock.seconds() + self._retry_seconds
            else:
                self._answered.add(index)
                self._down_until.pop(index, None)
                return rows
        raise LookupFailed("; ".join(dict.fromkeys(faults)))

    def _order(self) -> list[int]:
        now = self._clock.seconds()
        everybody = range(len(self._servers))
        up = [index for index in everybody if self._down_until.get(index, now) <= now]
        return sorted(
            up or everybody,
            key=lambda index: (
                index not in self._answered,
                self._servers[index].rank,
                self._chance(),
            ),
        )

    def watch(self, changed: Callable[[], None]) -> None:
        """Watch every server."""
        for server in self._servers:
            server.watch(changed)

    async def each(self, action: Callable[[Server], Awaitable[None]]) -> None:
        """Do something with every server."""
        for server in self._servers:
            await action(server)

    def check(self) -> list[str]:
        """Try every server; return the warnings.  Raises ConfigurationError."""
        warnings = ((server.place, server.check()) for server in self._servers)
        return [f"{place}: {warning}" for place, warning in warnings if warning]
