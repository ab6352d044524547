"""How libpq is told to connect; lookups are tested in tests.integration."""

from __future__ import annotations

from typing import Any

import psycopg2
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postgres import PostgresTable
from mailroute.tables.sql_table import SqlSettings
from mailroute.tables.sql_url import PostgresTarget, parse_url
from tests.tables.idle_reactor import IdleReactor


class ParametersTests(SynchronousTestCase):
    """The parameters, seen by a function in the place of psycopg2's."""

    def table(self, url: str) -> PostgresTable:
        """A table for a URL."""
        target = parse_url(url)
        assert isinstance(target, PostgresTarget)
        settings = SqlSettings(url, "SELECT $1", lookup_timeout=1.5)
        return PostgresTable(target, settings, IdleReactor())

    def parameters(self, url: str) -> dict[str, Any]:
        """What the check at the start connects with."""
        seen: dict[str, Any] = {}

        def connect(**parameters: Any) -> None:
            seen.update(parameters)
            raise psycopg2.OperationalError("nobody there")

        self.patch(psycopg2, "connect", connect)
        self.assertIn("nobody there", self.table(url).check()[0])
        return seen

    def test_session(self) -> None:
        """Known reading of strings, UTF-8, statements that end; no Kerberos."""
        seen = self.parameters("postgres://u:p@h/d")
        self.assertEqual((seen["host"], seen["dbname"], seen["user"]), ("h", "d", "u"))
        self.assertEqual(seen["client_encoding"], "UTF8")
        self.assertEqual(seen["gssencmode"], "disable")
        options = "-c standard_conforming_strings=on -c statement_timeout=1500"
        self.assertEqual(seen["options"], options)
        for name in ("keepalives_idle", "tcp_user_timeout", "connect_timeout"):
            self.assertTrue(seen[name])
        self.assertFalse({"hostaddr", "port"} & set(seen))

    def test_own_parameters(self) -> None:
        """The URL's parameters count, but ours come last among the options."""
        url = "postgres://h/d?keepalives_idle=5&options=-c%20standard_conforming_strings%3Doff"
        seen = self.parameters(url)
        self.assertEqual(seen["keepalives_idle"], "5")
        self.assertTrue(seen["options"].startswith("-c standard_conforming_strings=off -c"))
        self.assertIn("-c standard_conforming_strings=on", seen["options"])

    def test_several_hosts(self) -> None:
        """libpq gets all of them, with their ports."""
        seen = self.parameters("postgres://a:1,b/d")
        self.assertEqual((seen["host"], seen["port"]), ("a,b", "1,"))
