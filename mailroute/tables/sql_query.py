"""A table of statements in SQL: one looks up, others list and change."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from twisted.internet.defer import DeferredLock

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Clock
from mailroute.tables.placeholders import Statement
from mailroute.tables.rows import text_of
from mailroute.tables.sql_statements import SqlStatements
from mailroute.tables.sql_store import Answer, Question, SqlStore
from mailroute.tables.string_table import Changes, Entry, ReadOnly, StringTable, Values

VALUES_LIMIT = 1000
"""More values of one key than this are a failure."""

LIST_SECONDS = 60.0
WRITE_SECONDS = 60.0
"""How long many entries may take that are written together."""
WRITE_AT_ONCE = 1000


class SqlQueryTable(StringTable):
    """The column of each row of ``lookup`` is a value.

    Two columns, NULL, and what is neither text nor a number are failures; no row is absence.
    """

    kind = "sql_query"
    batch_size = WRITE_AT_ONCE

    def __init__(
        self, place: str, statements: SqlStatements, store: SqlStore, clock: Clock, seconds: float
    ) -> None:
        """``place`` is the table's in the configuration; a lookup may take ``seconds``.

        Raises ConfigurationError for a statement whose placeholders cannot be read.
        """
        self._place = place
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._statements = statements.read(place, store.dialect)
        self._init = statements.read_init(place, store.dialect)
        self._begun = not self._init
        self._beginning = DeferredLock()

    async def get(self, key: str) -> Values | None:
        """Return the values of the key's rows.  Raises LookupFailed."""
        lookup = self._statements["lookup"]
        answer = await self._run(Question(lookup, {"key": key}, VALUES_LIMIT))
        if not answer.columns:
            raise LookupFailed(f"{self._place}.lookup returns no columns: it has to be a SELECT")
        if answer.rows and answer.columns > 1:
            raise LookupFailed(f"{self._place}.lookup returns {answer.columns} columns, not one")
        return tuple(text_of(row[0]) for row in answer.rows) or None

    async def set(self, key: str, values: Values) -> None:
        """Add the key, or replace its value if ``add`` refuses that.  Needs both statements."""
        add, replace = self._needed("set a key", "add", "set")
        self.admit(key, values)
        given = {"key": key, "value": values[0]}
        try:
            await self._run(Question(add, given))
        except LookupFailed as failed:
            answer = await self._run(Question(replace, given))
            if not answer.affected:
                # Whatever was wrong, it was not that the key is there already.
                raise failed from None

    async def write(self, changes: Changes) -> None:
        """Add what is new and replace what is there, in one transaction.  Needs both statements."""
        add, replace = self._needed("set a key", "add", "set")
        questions = [
            Question(statement, {"key": key, "value": values[0]})
            for statement, entries in ((add, changes.new), (replace, changes.changed))
            for key, values in entries
        ]
        if questions:
            until = self._clock.seconds() + WRITE_SECONDS
            if not self._begun:
                await self._begin(until)
            await self._store.run_together(questions, until)

    async def delete(self, key: str) -> bool:
        """Remove the key; tell whether it was there."""
        (delete,) = self._needed("delete a key", "del")
        return (await self._run(Question(delete, {"key": key}))).affected > 0

    async def list(self) -> Sequence[Entry]:
        """Return the keys; with their values if ``list`` returns a second column."""
        (keys,) = self._needed("list its keys", "list")
        answer = await self._run(Question(keys), LIST_SECONDS)
        if answer.columns not in (1, 2):
            raise LookupFailed(f"{self._place}.list returns {answer.columns} columns, not 1 or 2")
        return [(text_of(key), tuple(map(text_of, rest))) for key, *rest in answer.rows]

    def check(self) -> Sequence[str]:
        """Carry out ``init`` and have the database read the statements, blocking."""
        statements = {f"{self._place}.{name}": s for name, s in self._statements.items()}
        why = self._store.check(statements, self._init)
        if why is None:
            self._begun = True
            return []
        return [f"{self._place}.dsn: the database cannot be asked now: {why}"]

    def watch(self, changed: Callable[[], None]) -> None:
        """See StringTable."""
        self._store.watch(changed)

    async def start(self) -> None:
        """Begin to serve."""
        await self._store.start()

    async def close(self) -> None:
        """End connections and threads."""
        await self._store.close()

    def _needed(self, action: str, *names: str) -> Sequence[Statement]:
        missing = [name for name in names if name not in self._statements]
        if missing:
            keys = " and ".join(f"{self._place}.{name}" for name in missing)
            raise ReadOnly(f"the table is read-only: to {action} it needs {keys}")
        return [self._statements[name] for name in names]

    async def _run(self, question: Question, seconds: float | None = None) -> Answer:
        until = self._clock.seconds() + (seconds or self._seconds)
        if not self._begun:
            await self._begin(until)
        return await self._store.run(question, until)

    async def _begin(self, until: float) -> None:
        """Carry out ``init`` once: where the check could not, the first question does."""
        await self._beginning.acquire()
        try:
            if not self._begun:
                await self._store.begin([Question(s) for s in self._init.values()], until)
                self._begun = True
        finally:
            self._beginning.release()
