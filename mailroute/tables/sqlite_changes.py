"""Notices that an SQLite file says something else than a moment ago.

SQLite counts, for each connection, the changes that others have made to the file
(https://www.sqlite.org/pragma.html#pragma_data_version).  A connection that was opened since the
last look, because the file was replaced for one, may have missed some: that counts as a change.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from mailroute.errors import LookupFailed
from mailroute.tables.blocking import BlockingPool
from mailroute.tables.deadline import Clock
from mailroute.tables.sqlite_file import FileConnection, end_in_time

LOOK_SECONDS = 1.0
PATIENCE_SECONDS = 5.0
"""For one look."""

_log = Logger(namespace="mailroute.tables")


class SqliteChanges:
    """Looks at a file by the connections of its lookups."""

    def __init__(self, pool: BlockingPool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self._tell: Callable[[], None] | None = None
        self._next: Any = None

    def watch(self, tell: Callable[[], None]) -> None:
        """Call this for every change from ``start`` on."""
        self._tell = tell

    def start(self) -> None:
        """Begin to look, if anybody wants to know."""
        if self._tell is not None:
            self._next = self._clock.callLater(0, self._look)

    def stop(self) -> None:
        """Look no more."""
        self._tell = None
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        until = self._clock.seconds() + PATIENCE_SECONDS
        looking = Deferred.fromCoroutine(self._pool.run(_has_changed, until))
        looking.addErrback(_not_now)
        looking.addErrback(lambda caught: _log.failure("a look at an SQLite file failed", caught))
        looking.addCallback(self._looked)

    def _looked(self, has_changed: bool | None) -> None:
        if self._tell is None:
            return
        self._next = self._clock.callLater(LOOK_SECONDS, self._look)
        if has_changed:
            self._tell()


def _not_now(caught: Failure) -> None:
    """A file that cannot be asked is a matter of the lookups; what is remembered serves on."""
    caught.trap(LookupFailed, sqlite3.Error)


def _has_changed(connection: FileConnection, deadline: float) -> bool:
    """Whether the connection does not know the file as it is; it does from now on."""
    end_in_time(connection, deadline)
    (version,) = connection.execute("PRAGMA data_version").fetchone()
    known, connection.version = connection.version, version
    return bool(version != known)
