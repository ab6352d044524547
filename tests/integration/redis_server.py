"""A private Redis server."""

from __future__ import annotations

import atexit
import functools
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

from twisted.trial.unittest import SkipTest

from tests.integration.certificates import Authority
from tests.support.ports import free_ports
from tests.support.processes import suspend

MISSING = "missing redis-server: apt-get install redis-server"
PASSWORD = "s3cret@:/"
START_SECONDS = 30


class RedisServer:
    """A server with its own folder, a password, a Unix socket and TLS, on loopback."""

    def __init__(self) -> None:
        program = shutil.which("redis-server")
        if program is None:
            raise SkipTest(MISSING)
        self._program = program
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-redis-"))
        self.port, self.tls_port = free_ports(2)
        self.socket = str(self.folder / "s")
        Authority(self.folder).issue("server", ("localhost",))
        self._process: subprocess.Popen[bytes] | None = None
        self._config = self.folder / "redis.conf"
        self._config.write_text(
            f'bind 127.0.0.1\nport {self.port}\ndir {self.folder}\nrequirepass "{PASSWORD}"\n'
            f'unixsocket {self.socket}\nsave ""\nlogfile {self.folder}/log\n'
            f"tls-port {self.tls_port}\ntls-auth-clients no\n"
            f"tls-cert-file {self.folder}/server.pem\ntls-key-file {self.folder}/server.key\n"
            f"tls-ca-cert-file {self.folder}/ca.pem\n"
        )

    def url(self, database: int = 0) -> str:
        """The URL of a database."""
        return f"redis://:s3cret%40%3A%2F@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start and wait until it answers."""
        self._process = subprocess.Popen(
            [self._program, str(self._config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        give_up = time.monotonic() + START_SECONDS
        while True:
            try:
                self.command("PING")
                return
            except OSError:
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
        """Hang: connections stay open."""
        assert self._process is not None
        pid = self._process.pid
        suspend(lambda: [pid])

    def resume(self) -> None:
        """Go on after ``suspend``."""
        if self._process is not None:
            self._process.send_signal(signal.SIGCONT)

    def destroy(self) -> None:
        """End the server and remove its folder."""
        self.resume()
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def command(self, *words: str | bytes) -> bytes:
        """Carry out one command whose reply is short; return the reply."""
        with socket.create_connection(("127.0.0.1", self.port), START_SECONDS) as connection:
            connection.sendall(_encoded("AUTH", PASSWORD) + _encoded(*words))
            with connection.makefile("rb") as replies:
                if replies.readline() != b"+OK\r\n":
                    raise RuntimeError("no login")
                return replies.readline()


def _encoded(*words: str | bytes) -> bytes:
    octets = [word if isinstance(word, bytes) else word.encode() for word in words]
    parts = [b"$%d\r\n%s\r\n" % (len(word), word) for word in octets]
    return b"*%d\r\n%s" % (len(octets), b"".join(parts))


@functools.cache
def shared_server() -> RedisServer:
    """The one server of this test run, started when it is first needed."""
    server = RedisServer()
    atexit.register(server.destroy)
    server.start()
    return server
