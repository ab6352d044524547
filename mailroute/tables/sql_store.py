"""A database that statements are put to, several of them, also ones that write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.placeholders import Statement, Vocabulary, translate
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_table import one_line

KEY_AND_VALUE = Vocabulary(frozenset({"key", "value"}), ("key", "value"))
KEY_ALONE = Vocabulary(frozenset({"key"}), ("key",))
NOTHING = Vocabulary(frozenset(), ())

Statements = Mapping[str, Statement]
"""By their place in the configuration."""

_QUERY_PLACE = "mapping.sql.query"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """How a database is used; ``lookup_seconds`` is for one statement."""

    pool_size: int = 16
    lookup_seconds: float = 5.0
    writable: bool = False
    """Whether anything but lookups is put to it."""


@dataclass(frozen=True, slots=True)
class Question:
    """A statement with its values."""

    statement: Statement
    values: Mapping[str, str] = field(default_factory=dict)
    rows_limit: int | None = None
    """More rows than this are a failure; None: there may be any number."""

    @property
    def parameters(self) -> tuple[str, ...]:
        """The driver's parameters."""
        return self.statement.bound(self.values)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a statement returned."""

    rows: Sequence[Sequence[object]]
    """The driver's values."""
    columns: int
    """How many columns a row has; 0: the statement returns no rows."""
    affected: int
    """How many rows a statement that writes has found."""


class SqlStore:
    """A database.  The engines say how it is asked."""

    dialect: Dialect

    async def run(self, question: Question, until: float) -> Answer:
        """Put a statement.  Raises LookupFailed, at ``until`` of the reactor at the latest."""
        raise NotImplementedError

    async def run_together(self, questions: Sequence[Question], until: float) -> None:
        """Put statements that write in one transaction: all of them count, or none.

        Raises LookupFailed.
        """
        raise NotImplementedError

    async def begin(self, questions: Sequence[Question], until: float) -> None:
        """Put the statements to begin with, one after the other.  Raises LookupFailed."""
        for question in questions:
            await self.run(question, until)

    def check(self, statements: Statements, first: Statements) -> str | None:
        """Carry out ``first`` and have the others read, blocking, before the reactor runs.

        Returns why the database cannot
        be asked now, or None.  Raises ConfigurationError where it refuses one.
        """
        raise NotImplementedError

    def watch(self, changed: Callable[[], None]) -> None:
        """Call this from ``start`` on when answers may be others than before.

        For whoever remembers them.  Most engines cannot tell.
        """

    async def start(self) -> None:
        """Begin to serve."""

    async def close(self) -> None:
        """End connections and threads, in bounded time."""


def read_statement(
    text: str, place: str, dialect: Dialect, vocabulary: Vocabulary = KEY_ALONE
) -> Statement:
    """Find the placeholders.  Raises ConfigurationError that names ``place``."""
    try:
        return translate(text, dialect, vocabulary)
    except ConfigurationError as error:
        words = [complaint.replace(_QUERY_PLACE, place, 1) for complaint in error.complaints]
        raise ConfigurationError(words) from None


def refused(place: str, error: BaseException) -> ConfigurationError:
    """Word a complaint about a statement that the database refuses."""
    return ConfigurationError([f"{place}: the database refuses it: {one_line(error)}"])


def within(rows: Sequence[Sequence[object]], limit: int | None) -> Sequence[Sequence[object]]:
    """Return the rows.  Raises LookupFailed if they are more than the limit."""
    if limit is not None and len(rows) > limit:
        raise LookupFailed(f"the query returns more than {limit} rows")
    return rows
