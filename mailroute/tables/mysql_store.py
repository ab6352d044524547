"""Statements put to MySQL or MariaDB."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.crew import Driver
from mailroute.tables.deadline import Reactor
from mailroute.tables.mysql import (
    FAULTS,
    connect_to_check,
    connection_arguments,
    has_ansi_quotes,
    prepare,
    refuses,
    usable,
    why,
)
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
from mailroute.tables.sql_url import MysqlTarget

ANSI_QUOTES = (
    "the server is in ANSI_QUOTES mode, where a string in double quotes is a name: write it in "
    "single quotes"
)


class MysqlStore(SqlStore):
    """A server, by PyMySQL in threads."""

    dialect = Dialect.MYSQL

    def __init__(self, target: MysqlTarget, settings: StoreSettings, reactor: Reactor) -> None:
        """Raises ConfigurationError for a bad TLS file."""
        self._place = target.socket or f"{target.host}:{target.port}"
        self._arguments = connection_arguments(target, settings.lookup_seconds)
        # Rows that a statement found, though it left them as they were, count.
        self._arguments["client_flag"] = CLIENT.FOUND_ROWS
        driver = Driver("pymysql", self._arguments, usable, _opened)
        self._pool = BlockingPool(driver, settings.pool_size, reactor)

    async def run(self, question: Question, until: float) -> Answer:
        """Put a statement.  Raises LookupFailed."""
        try:
            return await self._pool.run(lambda connection, _: _answer(connection, question), until)
        except FAULTS as error:
            raise LookupFailed(f"MySQL at {self._place}: {why(error)}") from error

    async def run_together(self, questions: Sequence[Question], until: float) -> None:
        """Put the statements in one transaction.  Raises LookupFailed."""

        def job(connection: Any, _: float) -> None:
            connection.begin()
            for question in questions:
                _answer(connection, question)
            connection.commit()

        try:
            # The pool gives a connection up after an error: what was begun is undone.
            await self._pool.run(job, until)
        except FAULTS as error:
            raise LookupFailed(f"MySQL at {self._place}: {why(error)}") from error

    def check(self, statements: Statements, first: Statements) -> str | None:
        """Try everything.  Raises ConfigurationError."""
        place = ""
        try:
            connection = connect_to_check(self._arguments)
        except FAULTS as error:
            return why(error)
        try:
            ansi = has_ansi_quotes(connection)
            with connection.cursor() as cursor:
                for where, statement in first.items():
                    place = where
                    cursor.execute(statement.sql)
            for where, statement in statements.items():
                place = where
                if ansi and statement.depends_on_ansi_quotes:
                    raise ConfigurationError([f"{place}: {ANSI_QUOTES}"])
                prepare(connection, statement.prepared)
        except pymysql.MySQLError as error:
            if refuses(error):
                raise refused(place, error) from None
            return one_line(error)
        finally:
            connection.close()
        return None

    async def start(self) -> None:
        """Begin to serve."""
        self._pool.start()

    async def close(self) -> None:
        """End the threads."""
        await self._pool.close()


def _opened(connection: Any) -> None:
    """Nothing more to do: the session's settings are the first command."""


def _answer(connection: Any, question: Question) -> Answer:
    if question.statement.depends_on_ansi_quotes and has_ansi_quotes(connection):
        raise LookupFailed(ANSI_QUOTES)
    with connection.cursor() as cursor:
        # Without parameters nothing is formatted: percent signs are then not doubled either.
        affected = cursor.execute(question.statement.sql, question.parameters or None)
        columns = len(cursor.description or ())
        # PyMySQL has read all of them by now.
        rows = within(cursor.fetchall(), question.rows_limit) if columns else ()
        return Answer(rows, columns, affected)
