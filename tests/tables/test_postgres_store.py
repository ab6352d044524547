"""How a store connects to PostgreSQL; its answers are tested in tests.integration."""

from __future__ import annotations

from typing import Any

import psycopg2
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postgres_store import PostgresStore
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import PostgresTarget, parse_url
from tests.tables.idle_reactor import IdleReactor


class CheckTests(SynchronousTestCase):
    """The check before the reactor runs."""

    def test_away(self) -> None:
        """A server that is away is no complaint; all hosts are tried."""
        seen: dict[str, Any] = {}

        def connect(**arguments: Any) -> None:
            seen.update(arguments)
            raise psycopg2.OperationalError("nobody there")

        self.patch(psycopg2, "connect", connect)
        target = parse_url("postgres://u:p@a,b:5433/d")
        assert isinstance(target, PostgresTarget)
        store = PostgresStore(target, StoreSettings(), IdleReactor())
        self.assertIn("nobody there", store.check({}, {}) or "")
        self.assertEqual((seen["host"], seen["port"]), ("a,b", ",5433"))
