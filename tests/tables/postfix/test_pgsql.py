"""PostgreSQL's side: what the parameters mean to libpq."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.hosts import Host, Way
from mailroute.tables.postfix.literals import make_query
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.postfix.pgsql import PgsqlServer
from mailroute.tables.postfix.template import parse_template
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_url import PostgresHost

ACCESS = {"dbname": "d", "user": "u", "password": "hunter2"}


class TargetTests(SynchronousTestCase):
    """Hosts and libpq's parameters; the real engine is tested elsewhere."""

    def server(self, host: Host, **values: str) -> PgsqlServer:
        """A server."""
        query = make_query(parse_template("SELECT 1"), Dialect.POSTGRESQL)
        parameters = Parameters("pgsql:/x", values, [])
        return PgsqlServer(host, query, parameters, 5.0, Clock())  # type: ignore[arg-type]

    def target(self, host: Host, **values: str) -> tuple[PostgresHost, dict[str, Any]]:
        """The one host and the parameters."""
        server = self.server(host, **values)
        (only,) = server._target.hosts
        return only, server._parameters

    def test_host(self) -> None:
        """Host, port, and the parameters of the login; the encoding is UTF-8."""
        host, parameters = self.target(Host(Way.INET, "h", 5433), **ACCESS)
        self.assertEqual(host, PostgresHost("h", "", "5433"))
        found = [parameters[name] for name in ("dbname", "user", "password", "client_encoding")]
        self.assertEqual(found, ["d", "u", "hunter2", "UTF8"])

    def test_socket(self) -> None:
        """A socket's folder is the host; without a name it is libpq's own."""
        self.assertEqual(self.target(Host(Way.UNIX, "/run/x"), **ACCESS)[0].name, "/run/x")
        self.assertEqual(self.target(Host(Way.UNIX, ""), dbname="d")[0].name, "")

    def test_uri(self) -> None:
        """A URI brings everything; dbname is not needed beside it."""
        host, parameters = self.target(Host(Way.URI, "postgresql://v:pw@h:1/e"))
        self.assertEqual(host, PostgresHost("h", "", "1"))
        self.assertEqual((parameters["user"], parameters["dbname"]), ("v", "e"))

    def test_complaints(self) -> None:
        """A missing dbname and a bad URI are complaints without the password."""
        for host in (Host(Way.INET, "h"), Host(Way.URI, "postgresql://v:hunter2@h/e?x=y")):
            with self.assertRaises(ConfigurationError) as caught:
                self.server(host)
            self.assertIn("pgsql:/x: ", str(caught.exception))
            self.assertNotIn("hunter2", str(caught.exception))

    def test_order(self) -> None:
        """A socket goes before a host, a host before a URI."""
        ranks = [
            self.server(host, **ACCESS).rank
            for host in (Host(Way.UNIX, ""), Host(Way.INET, "h"), Host(Way.URI, "postgres://h/d"))
        ]
        self.assertEqual(ranks, sorted(set(ranks)))
