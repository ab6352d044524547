"""PostgreSQL as Postfix asks it: every column of every row, as the server writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg2
from psycopg2 import extensions

from mailroute.errors import ConfigurationError
from mailroute.tables.deadline import Reactor
from mailroute.tables.postfix.failover import QueryRefused, Row, Values
from mailroute.tables.postfix.hosts import Host, Way
from mailroute.tables.postfix.literals import Query
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.postgres import (
    connect_to_check,
    connection_parameters,
    prepare,
    refuses,
)
from mailroute.tables.postgres_pool import Connection, PostgresPool
from mailroute.tables.sql_table import one_line
from mailroute.tables.sql_url import PostgresHost, PostgresTarget, parse_url

PARAMETERS = frozenset(
    {"hosts", "user", "password", "dbname", "encoding", "select_function"}
    | {"idle_interval", "retry_interval"}
)
POOL_SIZE = 4

_AS_WRITTEN = extensions.new_type(
    tuple(extensions.string_types), "AS_WRITTEN", lambda value, cursor: value
)


class PgsqlServer:
    """One server, or the servers of one URI."""

    def __init__(
        self, host: Host, query: Query, parameters: Parameters, seconds: float, reactor: Reactor
    ) -> None:
        """Raises ConfigurationError."""
        self.rank = int(host.way)
        self.place = host.place
        self._query = query
        self._target = _target(host, parameters)
        self._parameters = connection_parameters(self._target.parameters, seconds)
        self._pool = PostgresPool(self._target.hosts, self._parameters, POOL_SIZE, reactor)

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Return every column of every row.  Raises LookupFailed."""
        sql = self._query.statement.sql

        def question(connection: Connection) -> Any:
            cursor = connection.cursor()
            extensions.register_type(_AS_WRITTEN, cursor._cursor)
            asked = cursor.execute(sql, values or None)
            return asked.addCallback(lambda _: _rows(cursor))

        try:
            return await self._pool.ask(question, until)
        except (psycopg2.Error, ValueError) as error:
            # ValueError: a key that the driver cannot send.
            raise QueryRefused(one_line(error)) from None

    def check(self) -> str | None:
        """Try the query, blocking.  Raises ConfigurationError where the server refuses it."""
        try:
            connection = connect_to_check(self._target.hosts, self._parameters)
        except psycopg2.Error as error:
            return one_line(error)
        try:
            # PREPARE takes one statement: several show in use whether they work.
            if self._query.count == 1:
                prepare(connection, self._query.statement.prepared)
        except psycopg2.Error as error:
            if not refuses(error):
                return one_line(error)
            raise ConfigurationError([f"query: {one_line(error)}"]) from None
        finally:
            connection.close()
        return None

    def watch(self, changed: Callable[[], None]) -> None:
        """This server tells nobody of its changes."""

    async def start(self) -> None:
        """Connections are opened when they are needed."""

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


def _target(host: Host, parameters: Parameters) -> PostgresTarget:
    if host.way is Way.URI:
        try:
            target = parse_url(host.name)
        except ConfigurationError as error:
            words = [one.removeprefix("mapping.sql.url: ") for one in error.complaints]
            raise parameters.complaint("hosts", "; ".join(words)) from None
        assert isinstance(target, PostgresTarget)  # noqa: S101
        return target
    login = {
        "user": parameters.text("user"),
        "password": parameters.text("password"),
        "dbname": parameters.required("dbname"),
    }
    place = PostgresHost(host.name, "", str(host.port or ""))
    return PostgresTarget((place,), {name: value for name, value in login.items() if value})


def _rows(cursor: Any) -> Sequence[Row]:
    try:
        # A command without a result is an answer without rows.
        rows: Sequence[Row] = cursor.fetchall() if cursor.description is not None else ()
        return rows
    finally:
        cursor.close()
