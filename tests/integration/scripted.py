"""A backend that does as a test tells it: for what no real server can be made to do."""

from __future__ import annotations

import contextlib
import select
import socket
import ssl
import struct
import threading
from collections.abc import Callable

from tests.integration.certificates import Issued
from tests.support.ports import LOOPBACK, free_ports

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

    def reset(self) -> None:
        """End by a reset."""
        reset_on_close(self.socket)
        # The file holds on to the socket.
        self._file.close()
        self.socket.close()


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
        # Nobody else's when this is closed.
        (self.port,) = free_ports(1)
        self._listening = socket.create_server((LOOPBACK, self.port), backlog=50)
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
            played.close()
            self._playing.discard(connection)


def accept_login(talk: Talk) -> None:
    """Greet an IMAP client and let it in, whoever it is."""
    talk.say(b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN] scripted\r\n")
    tag = talk.line().split()[0]
    talk.say(tag + b" OK [CAPABILITY IMAP4rev1] scripted login\r\n")


GREETINGS = {
    "imap": b"* OK [CAPABILITY IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2] scripted\r\n",
    "pop3": b"+OK scripted\r\n",
    "submission": b"220 scripted ESMTP\r\n",
    "managesieve": b'"SASL" "PLAIN XOAUTH2"\r\nOK "scripted"\r\n',
}
OFFERS = {
    "imap": b"",
    "pop3": b"+OK\r\nSASL PLAIN\r\n.\r\n",
    "submission": b"250-scripted\r\n250 AUTH PLAIN\r\n",
    "managesieve": b"",
}


def until_login(talk: Talk, protocol: str) -> bytes:
    """Play the part before the login; return the command in which mailroute logs in."""
    talk.say(GREETINGS[protocol])
    if OFFERS[protocol]:
        talk.line()
        talk.say(OFFERS[protocol])
    return talk.line()


def relay_to(port: int) -> Script:
    """A script that passes everything to a real server and back."""

    def script(talk: Talk) -> None:
        with socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS) as server:
            back = threading.Thread(target=_copy, args=(server, talk.socket), daemon=True)
            back.start()
            _copy(talk.socket, server)
            back.join()

    return script


def secured_relay_to(port: int, context: ssl.SSLContext) -> Script:
    """A script for a client that knows no TLS of its own: it is wrapped in TLS on its way."""

    def script(talk: Talk) -> None:
        plain = socket.create_connection((LOOPBACK, port), PATIENCE_SECONDS)
        with context.wrap_socket(plain, server_hostname="localhost") as server:
            other: dict[socket.socket, socket.socket] = {talk.socket: server, server: talk.socket}
            # One thread for both directions: a TLS connection is not to be shared by two.
            while readable := [server] * bool(server.pending()) or _readable(list(other)):
                for source in readable:
                    data = source.recv(65536)
                    if not data:
                        return
                    other[source].sendall(data)

    return script


def _readable(sockets: list[socket.socket]) -> list[socket.socket]:
    return list(select.select(sockets, [], [], PATIENCE_SECONDS)[0])


def _copy(source: socket.socket, sink: socket.socket) -> None:
    """Pass octets on until the source ends, then the end."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    with contextlib.suppress(OSError):
        sink.shutdown(socket.SHUT_WR)


def reset_on_close(connection: socket.socket) -> None:
    """Let the close be a reset instead of an orderly end."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class BlackHole:
    """An address whose queue is full: the kernel answers no attempt to connect to it."""

    def __init__(self, address: str = LOOPBACK, port: int = 0) -> None:
        self._listening = socket.create_server((address, port), backlog=0)
        self.port = int(self._listening.getsockname()[1])
        self._fillers: list[socket.socket] = []
        for _ in range(3):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex((address, self.port))
            self._fillers.append(filler)

    def close(self) -> None:
        """Be an ordinary closed port."""
        for each in (self._listening, *self._fillers):
            each.close()
