"""Lookups in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.deadline import Reactor
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_table import (
    CHECK_SECONDS,
    FirstRow,
    SqlSettings,
    SqlTable,
    bad_query,
    one_line,
    unreachable,
)
from mailroute.tables.sql_url import SqliteTarget
from mailroute.tables.sqlite_changes import SqliteChanges
from mailroute.tables.sqlite_file import MAX_THREADS, SqliteFile, end_in_time, refuses


class SqliteTable(SqlTable):
    """A table in an SQLite file."""

    dialect = Dialect.SQLITE

    def __init__(self, target: SqliteTarget, settings: SqlSettings, reactor: Reactor) -> None:
        """Raises ConfigurationError for a query or a template that cannot be read."""
        super().__init__(settings, reactor)
        self._file = SqliteFile(target.path)
        driver = self._file.driver(settings.lookup_timeout)
        self._pool = BlockingPool(driver, min(MAX_THREADS, settings.pool_size), reactor)
        self._changes = SqliteChanges(self._pool, reactor)

    def watch(self, changed: Callable[[], None]) -> None:
        """See SqlTable."""
        self._changes.watch(changed)

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()
        self._changes.start()

    async def close(self) -> None:
        """End the threads."""
        self._changes.stop()
        await self._pool.close()

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        def job(connection: sqlite3.Connection, deadline: float) -> FirstRow | None:
            end_in_time(connection, deadline)
            return _first_row(connection.execute(self.statement.sql, parameters))

        try:
            return await self._pool.run(job, until)
        except (sqlite3.Error, UnicodeError) as error:
            raise LookupFailed(f"SQLite file {self._file.path}: {one_line(error)}") from error

    def _check(self) -> str | None:
        try:
            connection = sqlite3.connect(**self._file.arguments(CHECK_SECONDS))
        except sqlite3.Error as error:
            return unreachable(error)
        try:
            values = ("",) * len(self.statement.names)
            connection.execute(f"EXPLAIN {self.statement.sql}", values).fetchone()
        except sqlite3.Error as error:
            if refuses(error):
                raise ConfigurationError([bad_query(error)]) from None
            return unreachable(error)
        finally:
            connection.close()
        return None


def _first_row(cursor: sqlite3.Cursor) -> FirstRow | None:
    try:
        values = cursor.fetchone()
        if cursor.description is None:
            raise LookupFailed("the query returns no columns: it has to be a SELECT")
        names = [column[0] for column in cursor.description]
        return None if values is None else FirstRow(names, values)
    finally:
        # An unfinished statement would keep its read transaction open.
        cursor.close()
