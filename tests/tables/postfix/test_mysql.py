"""MySQL's side: what the parameters mean to the driver."""

from __future__ import annotations

import ssl
from typing import Any

import pymysql
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.failover import QueryRefused
from mailroute.tables.postfix.hosts import Host, Way
from mailroute.tables.postfix.literals import make_query
from mailroute.tables.postfix.mysql import SOCKETS, MysqlServer
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.postfix.template import parse_template
from mailroute.tables.sql_lexer import Dialect
from tests.tables.idle_reactor import IdleReactor

ACCESS = {"dbname": "d", "user": "u", "password": "hunter2"}
INET = Host(Way.INET, "h", 3307)


class ArgumentTests(SynchronousTestCase):
    """The arguments of pymysql.connect; the real engine is tested elsewhere."""

    def server(self, host: Host = INET, **values: str) -> MysqlServer:
        """A host."""
        query = make_query(parse_template("SELECT 1"), Dialect.MYSQL)
        parameters = Parameters("mysql:/x", {**ACCESS, **values}, [])
        return MysqlServer(host, query, parameters, 5.0, IdleReactor())

    def arguments(self, host: Host = INET, **values: str) -> dict[str, Any]:
        """The arguments for a host."""
        return self.server(host, **values)._arguments

    def test_no_mysql(self) -> None:
        """What answers but is no MySQL is a server that is away: the next one is asked."""

        def connect(**_: object) -> None:
            raise IndexError("index out of range")

        async def run(*_: object) -> None:
            raise IndexError("index out of range")

        server = self.server()
        self.patch(pymysql, "connect", connect)
        self.assertIn("none of MySQL's", server.check() or "")
        self.patch(server._pool, "run", run)
        asked = Deferred.fromCoroutine(server.rows((), 0.0))
        failed = self.failureResultOf(asked, LookupFailed).value
        self.assertIn("none of MySQL's", failed.reason)
        self.assertNotIsInstance(failed, QueryRefused)

    def test_hosts(self) -> None:
        """A host with its port, a socket, the usual socket."""
        arguments = self.arguments()
        self.assertEqual((arguments["host"], arguments["port"]), ("h", 3307))
        self.assertIsNone(arguments["unix_socket"])
        self.assertEqual(self.arguments(Host(Way.UNIX, "/s"))["unix_socket"], "/s")
        self.assertIn(self.arguments(Host(Way.UNIX, ""))["unix_socket"], SOCKETS)

    def test_login(self) -> None:
        """Name, password, database and charset, utf8mb4 unless another is given."""
        arguments = self.arguments()
        found = [arguments[name] for name in ("user", "password", "database", "charset")]
        self.assertEqual(found, ["u", b"hunter2", "d", "utf8mb4"])
        self.assertEqual(self.arguments(charset="latin1")["charset"], "latin1")

    def test_tls(self) -> None:
        """Only with a TLS parameter; the certificate is verified if it is asked for."""
        self.assertTrue(self.arguments()["ssl_disabled"])
        verifying = self.arguments(tls_verify_cert="yes")["ssl"]
        self.assertTrue(verifying.check_hostname)
        self.assertEqual(verifying.verify_mode, ssl.CERT_REQUIRED)
        other = self.arguments(tls_ciphers="HIGH")["ssl"]
        self.assertEqual(other.verify_mode, ssl.CERT_NONE)

    def test_option_file(self) -> None:
        """An option file of MySQL's clients is read, by default its group client."""
        arguments = self.arguments(option_file="/etc/my.cnf")
        self.assertEqual(arguments["read_default_file"], "/etc/my.cnf")
        self.assertEqual(arguments["read_default_group"], "client")
        self.assertNotIn("read_default_file", self.arguments(option_group="x"))

    def test_complaints(self) -> None:
        """Each names table and parameter, none the password."""
        for name, value in (
            ("dbname", ""),
            ("tls_CAfile", "/nowhere/at/all"),
            ("tls_cert_file", "/nowhere/at/all"),
            ("tls_ciphers", "none-such"),
            ("require_result_set", "perhaps"),
        ):
            with self.assertRaises(ConfigurationError) as caught:
                self.arguments(INET, **{name: value})
            self.assertIn(f"mysql:/x: {name}: ", str(caught.exception))
            self.assertIn(value, str(caught.exception))
            self.assertNotIn("hunter2", str(caught.exception))
