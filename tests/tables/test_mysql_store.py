"""How a store connects to MySQL; its answers are tested in tests.integration."""

from __future__ import annotations

from typing import Any

import pymysql
from pymysql.constants import CLIENT
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.mysql_store import MysqlStore
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import MysqlTarget, parse_url
from tests.tables.idle_reactor import IdleReactor


class CheckTests(SynchronousTestCase):
    """The check before the reactor runs."""

    def test_away(self) -> None:
        """A server that is away is no complaint; rows that are found count as affected."""
        seen: dict[str, Any] = {}

        def connect(**arguments: Any) -> None:
            seen.update(arguments)
            raise pymysql.OperationalError(2003, "nobody there")

        self.patch(pymysql, "connect", connect)
        target = parse_url("mysql://u:p@192.0.2.1/d")
        assert isinstance(target, MysqlTarget)
        store = MysqlStore(target, StoreSettings(), IdleReactor())
        self.assertIn("nobody there", store.check({}, {}) or "")
        self.assertTrue(seen["client_flag"] & CLIENT.FOUND_ROWS)
        self.assertTrue(seen["autocommit"])

    def test_no_mysql(self) -> None:
        """What answers but is no MySQL is a server that is away, whatever PyMySQL makes of it."""

        def connect(**_: Any) -> None:
            raise IndexError("index out of range")

        async def run(*_: object) -> None:
            raise IndexError("index out of range")

        self.patch(pymysql, "connect", connect)
        target = parse_url("mysql://u:p@192.0.2.1/d")
        assert isinstance(target, MysqlTarget)
        store = MysqlStore(target, StoreSettings(), IdleReactor())
        self.assertIn("none of MySQL's", store.check({}, {}) or "")
        self.patch(store._pool, "run", run)
        together = Deferred.fromCoroutine(store.run_together([], 0.0))
        self.assertIn("none of MySQL's", self.failureResultOf(together, LookupFailed).value.reason)
