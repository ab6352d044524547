"""How PyMySQL is told to connect; lookups are tested in tests.integration."""

from __future__ import annotations

import ssl
import struct
from pathlib import Path
from typing import Any

import pymysql
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.contract import Key
from mailroute.tables.mysql import MysqlTable, usable
from mailroute.tables.sql_table import SqlSettings
from mailroute.tables.sql_url import MysqlTarget, parse_url
from tests.integration.certificates import Authority
from tests.tables.idle_reactor import IdleReactor


class ArgumentsTests(SynchronousTestCase):
    """The arguments, seen by a connection in the place of PyMySQL's."""

    def arguments(self, url: str) -> dict[str, Any]:
        """What the check at the start connects with."""
        seen: dict[str, Any] = {}

        def connect(**arguments: Any) -> None:
            seen.update(arguments)
            raise pymysql.OperationalError(2003, "nobody there")

        self.patch(pymysql, "connect", connect)
        target = parse_url(url)
        assert isinstance(target, MysqlTarget)
        settings = SqlSettings(url, "SELECT ?", lookup_timeout=1.5)
        table = MysqlTable(target, settings, IdleReactor())
        self.assertIn("nobody there", table.check()[0])
        return seen

    def test_session(self) -> None:
        """Autocommit, four-byte UTF-8, known reading of backslashes, bounded statements."""
        seen = self.arguments("mysql://u:p%C3%A4@h:7/d")
        self.assertEqual((seen["host"], seen["port"], seen["database"]), ("h", 7, "d"))
        self.assertIs(seen["autocommit"], True)
        self.assertEqual(seen["charset"], "utf8mb4")
        self.assertEqual(seen["password"], "pä".encode())
        self.assertIn("REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')", seen["init_command"])
        self.assertIn("max_statement_time=1.500", seen["init_command"])
        self.assertIn("max_execution_time=1500", seen["init_command"])
        for name in ("connect_timeout", "read_timeout", "write_timeout"):
            self.assertGreater(seen[name], 0)

    def test_tls_modes(self) -> None:
        """Each mode verifies what it says."""
        self.assertTrue(self.arguments("mysql://h/d?ssl=disabled")["ssl_disabled"])
        preferred = self.arguments("mysql://h/d")
        self.assertFalse({"ssl", "ssl_disabled"} & set(preferred))
        for mode, verify, name in (
            ("required", ssl.CERT_NONE, False),
            ("verify_ca", ssl.CERT_REQUIRED, False),
            ("verify", ssl.CERT_REQUIRED, True),
        ):
            context = self.arguments(f"mysql://h/d?ssl={mode}")["ssl"]
            self.assertEqual((context.verify_mode, context.check_hostname), (verify, name), mode)

    def test_tls_files(self) -> None:
        """A CA file is the only authority; a client certificate is loaded."""
        folder = Path(self.mktemp())
        folder.mkdir()
        issued = Authority(folder).issue("client")
        url = f"mysql://h/d?ssl=verify&ssl_ca={folder}/ca.pem"
        context = self.arguments(f"{url}&ssl_cert={issued.cert}&ssl_key={issued.key}")["ssl"]
        self.assertEqual(len(context.get_ca_certs()), 1)

    def test_missing_tls_file(self) -> None:
        """A file that cannot be read is a complaint that names it."""
        url = "mysql://h/d?ssl_ca=/nowhere/at/all.pem"
        error = self.assertRaises(ConfigurationError, self.arguments, url)
        self.assertIn("mapping.sql.url", str(error))
        self.assertIn("ssl_ca=/nowhere/at/all.pem", str(error))


class NoMysqlTests(SynchronousTestCase):
    """Something answers that is no MySQL: PyMySQL raises whatever its parser happens to."""

    def test_outage(self) -> None:
        """It is an outage, not a defect: the lookup fails, and the check warns."""
        target = parse_url("mysql://h/d")
        assert isinstance(target, MysqlTarget)
        table = MysqlTable(target, SqlSettings("mysql://h/d", "SELECT ?"), IdleReactor())
        for error in (
            struct.error("unpack requires a buffer of 4 bytes"),
            IndexError("index out of range"),
            UnboundLocalError("cannot access local variable"),
            ValueError("invalid literal for int()"),
        ):

            def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            async def run(*_: object, error: Exception = error) -> None:
                raise error

            self.patch(pymysql, "connect", fail)
            self.assertIn("cannot be asked now", table.check()[0])
            self.patch(table._pool, "run", run)
            lookup = Deferred.fromCoroutine(table.lookup(Key("alice")))
            failed = self.failureResultOf(lookup, LookupFailed).value
            self.assertIn("MySQL at h:3306: the answer is none of MySQL's", failed.reason)
            connection = type("Connection", (), {"ping": fail})()
            self.assertFalse(usable(connection))
