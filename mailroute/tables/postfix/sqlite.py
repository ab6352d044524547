"""SQLite as Postfix asks it: the first column of each row."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.deadline import Reactor
from mailroute.tables.postfix.failover import QueryRefused, Row, Values
from mailroute.tables.postfix.literals import Query
from mailroute.tables.sql_table import CHECK_SECONDS, one_line
from mailroute.tables.sqlite_changes import SqliteChanges
from mailroute.tables.sqlite_file import MAX_THREADS, SqliteFile, end_in_time, refuses


class SqliteServer:
    """A database file; a missing one is never made."""

    rank = 0

    def __init__(self, path: str, query: Query, busy_seconds: float, reactor: Reactor) -> None:
        self.place = path
        self._query = query
        self._file = SqliteFile(path)
        self._pool = BlockingPool(self._file.driver(busy_seconds), MAX_THREADS, reactor)
        self._changes = SqliteChanges(self._pool, reactor)

    def watch(self, changed: Callable[[], None]) -> None:
        """See StringTable."""
        self._changes.watch(changed)

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Return the first column of every row.  Raises LookupFailed."""
        sql = self._query.statement.sql

        def job(connection: sqlite3.Connection, deadline: float) -> Sequence[Row]:
            end_in_time(connection, deadline)
            # Text as it is in the file: whether it is UTF-8 is found out later.
            connection.text_factory = bytes
            try:
                cursor = connection.execute(sql, values)
                return [(_text(connection, row[0]),) for row in cursor.fetchall()]
            except sqlite3.Error as error:
                if refuses(error):
                    raise QueryRefused(one_line(error)) from None
                raise

        try:
            return await self._pool.run(job, until)
        except (sqlite3.Error, UnicodeError) as error:
            raise LookupFailed(one_line(error)) from None

    def check(self) -> str | None:
        """Try the query, blocking.  Raises ConfigurationError where it cannot work."""
        try:
            connection = sqlite3.connect(**self._file.arguments(CHECK_SECONDS))
        except sqlite3.Error as error:
            raise ConfigurationError([f"dbpath: {self.place}: {one_line(error)}"]) from None
        try:
            values = ("",) * len(self._query.parameters)
            connection.execute(f"EXPLAIN {self._query.statement.sql}", values).fetchone()
        except sqlite3.Error as error:
            if getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_BUSY:
                return one_line(error)
            raise ConfigurationError([f"query: {one_line(error)}"]) from None
        finally:
            connection.close()
        return None

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()
        self._changes.start()

    async def close(self) -> None:
        """End the threads."""
        self._changes.stop()
        await self._pool.close()


def _text(connection: sqlite3.Connection, value: object) -> bytes | None:
    if value is None or isinstance(value, bytes):
        return value
    # Only SQLite itself writes a number as SQLite does.
    row = connection.execute("SELECT CAST(? AS TEXT)", (value,)).fetchone()
    return bytes(row[0])
