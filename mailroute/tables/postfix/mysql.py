"""MySQL and MariaDB as Postfix asks them: every column of every row, as the server writes it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Callable, Sequence
from typing import Any

import pymysql
from pymysql.converters import conversions

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.crew import Driver
from mailroute.tables.deadline import Reactor
from mailroute.tables.mysql import (
    FAULTS,
    connect_to_check,
    connection_arguments,
    prepare,
    usable,
    why,
)
from mailroute.tables.postfix.failover import QueryRefused, Row, Values
from mailroute.tables.postfix.hosts import Host, Way
from mailroute.tables.postfix.literals import Query
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.sql_table import one_line
from mailroute.tables.sql_url import MysqlTarget

PARAMETERS = frozenset(
    {"hosts", "user", "password", "dbname", "charset", "require_result_set", "retry_interval"}
    | {"idle_interval", "tls_key_file", "tls_cert_file", "tls_CAfile", "tls_CApath"}
    | {"tls_ciphers", "tls_verify_cert", "option_file", "option_group"}
)
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/tmp/mysql.sock")  # noqa: S108
"""Where ``localhost`` is: Debian's place first."""

POOL_SIZE = 4
_CLIENT_ERRORS = range(2000, 3000)
_WITHOUT_COLUMNS = "the query has no result (require_result_set = yes)"


class MysqlServer:
    """One server."""

    def __init__(
        self, host: Host, query: Query, parameters: Parameters, seconds: float, reactor: Reactor
    ) -> None:
        """Raises ConfigurationError."""
        self.rank = int(host.way)
        self.place = host.place
        self._query = query
        self._needs_result = parameters.boolean("require_result_set", True)
        self._arguments = _arguments(host, parameters, seconds)
        driver = Driver("pymysql", self._arguments, usable, lambda _: None)
        self._pool = BlockingPool(driver, POOL_SIZE, reactor)

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Return every column of every row.  Raises LookupFailed."""
        sql = self._query.statement.sql

        def job(connection: Any, _deadline: float) -> Sequence[Row]:
            try:
                with connection.cursor() as cursor:
                    cursor.execute(sql, values or None)
                    return self._result(cursor)
            except pymysql.MySQLError as error:
                code = error.args[0] if error.args else 0
                if code in _CLIENT_ERRORS or not isinstance(code, int) or not code:
                    raise
                raise QueryRefused(one_line(error)) from None

        try:
            return await self._pool.run(job, until)
        except FAULTS as error:
            raise LookupFailed(why(error)) from None

    def _result(self, cursor: Any) -> Sequence[Row]:
        if cursor.description is None:
            if self._needs_result:
                raise QueryRefused(_WITHOUT_COLUMNS)
            return ()
        rows: Sequence[Row] = cursor.fetchall()
        while cursor.nextset():
            # A procedure ends with a result without columns; another table is too much.
            if cursor.description is not None:
                raise QueryRefused("the query has several results")
        return rows

    def check(self) -> str | None:
        """Try the query, blocking.  Raises ConfigurationError where the server refuses it."""
        try:
            connection = connect_to_check(self._arguments)
        except FAULTS as error:
            return why(error)
        try:
            prepare(connection, self._query.statement.prepared)
        except pymysql.ProgrammingError as error:
            raise ConfigurationError([f"query: {one_line(error)}"]) from None
        except (pymysql.MySQLError, OSError) as error:
            return one_line(error)
        finally:
            connection.close()
        return None

    def watch(self, changed: Callable[[], None]) -> None:
        """This server tells nobody of its changes."""

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()

    async def close(self) -> None:
        """End the threads."""
        await self._pool.close()


def _arguments(host: Host, parameters: Parameters, seconds: float) -> dict[str, Any]:
    socket = host.way is Way.UNIX
    target = MysqlTarget(
        host=host.name or "localhost",
        port=host.port or 3306,
        user=parameters.text("user"),
        password=parameters.text("password"),
        database=parameters.required("dbname"),
        socket=(host.name or _usual_socket()) if socket else None,
        ssl="disabled",
    )
    arguments = connection_arguments(target, seconds) | {
        "charset": parameters.required("charset", "utf8mb4"),
        # The octets of the server: numbers and dates stay as it writes them.
        "use_unicode": False,
        "conv": {kind: write for kind, write in conversions.items() if isinstance(kind, type)},
    }
    if option_file := parameters.text("option_file"):
        group = parameters.text("option_group", "client")
        arguments |= {"read_default_file": option_file, "read_default_group": group}
    context = None if socket else _tls(parameters)
    if context is not None:
        del arguments["ssl_disabled"]
        arguments["ssl"] = context
    return arguments


def _usual_socket() -> str:
    return next((path for path in SOCKETS if os.path.exists(path)), SOCKETS[0])


def _tls(parameters: Parameters) -> ssl.SSLContext | None:
    named = {name: parameters.text(f"tls_{name}") for name in ("CAfile", "CApath", "cert_file")}
    verify = parameters.boolean("tls_verify_cert", False)
    if not any(named.values()) and not verify and not parameters.text("tls_ciphers"):
        return None
    at_fault = "tls_CAfile" if named["CAfile"] else "tls_CApath"
    try:
        context = ssl.create_default_context(
            cafile=named["CAfile"] or None, capath=named["CApath"] or None
        )
        at_fault = "tls_cert_file"
        if named["cert_file"]:
            context.load_cert_chain(named["cert_file"], parameters.text("tls_key_file") or None)
        at_fault = "tls_ciphers"
        if parameters.text("tls_ciphers"):
            context.set_ciphers(parameters.text("tls_ciphers"))
    except (OSError, ssl.SSLError) as error:
        words = f"{parameters.text(at_fault)} cannot be used: {one_line(error)}"
        raise parameters.complaint(at_fault, words) from None
    # Servers make their own certificates without what Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if not verify:
        context.check_hostname = False
        if not named["CAfile"] and not named["CApath"]:
            context.verify_mode = ssl.CERT_NONE
    return context
