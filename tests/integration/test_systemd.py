"""A real mailroute under what systemd would do: notification, watchdog, sockets that are passed."""

from __future__ import annotations

import os
import signal
import socket

from twisted.trial.unittest import TestCase

from tests.integration.daemon import (
    PATIENCE_SECONDS,
    Daemon,
    capabilities,
    destinations,
    greeted,
    server,
    table,
)
from tests.support.ports import free_ports, poll

# What systemd does before it runs ExecStart.
_START = """
import os, socket, sys
listening = socket.create_server(("127.0.0.1", {port}))
os.dup2(listening.fileno(), 3)
os.environ["LISTEN_PID"] = os.environ["WATCHDOG_PID"] = str(os.getpid())
from twisted.scripts.twistd import run
sys.exit(run())
"""
WATCHDOG_SECONDS = 1.8
"""Messages come in a third of it.  The socket holds about ten that are not read yet, and what comes
then is lost: a test that is slow to read has six seconds."""


class SystemdTests(TestCase):
    """One process, and several."""

    timeout = 4 * PATIENCE_SECONDS

    def setUp(self) -> None:
        """A port for the socket that is passed."""
        (self.port,) = free_ports(1)
        self.messages: list[str] = []

    def make(self, workers: int) -> Daemon:
        toml = server(workers=workers) + capabilities("imap") + destinations(east=1)
        toml += table("listener.imap", protocol="imap", bind=["systemd:imap"], tls="plain")
        toml += table("mapping", source="file") + table("mapping.file", path="routes")
        daemon = Daemon(toml)
        self.addCleanup(daemon.remove)
        (daemon.folder / "routes").write_text("alice east\n")
        self.told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(self.told.close)
        self.told.setblocking(False)
        self.told.bind(str(daemon.folder / "notify"))
        return daemon

    def start(self, workers: int) -> Daemon:
        """Run it as ExecStart is run, until it is ready."""
        daemon = self.make(workers)
        environment = {
            "NOTIFY_SOCKET": str(daemon.folder / "notify"),
            "WATCHDOG_USEC": str(int(WATCHDOG_SECONDS * 1e6)),
            "LISTEN_FDS": "1",
            "LISTEN_FDNAMES": "imap",
        }
        daemon.run(["-n"], environment=environment, code=_START.format(port=self.port))
        self.await_message("READY=1")
        return daemon

    def read(self) -> None:
        try:
            while True:
                self.messages.append(self.told.recv(4096).decode())
        except BlockingIOError:
            return

    def await_message(self, beginning: str) -> None:
        """Wait for a message; those before it are forgotten."""

        def has_come() -> bool:
            self.read()
            return any(each.startswith(beginning) for each in self.messages)

        self.assertTrue(poll(has_come, PATIENCE_SECONDS), (beginning, self.messages))
        while not self.messages.pop(0).startswith(beginning):
            pass

    def try_life(self, workers: int) -> None:
        """From the start to the end."""
        daemon = self.start(workers)
        connection, greeting = greeted(self.port)
        connection.close()
        self.assertTrue(greeting.startswith(b"* OK"), greeting)
        for _ in range(3):
            self.await_message("WATCHDOG=1")
        daemon.signal(signal.SIGHUP)
        self.await_message("RELOADING=1\nMONOTONIC_USEC=")
        self.await_message("READY=1")
        os.kill(daemon.pid, signal.SIGTERM)
        self.await_message("STOPPING=1")
        # As twistd ends; systemd takes that for success.
        self.assertEqual(daemon.status(), -signal.SIGTERM, daemon.log_text())
        self.assertEqual(daemon.defects(), [])

    def test_one_process(self) -> None:
        """The process itself tells."""
        self.try_life(1)

    def test_workers(self) -> None:
        """The supervisor tells, once for all, and no worker does."""
        self.try_life(2)
        self.read()
        self.assertEqual([m for m in self.messages if m.startswith("READY")], [])
