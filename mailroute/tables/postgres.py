"""Lookups in PostgreSQL, by txpostgres."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import psycopg2

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Reactor
from mailroute.tables.postgres_pool import PostgresPool
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
from mailroute.tables.sql_url import PostgresHost, PostgresTarget

_REFUSED_CLASSES = ("0A", "22", "3F", "42")
"""SQLSTATE classes that mean a bad query: not supported, data, schema, syntax or access."""

_UNDECIDED = frozenset({"42P18", "42P08", "42P05"})
"""PREPARE cannot tell: parameters without a type (the literals that we send need none), or a
connection that a pooler had lent out before and that knows our statement."""


class PostgresTable(SqlTable):
    """A table in PostgreSQL servers."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, target: PostgresTarget, settings: SqlSettings, reactor: Reactor) -> None:
        """Raises ConfigurationError for a query or a template that cannot be read."""
        super().__init__(settings, reactor)
        self._target = target
        self._parameters = connection_parameters(target.parameters, settings.lookup_timeout)
        self._pool = PostgresPool(target.hosts, self._parameters, settings.pool_size, reactor)

    @property
    def connections(self) -> int:
        """How many connections are open or being opened."""
        return self._pool.connections

    async def start(self) -> None:
        """Begin to serve; connections are opened when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        try:
            return await self._pool.first_row(self.statement.sql, parameters, until)
        except LookupFailed as failed:
            raise LookupFailed(f"PostgreSQL: {failed.reason}") from None
        except (psycopg2.Error, ValueError) as error:
            # ValueError: a key that the driver cannot send, or text that is not UTF-8.
            raise LookupFailed(f"PostgreSQL: {one_line(error)}") from error

    def _check(self) -> str | None:
        try:
            connection = connect_to_check(self._target.hosts, self._parameters)
        except psycopg2.Error as error:
            return unreachable(error)
        try:
            prepare(connection, self.statement.prepared)
        except psycopg2.Error as error:
            if not refuses(error):
                return unreachable(error)
            raise ConfigurationError([bad_query(error)]) from None
        finally:
            connection.close()
        return None


def connect_to_check(hosts: Sequence[PostgresHost], parameters: Mapping[str, Any]) -> Any:
    """Connect, blocking, to the first server that answers.  Raises psycopg2.Error."""
    where = {
        "host": ",".join(host.name for host in hosts),
        "hostaddr": ",".join(host.address for host in hosts),
        "port": ",".join(host.port for host in hosts),
    }
    named = {name: value for name, value in where.items() if value.strip(",")}
    limits = {"connect_timeout": CHECK_SECONDS}
    return psycopg2.connect(**(dict(parameters) | limits | named))


def prepare(connection: Any, prepared: str) -> None:
    """Have the server read a statement.  Raises psycopg2.Error if it objects."""
    try:
        with connection.cursor() as cursor:
            cursor.execute(f"PREPARE mailroute_check AS {prepared}")
            cursor.execute("DEALLOCATE mailroute_check")
    except psycopg2.Error as error:
        if error.pgcode not in _UNDECIDED:
            raise


def refuses(error: psycopg2.Error) -> bool:
    """Whether the error is about the statement, not about the server's health."""
    return (error.pgcode or "").startswith(_REFUSED_CLASSES)


def connection_parameters(given: Mapping[str, str], lookup_seconds: float) -> dict[str, Any]:
    """libpq's parameters: our defaults, the URL's own, and what has to be."""
    milliseconds = math.ceil(lookup_seconds * 1000)
    defaults: dict[str, Any] = {
        "fallback_application_name": "mailroute",
        # libpq would ask a Kerberos library first, which may block.
        "gssencmode": "disable",
        "keepalives_idle": "30",
        "keepalives_interval": "10",
        "keepalives_count": "3",
        "tcp_user_timeout": str(milliseconds),
        "connect_timeout": str(max(2, math.ceil(lookup_seconds))),
    }
    # The last setting of a name counts: strings are read as the lexer reads them, and the
    # server ends what nobody waits for any more.
    options = (
        f"{given.get('options', '')} -c standard_conforming_strings=on"
        f" -c statement_timeout={milliseconds}"
    )
    return defaults | dict(given) | {"client_encoding": "UTF8", "options": options.strip()}
