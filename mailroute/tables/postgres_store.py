"""Statements put to PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import psycopg2

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Reactor
from mailroute.tables.postgres import connect_to_check, connection_parameters, prepare, refuses
from mailroute.tables.postgres_pool import Connection, PostgresPool
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import (
    Answer,
    Question,
    SqlStore,
    Statements,
    StoreSettings,
    refused,
    within,
)
from mailroute.tables.sql_table import one_line
from mailroute.tables.sql_url import PostgresTarget


class PostgresStore(SqlStore):
    """The first of some servers that answers, by txpostgres."""

    dialect = Dialect.POSTGRESQL

    def __init__(self, target: PostgresTarget, settings: StoreSettings, reactor: Reactor) -> None:
        self._target = target
        self._parameters = connection_parameters(target.parameters, settings.lookup_seconds)
        self._pool = PostgresPool(target.hosts, self._parameters, settings.pool_size, reactor)

    async def run(self, question: Question, until: float) -> Answer:
        """Put a statement.  Raises LookupFailed."""

        def ask(connection: Connection) -> Any:
            cursor = connection.cursor()
            asked = cursor.execute(question.statement.sql, question.parameters or None)
            return asked.addCallback(lambda _: _answer(cursor, question.rows_limit))

        answer: Answer = await self._ask(ask, until)
        return answer

    async def run_together(self, questions: Sequence[Question], until: float) -> None:
        """Put the statements in one transaction.  Raises LookupFailed."""

        def ask(connection: Connection) -> Any:
            cursor = connection.cursor()
            bound = (
                cursor.mogrify(question.statement.sql, question.parameters or None)
                for question in questions
            )
            # What is sent together is one transaction, by PostgreSQL's manual, section 55.2.2.1.
            # A line break, since a statement may end with a comment.
            return cursor.execute(b"\n;".join(bound)).addCallback(lambda _: cursor.close())

        if questions:
            await self._ask(ask, until)

    async def _ask(self, question: Callable[[Connection], Any], until: float) -> Any:
        try:
            return await self._pool.ask(question, until)
        except LookupFailed as failed:
            raise LookupFailed(f"PostgreSQL: {failed.reason}") from None
        except (psycopg2.Error, ValueError) as error:
            # ValueError: a value that the driver cannot send, or text that is not UTF-8.
            raise LookupFailed(f"PostgreSQL: {one_line(error)}") from error

    def check(self, statements: Statements, first: Statements) -> str | None:
        """Try everything.  Raises ConfigurationError."""
        place = ""
        try:
            connection = connect_to_check(self._target.hosts, self._parameters)
        except psycopg2.Error as error:
            return one_line(error)
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for where, statement in first.items():
                    place = where
                    cursor.execute(statement.sql)
            for where, statement in statements.items():
                place = where
                prepare(connection, statement.prepared)
        except psycopg2.Error as error:
            if refuses(error):
                raise refused(place, error) from None
            return one_line(error)
        finally:
            connection.close()
        return None

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()


def _answer(cursor: Any, limit: int | None) -> Answer:
    try:
        columns = len(cursor.description or ())
        rows: Sequence[Sequence[object]] = cursor.fetchall() if columns else ()
        return Answer(within(rows, limit), columns, max(0, cursor.rowcount))
    finally:
        cursor.close()
