"""The engine that leaves the bytes in the kernel: splice(2) between two plain sockets.

The transports first send what they hold; then their descriptors are registered with the
reactor under our own readers, and a direction is: socket, pipe, socket.  The pipe is borrowed
while bytes wait in it.  At the end the transports get their descriptors back to close them.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import Any, Protocol

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure as Caught
from zope.interface import implementer

from mailroute.net.joint import Joint, Side
from mailroute.net.peer import Peer
from mailroute.net.pipes import PIPE_OCTETS, Pipe, PipePool
from mailroute.net.transport import Clock

_FLAGS = 0x01 | 0x02  # SPLICE_F_MOVE | SPLICE_F_NONBLOCK
_COPY_OCTETS = 65536


class FDReactor(Clock, Protocol):
    """Time, and watched descriptors."""

    def addReader(self, reader: Any) -> None:
        """Watch for bytes."""

    def addWriter(self, writer: Any) -> None:
        """Watch for room."""

    def removeReader(self, reader: Any) -> None:
        """Watch no more."""

    def removeWriter(self, writer: Any) -> None:
        """Watch no more."""


class _Drained:
    """A pull producer that is asked for more exactly when a transport has sent everything."""

    def __init__(self, transport: Any, then: Any) -> None:
        self._transport = transport
        self._then = then
        self._asked_at_registration = False
        transport.registerProducer(self, False)
        transport.startWriting()

    def resumeProducing(self) -> None:
        """Everything was sent, unless this is the call that registration makes."""
        if not self._asked_at_registration:
            self._asked_at_registration = True
            return
        self._transport.unregisterProducer()
        self._then()

    def stopProducing(self) -> None:
        """The connection went away first; the peer reports that."""


@implementer(IReadWriteDescriptor)
class _Socket:
    """One of the two descriptors, as the reactor sees it."""

    def __init__(self, splice: KernelSplice, side: Side, descriptor: int) -> None:
        self._splice = splice
        self.side = side
        self._descriptor = descriptor
        self.outgoing: _Direction
        """From this socket to the other."""
        self.incoming: _Direction
        """From the other socket to this."""

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def doRead(self) -> None:
        """Bytes wait."""
        if not self._splice.is_ending:
            self.outgoing.pull()

    def doWrite(self) -> None:
        """There is room, unless reading a moment ago has ended it all."""
        if not self._splice.is_ending:
            self.incoming.push()

    def connectionLost(self, reason: Caught) -> None:
        """The reactor noticed the end before we did."""
        self.broken()

    def broken(self) -> None:
        """This connection broke under our hands."""
        self._splice.broken(self.side)

    def logPrefix(self) -> str:
        """For Twisted's log."""
        return "splice"


class _Direction:
    """Bytes from one socket to the other, through a borrowed pipe."""

    def __init__(self, reactor: FDReactor, pool: PipePool, source: _Socket, sink: _Socket) -> None:
        self._reactor = reactor
        self._pool = pool
        self._source = source
        self._sink = sink
        self._pipe: Pipe | None = None
        self._in_pipe = 0
        self._copied = b""
        self._is_waiting_for_room = False

    def pull(self) -> None:
        """Take what waits at the source and push it on."""
        if self._in_pipe or self._copied:
            return
        try:
            taken = self._take()
        except BlockingIOError:
            self._give_pipe_back()
        except OSError:
            self._source.broken()
        else:
            self._source.side.octets += taken
            if taken:
                self.push()
            else:
                self._give_pipe_back()
                self._reactor.removeReader(self._source)
                self._source.side.read_ended()

    def push(self) -> None:
        """Pass on what is held; wait for room when the sink takes no more."""
        try:
            while self._in_pipe and self._pipe is not None:
                read_end = self._pipe.read_end
                sink = self._sink.fileno()
                self._in_pipe -= os.splice(read_end, sink, self._in_pipe, flags=_FLAGS)
            while self._copied:
                self._copied = self._copied[os.write(self._sink.fileno(), self._copied) :]
        except BlockingIOError:
            self._wait_for_room()
            return
        except OSError:
            self._sink.broken()
            return
        self._give_pipe_back()
        if self._is_waiting_for_room:
            self._is_waiting_for_room = False
            self._reactor.removeWriter(self._sink)
            self._reactor.addReader(self._source)

    def stop(self) -> None:
        """Drop what is in flight."""
        pipe, self._pipe = self._pipe, None
        self._in_pipe, self._copied = 0, b""
        if pipe is not None:
            self._pool.discard(pipe)

    def _take(self) -> int:
        """Take what waits, into a pipe if there is one; returns how much: none at the end."""
        self._pipe = self._pool.take()
        source = self._source.fileno()
        if self._pipe is None:
            self._copied = os.read(source, _COPY_OCTETS)
            return len(self._copied)
        self._in_pipe = os.splice(source, self._pipe.write_end, PIPE_OCTETS, flags=_FLAGS)
        return self._in_pipe

    def _wait_for_room(self) -> None:
        if not self._is_waiting_for_room:
            self._is_waiting_for_room = True
            self._reactor.removeReader(self._source)
            self._reactor.addWriter(self._sink)

    def _give_pipe_back(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None:
            self._pool.give_back(pipe)


class KernelSplice(Joint):
    """A joint of two plain TCP connections."""

    def __init__(
        self,
        client: Peer,
        backend: Peer,
        reactor: FDReactor,
        idle_seconds: float,
        pool: PipePool,
    ) -> None:
        super().__init__(client, backend, reactor, idle_seconds)
        self._reactor = reactor
        self._pool = pool
        self._sockets: tuple[_Socket, ...] = ()
        self._undrained = 2

    def broken(self, side: Side) -> None:
        """This side's connection broke under our hands."""
        self.end(side.name + "-lost")

    def _begin(self) -> None:
        for side in (self.client, self.backend):
            side.peer.pause_reading()
            _Drained(side.peer.transport, self._drained)

    def _drained(self) -> None:
        self._undrained -= 1
        if self._undrained or self.is_ending:
            return
        client, backend = (
            _Socket(self, side, side.peer.transport.getHandle().fileno())  # type: ignore[attr-defined]
            for side in (self.client, self.backend)
        )
        client.outgoing = backend.incoming = _Direction(self._reactor, self._pool, client, backend)
        backend.outgoing = client.incoming = _Direction(self._reactor, self._pool, backend, client)
        self._sockets = (client, backend)
        for each in self._sockets:
            self._reactor.addReader(each)

    def _stop_moving(self) -> None:
        sockets, self._sockets = self._sockets, ()
        for each in sockets:
            self._reactor.removeReader(each)
            self._reactor.removeWriter(each)
            each.outgoing.stop()
        if not sockets:
            for side in (self.client, self.backend):
                if side.peer.is_connected:
                    side.peer.transport.unregisterProducer()

    def _pass_end_on(self, side: Side) -> None:
        handle = side.peer.transport.getHandle()
        # A connection that was reset meanwhile is noticed by its own reader.
        with contextlib.suppress(OSError):
            handle.shutdown(socket.SHUT_WR)  # type: ignore[attr-defined]
