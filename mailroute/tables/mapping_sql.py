"""The statements of ``[mapping.sql]`` that change and list the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Clock
from mailroute.tables.placeholders import Statement
from mailroute.tables.rows import text_of
from mailroute.tables.sql_query import LIST_SECONDS, WRITE_AT_ONCE, WRITE_SECONDS
from mailroute.tables.sql_store import (
    KEY_ALONE,
    KEY_AND_VALUE,
    NOTHING,
    Answer,
    Question,
    SqlStore,
    read_statement,
)
from mailroute.tables.string_table import Changes, Entry, ReadOnly, StringTable, Values

PLACE = "mapping.sql"


@dataclass(frozen=True, slots=True)
class MappingStatements:
    """The statements as they are written; None: the mapping cannot do it."""

    upsert: str | None = None
    delete: str | None = None
    list: str | None = None


class SqlMappingEntries(StringTable):
    """Changes rows of the mapping.  Looking up is not its business: the mapping's query does."""

    kind = "mapping"
    batch_size = WRITE_AT_ONCE

    def __init__(
        self, statements: MappingStatements, store: SqlStore, clock: Clock, seconds: float
    ) -> None:
        """One statement may take ``seconds``.  Raises ConfigurationError with every complaint."""
        self._store = store
        self._clock = clock
        self._seconds = seconds
        self._statements: dict[str, Statement] = {}
        complaints: list[str] = []
        for name, text, vocabulary in (
            ("upsert_query", statements.upsert, KEY_AND_VALUE),
            ("delete_query", statements.delete, KEY_ALONE),
            ("list_query", statements.list, NOTHING),
        ):
            if text is None:
                continue
            place = f"{PLACE}.{name}"
            try:
                self._statements[name] = read_statement(text, place, store.dialect, vocabulary)
            except ConfigurationError as error:
                complaints += error.complaints
        if complaints:
            raise ConfigurationError(complaints)

    async def set(self, key: str, values: Values) -> None:
        """Carry out ``upsert_query``.  Raises ReadOnly, LookupFailed, ValueError."""
        if len(values) != 1:
            raise ValueError("an account has one destination")
        await self._run("upsert_query", {"key": key, "value": values[0]})

    async def write(self, changes: Changes) -> None:
        """Carry out ``upsert_query`` for each entry, in one transaction.  Raises as ``set``."""
        upsert = self._statement("upsert_query")
        questions = [
            Question(upsert, {"key": key, "value": values[0]})
            for key, values in (*changes.new, *changes.changed)
        ]
        if questions:
            await self._store.run_together(questions, self._clock.seconds() + WRITE_SECONDS)

    async def delete(self, key: str) -> bool:
        """Carry out ``delete_query``; tell whether there was a row.  Raises as ``set``."""
        return (await self._run("delete_query", {"key": key})).affected > 0

    async def list(self) -> Sequence[Entry]:
        """Return the first two columns of ``list_query``.  Raises ReadOnly, LookupFailed."""
        answer = await self._run("list_query", {}, LIST_SECONDS)
        if answer.columns < 2:
            raise LookupFailed(f"{PLACE}.list_query has to return identifiers and destinations")
        return [
            (text_of(key), ("" if value is None else text_of(value),))
            for key, value, *_ in answer.rows
        ]

    def check(self) -> Sequence[str]:
        """Have the database read the statements, blocking.  Raises ConfigurationError."""
        named = {f"{PLACE}.{name}": statement for name, statement in self._statements.items()}
        why = self._store.check(named, {})
        return [] if why is None else [f"{PLACE}.url: the database cannot be asked now: {why}"]

    async def start(self) -> None:
        """Begin to serve."""
        await self._store.start()

    async def close(self) -> None:
        """End connections and threads."""
        await self._store.close()

    async def _run(self, name: str, values: dict[str, str], seconds: float | None = None) -> Answer:
        question = Question(self._statement(name), values)
        return await self._store.run(question, self._clock.seconds() + (seconds or self._seconds))

    def _statement(self, name: str) -> Statement:
        if name not in self._statements:
            raise ReadOnly(f"the mapping is read-only in this: {PLACE}.{name} is not configured")
        return self._statements[name]
