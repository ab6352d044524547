"""A poller driven by hand over socket pairs: no port, no sleep, no global reactor."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from twisted.internet.task import Clock
from twisted.python.failure import Failure as Caught

from mailroute.net.poller import Poller
from mailroute.net.stream import Stream

ROUNDS = 400


class HandReactor(Clock):
    """The part of a reactor that a poller uses."""

    def __init__(self) -> None:
        super().__init__()
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        """Watch."""
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        """Watch no more."""
        self.readers.remove(reader)


class Recorder:
    """A protocol that notes what it hears."""

    def __init__(self) -> None:
        self.transport: Stream
        self.heard = b""
        self.story: list[str] = []
        self.reason: Caught | None = None
        self.on_data: Callable[[bytes], None] = lambda data: None

    def makeConnection(self, transport: Stream) -> None:
        """The connection stands."""
        self.transport = transport
        self.story.append("made")

    def dataReceived(self, data: bytes) -> None:
        """Bytes."""
        self.heard += data
        self.on_data(data)

    def readConnectionLost(self) -> None:
        """The other side has finished."""
        self.story.append("read-ended")

    def handshakeCompleted(self) -> None:
        """TLS stands."""
        self.story.append("secure")

    def connectionLost(self, reason: Caught) -> None:
        """The end."""
        self.story.append("lost")
        self.reason = reason


class Loop:
    """A poller, its clock, and streams over socket pairs."""

    def __init__(self) -> None:
        self.reactor = HandReactor()
        self.poller = Poller(self.reactor)
        self.poller.start()
        self._sockets: list[socket.socket] = []

    def stream(self, protocol: Any | None = None) -> tuple[Any, socket.socket]:
        """A protocol on a stream of its own, and the socket at the other end."""
        ours, theirs = socket.socketpair()
        for each in (ours, theirs):
            each.setblocking(False)
        self._sockets.append(theirs)
        if protocol is None:
            protocol = Recorder()
        self.open(ours, protocol)
        return protocol, theirs

    def open(self, sock: socket.socket, protocol: Any) -> Stream:
        """A stream over this socket."""
        stream = Stream(self.poller, sock, (None, None))
        self.poller.watch(sock.fileno(), stream)
        stream.open(protocol)
        return stream

    def turn(self, rounds: int = 6) -> None:
        """Let the poller look a few times, as the reactor would."""
        for _ in range(rounds):
            self.poller.doRead()
            self.reactor.advance(0)

    def until(self, condition: Callable[[], bool]) -> None:
        """Turn until something is true; raises AssertionError when it never is."""
        for _ in range(ROUNDS):
            if condition():
                return
            self.turn(1)
        raise AssertionError("it never came about")

    def close(self) -> None:
        """Give the descriptors back."""
        self.poller.close()
        for each in self._sockets:
            each.close()


def read_all(sock: socket.socket) -> bytes:
    """What waits at a socket now."""
    data = b""
    while True:
        try:
            chunk = sock.recv(1 << 20)
        except BlockingIOError:
            return data
        if not chunk:
            return data
        data += chunk
