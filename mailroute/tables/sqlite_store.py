"""Statements put to an SQLite file."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence

from mailroute.errors import LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.deadline import Reactor
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import (
    Answer,
    Question,
    SqlStore,
    Statements,
    StoreSettings,
    refused,
    within,
)
from mailroute.tables.sql_table import CHECK_SECONDS, one_line
from mailroute.tables.sql_url import SqliteTarget
from mailroute.tables.sqlite_changes import SqliteChanges
from mailroute.tables.sqlite_file import MAX_THREADS, SqliteFile, end_in_time, refuses

_NEW_FILE_MODE = 0o640


class SqliteStore(SqlStore):
    """A file, which is made only for statements to begin with, and written only if it may be."""

    dialect = Dialect.SQLITE

    def __init__(self, target: SqliteTarget, settings: StoreSettings, reactor: Reactor) -> None:
        self._file = SqliteFile(target.path, settings.writable)
        self._pool = BlockingPool(
            self._file.driver(settings.lookup_seconds),
            min(MAX_THREADS, settings.pool_size),
            reactor,
        )
        self._changes = SqliteChanges(self._pool, reactor)

    def watch(self, changed: Callable[[], None]) -> None:
        """See SqlStore."""
        self._changes.watch(changed)

    async def run(self, question: Question, until: float) -> Answer:
        """Put a statement.  Raises LookupFailed."""

        def job(connection: sqlite3.Connection, deadline: float) -> Answer:
            end_in_time(connection, deadline)
            return _answer(connection, question)

        try:
            return await self._pool.run(job, until)
        except (sqlite3.Error, UnicodeError) as error:
            raise LookupFailed(f"SQLite file {self._file.path}: {one_line(error)}") from error

    async def run_together(self, questions: Sequence[Question], until: float) -> None:
        """Put the statements in one transaction.  Raises LookupFailed."""

        def job(connection: sqlite3.Connection, deadline: float) -> None:
            end_in_time(connection, deadline)
            # At once, or another writer could come between reading and writing.
            connection.execute("BEGIN IMMEDIATE")
            for question in questions:
                connection.execute(question.statement.sql, question.parameters).fetchall()
            connection.execute("COMMIT")

        try:
            # The pool gives a connection up after an error: what was begun is undone.
            await self._pool.run(job, until)
        except (sqlite3.Error, UnicodeError) as error:
            raise LookupFailed(f"SQLite file {self._file.path}: {one_line(error)}") from error

    async def begin(self, questions: Sequence[Question], until: float) -> None:
        """Make the file if there is none, and put the statements.  Raises LookupFailed."""
        try:
            self._make_file()
        except OSError as error:
            raise LookupFailed(f"SQLite file {self._file.path}: {one_line(error)}") from None
        await super().begin(questions, until)

    def check(self, statements: Statements, first: Statements) -> str | None:
        """Try everything.  Raises ConfigurationError."""
        place = ""
        try:
            if first:
                self._make_file()
            connection = sqlite3.connect(**self._file.arguments(CHECK_SECONDS))
        except (sqlite3.Error, OSError) as error:
            return f"{self._file.path}: {one_line(error)}"
        try:
            for where, statement in first.items():
                place = where
                connection.execute(statement.sql)
            for where, statement in statements.items():
                place = where
                values = ("",) * len(statement.names)
                connection.execute(f"EXPLAIN {statement.sql}", values).fetchone()
        except sqlite3.Error as error:
            if refuses(error):
                raise refused(place, error) from None
            return f"{self._file.path}: {one_line(error)}"
        finally:
            connection.close()
        return None

    def _make_file(self) -> None:
        os.close(os.open(self._file.path, os.O_CREAT | os.O_WRONLY, _NEW_FILE_MODE))

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()
        self._changes.start()

    async def close(self) -> None:
        """End the threads."""
        self._changes.stop()
        await self._pool.close()


def _answer(connection: sqlite3.Connection, question: Question) -> Answer:
    cursor = connection.execute(question.statement.sql, question.parameters)
    try:
        limit = question.rows_limit
        rows = cursor.fetchall() if limit is None else cursor.fetchmany(limit + 1)
        columns = len(cursor.description or ())
        return Answer(within(rows, limit), columns, max(0, cursor.rowcount))
    finally:
        # An unfinished statement would keep its read transaction open.
        cursor.close()
