"""The database engines of a mapping, each private, and what can go wrong with them.

``stop`` and ``start``: the server (or the file) is gone and comes back.  ``hang`` and
``release``: it is there and does not answer.  ``break_table`` and ``mend_table``: it answers that
there is no such table.
"""

from __future__ import annotations

import atexit
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Mapping
from contextlib import closing
from functools import cache
from pathlib import Path

from tests.integration.mariadb import MariadbServer
from tests.integration.postgresql import PostgresServer

QUERY = "SELECT destination FROM outage_routes WHERE identifier = $1"
_CREATE = "CREATE TABLE outage_routes (identifier VARCHAR(100) PRIMARY KEY, destination TEXT)"
_BREAK = "ALTER TABLE outage_routes RENAME TO gone_routes"
_MEND = "ALTER TABLE gone_routes RENAME TO outage_routes"
_CHUNK = 500


class Engine(ABC):
    """One database with a table of routes."""

    url: str

    def fill(self, rows: Mapping[str, str]) -> None:
        """Make these the content of the table."""
        values = [f"('{identifier}', '{where}')" for identifier, where in rows.items()]
        self.execute("DROP TABLE IF EXISTS outage_routes", _CREATE)
        for start in range(0, len(values), _CHUNK):
            chunk = ", ".join(values[start : start + _CHUNK])
            self.execute(f"INSERT INTO outage_routes VALUES {chunk}")

    def break_table(self) -> None:
        """From now on the query is wrong."""
        self.execute(_BREAK)

    def mend_table(self) -> None:
        """It is right again."""
        self.execute(_MEND)

    @abstractmethod
    def execute(self, *statements: str) -> None:
        """Execute statements."""

    @abstractmethod
    def start(self) -> None:
        """Undo ``stop``."""

    @abstractmethod
    def stop(self) -> None:
        """Take it away; connections are cut."""

    @abstractmethod
    def hang(self) -> None:
        """Let it answer nothing; connections stay open."""

    @abstractmethod
    def release(self) -> None:
        """Undo ``hang``; does nothing where it does not hang."""

    @abstractmethod
    def destroy(self) -> None:
        """Remove it."""


class Sqlite(Engine):
    """A file: gone when it is moved away, hanging while another process has it for itself."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="mailroute-sqlite-"))
        self._file = self._folder / "routes"
        self.url = f"sqlite://{self._file}"
        self._holder: subprocess.Popen[str] | None = None

    def execute(self, *statements: str) -> None:
        """See Engine."""
        with closing(sqlite3.connect(self._file, timeout=60)) as database, database:
            for statement in statements:
                database.execute(statement)

    def start(self) -> None:
        """See Engine."""
        (self._folder / "away").rename(self._file)

    def stop(self) -> None:
        """See Engine."""
        self._file.rename(self._folder / "away")

    def hang(self) -> None:
        """See Engine."""
        hold = (
            "import sqlite3, sys; database = sqlite3.connect(sys.argv[1], timeout=60);"
            "database.execute('BEGIN EXCLUSIVE'); print('held', flush=True); sys.stdin.read()"
        )
        self._holder = subprocess.Popen(
            [sys.executable, "-c", hold, str(self._file)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._holder.stdout is not None
        assert self._holder.stdout.readline() == "held\n"

    def release(self) -> None:
        """See Engine."""
        if self._holder is not None:
            self._holder.communicate("")
            self._holder = None

    def destroy(self) -> None:
        """See Engine."""
        self.release()
        shutil.rmtree(self._folder, ignore_errors=True)


class Server(Engine):
    """A database server: hanging while all its processes are suspended."""

    def __init__(self, server: PostgresServer | MariadbServer) -> None:
        self._server = server
        self._hangs = False
        server.start()
        self.url = server.url()

    def execute(self, *statements: str) -> None:
        """See Engine."""
        self._server.execute(*statements)

    def start(self) -> None:
        """See Engine."""
        self._server.start()

    def stop(self) -> None:
        """See Engine."""
        self._server.stop()

    def hang(self) -> None:
        """See Engine."""
        self._hangs = True
        self._server.suspend()

    def release(self) -> None:
        """See Engine."""
        if self._hangs:
            self._hangs = False
            self._server.resume()

    def destroy(self) -> None:
        """See Engine."""
        self._server.destroy()


@cache
def sqlite() -> Engine:
    """SQLite."""
    return _kept(Sqlite())


@cache
def postgresql() -> Engine:
    """PostgreSQL.  Raises SkipTest where it is not installed."""
    server = PostgresServer()
    atexit.register(server.destroy)
    engine = Server(server)
    server.execute("CREATE DATABASE mailroute", database="postgres")
    return engine


@cache
def mariadb() -> Engine:
    """MariaDB.  Raises SkipTest where it is not installed."""
    server = MariadbServer()
    atexit.register(server.destroy)
    engine = Server(server)
    server.execute(
        "CREATE DATABASE mailroute CHARACTER SET utf8mb4",
        "CREATE USER mailroute@'127.0.0.1' IDENTIFIED BY 'päss@'",
        "GRANT ALL ON mailroute.* TO mailroute@'127.0.0.1'",
        database="mysql",
    )
    return engine


def _kept(engine: Engine) -> Engine:
    atexit.register(engine.destroy)
    return engine
