"""How an SQLite file is opened: read-only, at most two threads, a replaced file is noticed."""

from __future__ import annotations

import os
import sqlite3
import time
from typing import Any
from urllib.parse import quote

from mailroute.errors import LookupFailed
from mailroute.tables.crew import Driver

MAX_THREADS = 2
PATIENCE_SECONDS = 0.02
"""A second thread is for queries that take long: it makes short ones slower."""

_STEPS_BETWEEN_LOOKS = 10_000
"""After how many steps of SQLite's machine a running query looks at the clock."""


class FileConnection(sqlite3.Connection):
    """A connection that knows which file it has open."""

    def __init__(self, database: str, *args: Any, path: str, **kwargs: Any) -> None:
        # Looked at before it is opened: a file replaced in between is noticed next time.
        self.opened_file = _identity(path)
        self.version: int | None = None
        """Of the content, when it was last looked at by SqliteChanges."""
        super().__init__(database, *args, **kwargs)


def _identity(path: str) -> tuple[int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino


class SqliteFile:
    """How a file is opened: read-only, never made, and opened anew when it was replaced."""

    def __init__(self, path: str, writable: bool = False) -> None:
        self.path = path
        self._writable = writable

    def driver(self, busy_seconds: float) -> Driver:
        """How the threads of a pool open it; they wait so long for a lock."""
        opened = _writable if self._writable else _opened
        return Driver(
            "sqlite3", self.arguments(busy_seconds), self._usable, opened, PATIENCE_SECONDS
        )

    def arguments(self, busy_seconds: float) -> dict[str, Any]:
        """The arguments of ``sqlite3.connect``."""

        def factory(*args: Any, **kwargs: Any) -> FileConnection:
            return FileConnection(*args, path=self.path, **kwargs)

        return {
            # Never mode=rwc, sqlite3's own: it makes an empty file of a missing one.
            "database": f"file:{quote(self.path)}?mode={'rw' if self._writable else 'ro'}",
            "uri": True,
            "timeout": busy_seconds,
            "isolation_level": None,
            "check_same_thread": False,
            "factory": factory,
        }

    def _usable(self, connection: FileConnection) -> bool:
        found = _identity(self.path)
        if found is None:
            raise LookupFailed(f"the SQLite file {self.path} cannot be found")
        return found == connection.opened_file


def end_in_time(connection: sqlite3.Connection, deadline: float) -> None:
    """Let the connection's queries fail behind the deadline, of ``time.monotonic``."""
    connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS_BETWEEN_LOOKS)


def refuses(error: sqlite3.Error) -> bool:
    """Whether the error is about the statement.

    sqlite3 itself raises errors without a code: wrong number of parameters.
    """
    return getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) == sqlite3.SQLITE_ERROR


def _writable(connection: sqlite3.Connection) -> None:
    """Nothing is forbidden."""


def _opened(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA query_only = 1")
