"""A private PostgreSQL server."""

from __future__ import annotations

import atexit
import contextlib
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import psycopg2
from twisted.trial.unittest import SkipTest

from tests.integration.certificates import Authority
from tests.support.ports import free_ports
from tests.support.processes import suspend

MISSING = "missing postgres: apt-get install postgresql"
START_SECONDS = 60


def _program(name: str) -> str:
    found = shutil.which(name)
    versions = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True)
    if found is None and not versions:
        raise SkipTest(MISSING)
    return found or str(versions[0])


class PostgresServer:
    """A server with its own data folder, TLS and trust for everybody on loopback."""

    def __init__(self) -> None:
        self._user = "postgres" if os.geteuid() == 0 else None
        self._postgres = _program("postgres")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-pg-"))
        self.folder.chmod(0o755)
        self.port = free_ports(1)[0]
        self._process: subprocess.Popen[bytes] | None = None
        Authority(self.folder).issue("server", ("localhost", "127.0.0.1"))
        if self._user:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, self._user)
        self._run(
            [
                *(_program("initdb"), "-D", str(self.folder / "data"), "-A", "trust"),
                *("-U", "postgres", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"),
            ]
        )
        with (self.folder / "data" / "postgresql.conf").open("a") as config:
            config.write(
                f"listen_addresses='127.0.0.1'\nport={self.port}\nfsync=off\nssl=on\n"
                f"unix_socket_directories='{self.folder}'\n"
                f"ssl_cert_file='{self.folder}/server.pem'\n"
                f"ssl_key_file='{self.folder}/server.key'\n"
            )

    def _run(self, command: list[str]) -> None:
        done = subprocess.run(
            command, user=self._user, cwd=self.folder, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{command[0]}: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start and wait until queries are answered."""
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._postgres, "-D", str(self.folder / "data")],
                user=self._user,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1", database="postgres")
                return
            except psycopg2.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server; clients are cut."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    def suspend(self) -> None:
        """Hang: every process of the server is stopped, connections stay open."""
        suspend(self._pids)

    def resume(self) -> None:
        """Go on after ``suspend``."""
        for pid in self._pids():
            # A server process for a connection that has just ended may be gone already.
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    def _pids(self) -> list[int]:
        """The postmaster first, then its children."""
        assert self._process is not None
        parent = self._process.pid
        children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
        return [parent, *map(int, children)]

    def destroy(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self.resume()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "mailroute", **options: str) -> str:
        """The URL of a database, without TLS unless ``sslmode`` is given."""
        query = urlencode({"sslmode": "disable", **options}, quote_via=quote)
        return f"postgresql://postgres:secret@127.0.0.1:{self.port}/{database}?{query}"

    def connect(self, database: str = "mailroute") -> Any:
        """A blocking connection in autocommit mode, as the superuser."""
        connection = psycopg2.connect(
            host="127.0.0.1", port=self.port, user="postgres", dbname=database, connect_timeout=10
        )
        connection.autocommit = True
        return connection

    def execute(self, *statements: str, database: str = "mailroute") -> list[tuple[Any, ...]]:
        """Execute statements one by one; return the rows of the last."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall()) if cursor.description else []
        finally:
            connection.close()


@functools.cache
def shared_server() -> PostgresServer:
    """The one server of this test run, started when it is first needed."""
    server = PostgresServer()
    atexit.register(server.destroy)
    server.start()
    server.execute("CREATE DATABASE mailroute", database="postgres")
    return server
