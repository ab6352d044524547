"""Lookups in MySQL or MariaDB, by PyMySQL in threads."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Mapping
from typing import Any

import pymysql
from pymysql.constants import ER

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.crew import Driver
from mailroute.tables.deadline import Reactor
from mailroute.tables.placeholders import Statement
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_table import (
    CHECK_SECONDS,
    FirstRow,
    SqlSettings,
    SqlTable,
    bad_query,
    one_line,
    unreachable,
)
from mailroute.tables.sql_url import MysqlTarget

_CANNOT_ANSWER_NOW = frozenset(
    {
        ER.CON_COUNT_ERROR,
        ER.SERVER_SHUTDOWN,
        ER.NORMAL_SHUTDOWN,
        ER.OUT_OF_RESOURCES,
        ER.OUTOFMEMORY,
        ER.LOCK_WAIT_TIMEOUT,
        ER.LOCK_DEADLOCK,
        ER.QUERY_INTERRUPTED,
        1969,  # MariaDB: max_statement_time exceeded
        3024,  # MySQL: max_execution_time exceeded
    }
)
_CLIENT_ERRORS = range(2000, 3000)
_KNOWN = (pymysql.MySQLError, UnicodeError, OSError)
FAULTS = (*_KNOWN, ValueError, LookupError, NameError, struct.error)
"""What PyMySQL raises: beside its own errors, those of a parser that meets no MySQL."""


class MysqlTable(SqlTable):
    """A table in a MySQL or MariaDB server."""

    dialect = Dialect.MYSQL

    def __init__(self, target: MysqlTarget, settings: SqlSettings, reactor: Reactor) -> None:
        """Raises ConfigurationError for a bad query, template or TLS file."""
        super().__init__(settings, reactor)
        self._place = target.socket or f"{target.host}:{target.port}"
        self._arguments = connection_arguments(target, settings.lookup_timeout)
        driver = Driver("pymysql", self._arguments, usable, self._opened)
        self._pool = BlockingPool(driver, settings.pool_size, reactor)

    @property
    def busy(self) -> int:
        """How many threads are at work, those abandoned to a hung server included."""
        return self._pool.busy

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()

    async def close(self) -> None:
        """End the threads."""
        await self._pool.close()

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        def job(connection: Any, _deadline: float) -> FirstRow | None:
            return _first_row(connection, self.statement, parameters)

        try:
            return await self._pool.run(job, until)
        except FAULTS as error:
            raise LookupFailed(f"MySQL at {self._place}: {why(error)}") from error
        except ConfigurationError as error:
            raise LookupFailed(f"MySQL at {self._place}: {error}") from None

    def _opened(self, connection: Any) -> None:
        if self.statement.depends_on_ansi_quotes and has_ansi_quotes(connection):
            raise ConfigurationError(
                [
                    "mapping.sql.query: the server is in ANSI_QUOTES mode, where a string in "
                    "double quotes is a name: write it in single quotes"
                ]
            )

    def _check(self) -> str | None:
        try:
            connection = connect_to_check(self._arguments)
        except FAULTS as error:
            return unreachable(error)
        try:
            self._opened(connection)
            prepare(connection, self.statement.prepared)
        except pymysql.MySQLError as error:
            if not refuses(error):
                return unreachable(error)
            raise ConfigurationError([bad_query(error)]) from None
        finally:
            connection.close()
        return None


def connect_to_check(arguments: Mapping[str, Any]) -> Any:
    """Connect, blocking, for a short time.  Raises FAULTS."""
    limits = dict.fromkeys(("connect_timeout", "read_timeout", "write_timeout"), CHECK_SECONDS)
    return pymysql.connect(**(dict(arguments) | limits))


def prepare(connection: Any, prepared: str) -> None:
    """Have the server read a statement.  Raises pymysql.MySQLError if it objects."""
    with connection.cursor() as cursor:
        cursor.execute("PREPARE mailroute_check FROM %s", (prepared,))


def why(error: BaseException) -> str:
    """What to say of one of FAULTS."""
    words = one_line(error)
    return words if isinstance(error, _KNOWN) else f"the answer is none of MySQL's ({words})"


def refuses(error: pymysql.MySQLError) -> bool:
    """Whether the error is about the statement, not about the server's health."""
    code = error.args[0] if error.args else 0
    return code not in _CANNOT_ANSWER_NOW and code not in _CLIENT_ERRORS


def has_ansi_quotes(connection: Any) -> bool:
    """Whether the server reads a string in double quotes as a name."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT @@sql_mode")
        return "ANSI_QUOTES" in str(cursor.fetchone()[0]).split(",")


def connection_arguments(target: MysqlTarget, lookup_seconds: float) -> dict[str, Any]:
    """The arguments of ``pymysql.connect``.  Raises ConfigurationError for a bad TLS file."""
    return {
        "host": target.host,
        "port": target.port,
        "unix_socket": target.socket,
        "user": target.user,
        # PyMySQL would encode text as Latin-1.
        "password": target.password.encode("utf-8"),
        "database": target.database,
        "charset": "utf8mb4",
        "autocommit": True,
        "init_command": _session(lookup_seconds),
        "connect_timeout": lookup_seconds,
        "read_timeout": lookup_seconds,
        "write_timeout": lookup_seconds,
        "program_name": "mailroute",
        **_tls(target),
    }


def _session(lookup_seconds: float) -> str:
    """Settings of our sessions: the reading of backslashes, and an end for long queries.

    Each server skips the other one's comment.
    """
    return (
        "SET SESSION "
        f"/*M!100101 max_statement_time={lookup_seconds:.3f}, */"
        f"/*!50708 max_execution_time={round(lookup_seconds * 1000)}, */"
        "sql_mode=REPLACE(@@sql_mode, 'NO_BACKSLASH_ESCAPES', '')"
    )


def _tls(target: MysqlTarget) -> dict[str, Any]:
    if target.ssl == "disabled":
        return {"ssl_disabled": True}
    files = dict(target.ssl_files)
    if target.ssl == "preferred" and not files:
        return {}
    try:
        context = ssl.create_default_context(cafile=files.get("ca"))
        if "cert" in files:
            context.load_cert_chain(files["cert"], files.get("key"))
    except (OSError, ssl.SSLError) as error:
        named = ", ".join(f"ssl_{name}={path}" for name, path in target.ssl_files)
        words = f"mapping.sql.url: a TLS file cannot be read ({named}): {one_line(error)}"
        raise ConfigurationError([words]) from None
    # Servers make their own certificates without what Python 3.13 asks for.
    context.verify_flags &= ~ssl.VERIFY_X509_STRICT
    if target.ssl != "verify":
        context.check_hostname = False
    if target.ssl in ("preferred", "required"):
        context.verify_mode = ssl.CERT_NONE
    return {"ssl": context}


def usable(connection: Any) -> bool:
    """Whether an open connection can still be asked.

    It costs each lookup a round trip.  A second attempt where the first one failed would not do
    instead: it may get another thread's connection, which died with the same server.
    """
    try:
        connection.ping(reconnect=False)
    except FAULTS:
        return False
    return True


def _first_row(
    connection: Any, statement: Statement, parameters: tuple[str, ...]
) -> FirstRow | None:
    with connection.cursor() as cursor:
        # Without parameters nothing is formatted: percent signs are then not doubled either.
        cursor.execute(statement.sql, parameters or None)
        if cursor.description is None:
            raise LookupFailed("the query returns no columns: it has to be a SELECT")
        values = cursor.fetchone()
        names = [column[0] for column in cursor.description]
    return None if values is None else FirstRow(names, values)
