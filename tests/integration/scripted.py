"""A backend that does as a test tells it: for what no real server can be made to do."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
from collections.abc import Callable

from tests.integration.certificates import Issued
from tests.support.ports import LOOPBACK

PATIENCE_SECONDS = 60


class Talk:
    """One connection, from the backend's side."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def say(self, text: bytes) -> None:
        """Send octets."""
        self.socket.sendall(text)

    def line(self) -> bytes:
        """The next line without its end.  Raises EOFError at the end of the stream."""
        line = self._file.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line.rstrip(b"\r\n")

    def until_left(self) -> None:
        """Take what comes and say nothing, until the other side is gone."""
        while self._file.read1(65536):
            pass

    def read_into(self, buffer: memoryview) -> None:
        """Fill the buffer.  Raises EOFError at the end of the stream."""
        at = 0
        while at < len(buffer):
            count = self._file.readinto1(buffer[at:])
            if not count:
                raise EOFError
            at += count


Script = Callable[[Talk], None]


class ScriptedBackend:
    """Listens on loopback; each connection is played by the present ``script`` in a thread."""

    def __init__(self, script: Script, certificate: Issued | None = None) -> None:
        """``certificate``: TLS from the first byte."""
        self.script = script
        self.accepted = 0
        self._playing: set[socket.socket] = set()
        self._context: ssl.SSLContext | None = None
        if certificate is not None:
            self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            self._context.load_cert_chain(certificate.cert, certificate.key)
        self._listening = socket.create_server((LOOPBACK, 0), backlog=50)
        self.port = int(self._listening.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def open(self) -> int:
        """How many connections have not ended."""
        return len(self._playing)

    def close(self) -> None:
        """Accept no more, and cut what is open."""
        with contextlib.suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()
        for connection in list(self._playing):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _address = self._listening.accept()
                self.accepted += 1
                self._playing.add(connection)
                threading.Thread(target=self._play, args=(connection,), daemon=True).start()

    def _play(self, connection: socket.socket) -> None:
        played = connection
        try:
            connection.settimeout(PATIENCE_SECONDS)
            if self._context is not None:
                played = self._context.wrap_socket(connection, server_side=True)
            self.script(Talk(played))
        except (OSError, EOFError):
            pass  # mailroute has left, which the test sees by ``open``.
        finally:
            self._playing.discard(connection)
            played.close()


def accept_login(talk: Talk) -> None:
    """Greet an IMAP client and let it in, whoever it is."""
    talk.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] scripted\r\n")
    tag = talk.line().split()[0]
    talk.say(tag + b" OK [CAPABILITY IMAP4rev1] scripted login\r\n")
