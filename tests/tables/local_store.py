"""A store that answers at once: SQLite in memory, in this thread."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from mailroute.errors import LookupFailed
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import Answer, Question, SqlStore, Statements, refused, within


class LocalStore(SqlStore):
    """Answers from memory; ``away`` is why it cannot, if it cannot."""

    dialect = Dialect.SQLITE

    def __init__(self) -> None:
        self.database = sqlite3.connect(":memory:", isolation_level=None)
        self.away = ""

    async def run(self, question: Question, until: float) -> Answer:
        if self.away:
            raise LookupFailed(self.away)
        try:
            cursor = self.database.execute(question.statement.sql, question.parameters)
        except sqlite3.Error as error:
            raise LookupFailed(str(error)) from None
        rows = within(cursor.fetchall(), question.rows_limit)
        return Answer(rows, len(cursor.description or ()), max(0, cursor.rowcount))

    async def run_together(self, questions: Sequence[Question], until: float) -> None:
        self.database.execute("BEGIN")
        try:
            for question in questions:
                await self.run(question, until)
        except LookupFailed:
            self.database.execute("ROLLBACK")
            raise
        self.database.execute("COMMIT")

    def check(self, statements: Statements, first: Statements) -> str | None:
        if self.away:
            return self.away
        for statement in first.values():
            self.database.execute(statement.sql)
        for place, statement in statements.items():
            try:
                self.database.execute(f"EXPLAIN {statement.sql}", ("",) * len(statement.names))
            except sqlite3.Error as error:
                raise refused(place, error) from None
        return None
