"""Makes the SQL table that a URL asks for."""

from __future__ import annotations

from mailroute.tables.deadline import Reactor
from mailroute.tables.mysql import MysqlTable
from mailroute.tables.postgres import PostgresTable
from mailroute.tables.sql_table import SqlSettings, SqlTable
from mailroute.tables.sql_url import MysqlTarget, SqliteTarget, parse_url
from mailroute.tables.sqlite import SqliteTable


def make_sql_table(settings: SqlSettings, reactor: Reactor) -> SqlTable:
    """Make the table; nothing is opened yet.

    ``check()`` it before the reactor runs, ``await start()`` it in the process that serves,
    ``await close()`` it at the end.  Raises ConfigurationError.
    """
    target = parse_url(settings.url)
    if isinstance(target, SqliteTarget):
        return SqliteTable(target, settings, reactor)
    if isinstance(target, MysqlTarget):
        return MysqlTable(target, settings, reactor)
    return PostgresTable(target, settings, reactor)
