"""An IMAP server in threads of the test: anybody with the password, and a stream that is looked at.

It is for tests of mailroute's own behaviour under load and at its end, where what matters is
which server was reached and every octet of the joined stream.  What a real server says is the
affair of the tests against Dovecot.
"""

from __future__ import annotations

import base64
import contextlib
import socketserver
import threading
from typing import Any, cast

from tests.support.ports import LOOPBACK, free_ports

PASSWORD = "secret"
_IDLE_SECONDS = 600
"""Longer than any test has a joined stream say nothing."""


class SampleBackend:
    """A server called ``name``; after the login it answers every command with OK."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.streams: list[Stream] = []
        """The joined streams in which the login command was followed by ``X-RAW``."""
        # Nobody else's when this is stopped.
        (self.port,) = free_ports(1)
        self._server = _Server((LOOPBACK, self.port), _Connection)
        self._server.backend = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the listener; open connections end with their clients."""
        self._server.shutdown()
        self._server.server_close()


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128
    backend: SampleBackend


class Stream:
    """The backend's end of a joined stream: the test writes, and reads what arrived."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._arrived = bytearray()
        self.ended = threading.Event()
        """Set when the client's side has finished."""

    def send(self, data: bytes) -> None:
        """Write."""
        self._connection.sendall(data)

    @property
    def arrived(self) -> bytes:
        """Everything that came since the login."""
        return bytes(self._arrived)

    def follow(self) -> None:
        """Read until the end."""
        with contextlib.suppress(OSError):
            while data := self._connection.recv(65536):
                self._arrived += data
        self.ended.set()


class _Connection(socketserver.StreamRequestHandler):
    timeout = _IDLE_SECONDS

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            self._talk(cast(_Server, self.server).backend)

    def _talk(self, backend: SampleBackend) -> None:
        self._say(f"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] {backend.name}")
        is_in = False
        while line := self.rfile.readline():
            tag, verb, *rest = line.decode().split()
            if verb == "AUTHENTICATE":
                _, user, password = base64.b64decode(rest[1]).decode().split("\0")
                is_in = password == PASSWORD
                self._say(f"{tag} {self._verdict(is_in, backend.name, user)}")
            elif verb == "X-RAW" and is_in:
                self._hand_over(backend, tag)
                return
            elif verb == "LOGOUT":
                self._say(f"* BYE {backend.name}\r\n{tag} OK bye")
                return
            else:
                self._say(f"{tag} OK at {backend.name}")

    def _hand_over(self, backend: SampleBackend, tag: str) -> None:
        """Let the test speak for the server from here on."""
        stream = Stream(self.connection)
        # Before the answer: from then on the test looks for it.
        backend.streams.append(stream)
        self._say(f"{tag} OK raw")
        stream.follow()

    def _verdict(self, is_in: bool, name: str, user: str) -> str:
        if is_in:
            return f"OK [CAPABILITY IMAP4rev1] {user} is at {name}"
        return "NO [AUTHENTICATIONFAILED] wrong password"

    def _say(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")
