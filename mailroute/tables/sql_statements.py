"""The statements of a table: as they are written, and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mailroute.errors import ConfigurationError
from mailroute.tables.placeholders import Statement, Vocabulary
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_store import (
    KEY_ALONE,
    KEY_AND_VALUE,
    NOTHING,
    Statements,
    read_statement,
)


@dataclass(frozen=True, slots=True)
class SqlStatements:
    """The statements as they are written; None: the table cannot do it."""

    lookup: str
    init: tuple[str, ...] = ()
    list: str | None = None
    add: str | None = None
    set: str | None = None
    delete: str | None = None

    @property
    def writable(self) -> bool:
        """Whether the database has to be opened for more than lookups."""
        return bool(self.init or self.add or self.set or self.delete)

    def read(self, place: str, dialect: Dialect) -> Mapping[str, Statement]:
        """Find the placeholders; the statements by their key in the configuration.

        Raises ConfigurationError with every complaint.
        """
        given: dict[str, tuple[str | None, Vocabulary]] = {
            "lookup": (self.lookup, KEY_ALONE),
            "list": (self.list, NOTHING),
            "add": (self.add, KEY_AND_VALUE),
            "set": (self.set, KEY_AND_VALUE),
            "del": (self.delete, KEY_ALONE),
        }
        statements = {}
        complaints: list[str] = []
        for name, (text, vocabulary) in given.items():
            try:
                if text is not None:
                    statements[name] = read_statement(text, f"{place}.{name}", dialect, vocabulary)
            except ConfigurationError as error:
                complaints += error.complaints
        if complaints:
            raise ConfigurationError(complaints)
        return statements

    def read_init(self, place: str, dialect: Dialect) -> Statements:
        """The statements to begin with, in order.  Raises ConfigurationError."""
        places = [f"{place}.init, item {number}" for number in range(1, len(self.init) + 1)]
        return {
            where: read_statement(text, where, dialect, NOTHING)
            for where, text in zip(places, self.init, strict=True)
        }
