"""Makes the store of the engine that a target names."""

from __future__ import annotations

from mailroute.tables.deadline import Reactor
from mailroute.tables.mysql_store import MysqlStore
from mailroute.tables.postgres_store import PostgresStore
from mailroute.tables.sql_store import SqlStore, StoreSettings
from mailroute.tables.sql_url import MysqlTarget, SqliteTarget, Target
from mailroute.tables.sqlite_store import SqliteStore


def make_store(target: Target, settings: StoreSettings, reactor: Reactor) -> SqlStore:
    """Make the store; nothing is opened yet.  Raises ConfigurationError."""
    if isinstance(target, SqliteTarget):
        return SqliteStore(target, settings, reactor)
    if isinstance(target, MysqlTarget):
        return MysqlStore(target, settings, reactor)
    return PostgresStore(target, settings, reactor)
