"""What the SQL tables share: from a key over the query's parameters to a row."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from twisted.logger import Logger

from mailroute.tables.contract import Key, Row
from mailroute.tables.deadline import Clock
from mailroute.tables.keys import KeyTemplates
from mailroute.tables.placeholders import Statement, translate
from mailroute.tables.rows import RowReader
from mailroute.tables.sql_lexer import Dialect

CHECK_SECONDS = 3
"""How long the check at the start waits for the database."""

NO_PLACEHOLDER = (
    "mapping.sql.query: the query has no placeholder ($1, ?, :key), so that every account gets "
    "the same answer; a placeholder stands outside of quotes"
)

Answer = Callable[[tuple[str, ...], float], Awaitable[Row | None]]
"""Asks with some parameters, until a moment; None: there is no such row.  Raises LookupFailed."""

_MESSAGE_LIMIT = 300
_log = Logger(namespace="mailroute.tables")


@dataclass(frozen=True, slots=True)
class SqlSettings:
    """The settings of ``[mapping.sql]``; ``lookup_timeout`` is in seconds."""

    url: str = field(repr=False)
    query: str
    keys: tuple[str, ...] = ("{user}",)
    pool_size: int = 16
    lookup_timeout: float = 5.0


@dataclass(frozen=True, slots=True)
class FirstRow:
    """The first row of a result: the columns' names and the driver's values."""

    names: Sequence[str]
    values: Sequence[object]


class SqlTable:
    """A table that asks a database.  The engines add how to ask, to start and to end."""

    dialect: Dialect

    def __init__(self, settings: SqlSettings, clock: Clock) -> None:
        """Raises ConfigurationError for a query or a template that cannot be read."""
        self.statement: Statement = translate(settings.query, self.dialect)
        self.varies_on = self.statement.varies_on
        self._keys = KeyTemplates(settings.keys)
        self._lookup_seconds = settings.lookup_timeout
        self._clock = clock
        self._rows = RowReader(lambda text: _log.warn("{text}", text=text))

    async def lookup(self, key: Key) -> Row | None:
        """Try the keys in order.  Raises LookupFailed, within the lookup time-out if need be."""
        return await self.lookup_by(key, self.answer)

    async def lookup_by(self, key: Key, answer: Answer) -> Row | None:
        """The same, each question asked by ``answer``: for whoever tells what is asked."""
        until = self._clock.seconds() + self._lookup_seconds
        for tried in self._keys.expand(key):
            row = await answer(self.statement.parameters(key, tried), until)
            if row is not None:
                return row
        return None

    async def answer(self, parameters: tuple[str, ...], until: float) -> Row | None:
        """Ask the query once, with the driver's parameters, until that moment at most.

        Raises LookupFailed.
        """
        first = await self._ask(parameters, until)
        return None if first is None else self._rows.read(first.names, first.values)

    def check(self) -> Sequence[str]:
        """Try the query, blocking, before the reactor runs.

        Returns warnings: the database is out of reach, or the query asks for nothing.  Raises
        ConfigurationError where the database refuses the query.
        """
        warning = self._check()
        if warning is None and not self.statement.names:
            warning = NO_PLACEHOLDER
        return [] if warning is None else [warning]

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this from ``start`` on when answers may be others than before.

        For whoever remembers them.  Most tables cannot tell.
        """

    async def reload(self) -> None:
        """A database has no files to be read anew."""

    async def start(self) -> None:
        """Begin to serve; a database that is away now may come later."""
        raise NotImplementedError

    async def close(self) -> None:
        """End connections and threads, in bounded time."""
        raise NotImplementedError

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        raise NotImplementedError

    def _check(self) -> str | None:
        raise NotImplementedError


def one_line(error: BaseException) -> str:
    """The driver's message, without line breaks and of bounded length."""
    text = " ".join(str(error).split()) or type(error).__name__
    return text if len(text) <= _MESSAGE_LIMIT else f"{text[:_MESSAGE_LIMIT]}..."


def bad_query(error: BaseException) -> str:
    """Word a complaint about a query that the database refuses."""
    return f"mapping.sql.query: the database refuses the query: {one_line(error)}"


def unreachable(error: BaseException) -> str:
    """Word a warning about a database that cannot be asked now."""
    return (
        f"mapping.sql.url: the database cannot be asked now: {one_line(error)}; "
        "logins fail temporarily until it can"
    )
