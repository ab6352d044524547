"""A private MariaDB server."""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pymysql
from twisted.trial.unittest import SkipTest

from tests.integration.certificates import Authority
from tests.support.ports import free_ports
from tests.support.processes import suspend

MISSING = "missing mariadbd: apt-get install mariadb-server"
START_SECONDS = 60


def _program(name: str) -> str:
    found = shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")
    if found is None:
        raise SkipTest(MISSING)
    return found


class MariadbServer:
    """A server with its own data folder and a user ``mailroute`` on loopback.

    Its certificate is for ``localhost``, not for the address.
    """

    def __init__(self) -> None:
        self._mariadbd = _program("mariadbd")
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-my-"))
        self.folder.chmod(0o755)
        self.port = free_ports(1)[0]
        self.socket = str(self.folder / "s")
        self._process: subprocess.Popen[bytes] | None = None
        Authority(self.folder).issue("server", ("localhost",))
        self._config = self.folder / "my.cnf"
        root = os.geteuid() == 0
        self._config.write_text(
            "[mariadbd]\n"
            + ("user=mysql\n" if root else "")
            + f"datadir={self.folder}/data\nsocket={self.socket}\npid-file={self.folder}/pid\n"
            f"bind-address=127.0.0.1\nport={self.port}\nlog-error={self.folder}/log\n"
            f"ssl-ca={self.folder}/ca.pem\nssl-cert={self.folder}/server.pem\n"
            f"ssl-key={self.folder}/server.key\n"
            "innodb_flush_log_at_trx_commit=0\ninnodb_buffer_pool_size=64M\n"
            "skip-name-resolve\nskip-log-bin\n"
        )
        if root:
            for path in (self.folder, *self.folder.iterdir()):
                shutil.chown(path, "mysql")
        self._install(["--user=mysql"] if root else [])

    def _install(self, as_user: list[str]) -> None:
        done = subprocess.run(
            [
                _program("mariadb-install-db"),
                f"--defaults-file={self._config}",
                *as_user,
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"mariadb-install-db: {done.stdout}{done.stderr}")

    def start(self) -> None:
        """Start and wait until queries are answered."""
        self._process = subprocess.Popen(
            [self._mariadbd, f"--defaults-file={self._config}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1", database="mysql")
                return
            except pymysql.OperationalError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.05)

    def stop(self) -> None:
        """End the server; clients are cut."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_SECONDS)
            self._process = None

    def suspend(self) -> None:
        """Hang: the server is stopped, connections stay open."""
        assert self._process is not None
        pid = self._process.pid
        suspend(lambda: [pid])

    def resume(self) -> None:
        """Go on after ``suspend``."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End the server and remove its folder."""
        if self._process is not None:
            self.resume()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str = "mailroute", **options: str) -> str:
        """The URL of a database for the user ``mailroute``."""
        query = f"?{urlencode(options)}" if options else ""
        return f"mysql://mailroute:p%C3%A4ss%40@127.0.0.1:{self.port}/{database}{query}"

    def connect(self, database: str = "mailroute") -> Any:
        """A blocking connection in autocommit mode, as root."""
        return pymysql.connect(
            unix_socket=self.socket,
            user="root",
            database=database,
            autocommit=True,
            charset="utf8mb4",
            ssl_disabled=True,
        )

    def execute(self, *statements: str, database: str = "mailroute") -> list[tuple[Any, ...]]:
        """Execute statements one by one; return the rows of the last."""
        connection = self.connect(database)
        try:
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)
                return list(cursor.fetchall())
        finally:
            connection.close()


@functools.cache
def shared_server() -> MariadbServer:
    """The one server of this test run, started when it is first needed."""
    server = MariadbServer()
    atexit.register(server.destroy)
    server.start()
    server.execute(
        "CREATE DATABASE mailroute CHARACTER SET utf8mb4",
        "CREATE USER mailroute@'127.0.0.1' IDENTIFIED BY 'päss@'",
        "CREATE USER mailroute@localhost IDENTIFIED BY 'päss@'",
        "GRANT ALL ON mailroute.* TO mailroute@'127.0.0.1'",
        "GRANT ALL ON mailroute.* TO mailroute@localhost",
        database="mysql",
    )
    return server
