"""The store that a target asks for."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.mysql_store import MysqlStore
from mailroute.tables.postgres_store import PostgresStore
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import parse_url
from mailroute.tables.sqlite_store import SqliteStore
from mailroute.tables.stores import make_store
from tests.tables.idle_reactor import IdleReactor


class StoresTests(SynchronousTestCase):
    """Which engine."""

    def test_engines(self) -> None:
        """Each target has its own; nothing is opened for it."""
        for url, kind in {
            "sqlite:///nowhere/at/all": SqliteStore,
            "mysql://nobody@192.0.2.1/d": MysqlStore,
            "postgres://nobody@192.0.2.1/d": PostgresStore,
        }.items():
            store = make_store(parse_url(url), StoreSettings(), IdleReactor())
            self.assertIsInstance(store, kind)
