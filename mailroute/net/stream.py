"""A TCP connection of our own, with or without TLS.

It does for a peer what Twisted's transports do, at a fraction of their cost: bytes are sent at
once where the kernel takes them, buffers exist only while bytes wait, and TLS is bound to the
descriptor instead of passing through memory.

Reading follows the edges that the poller reports: after one the connection counts as readable
until the kernel, or OpenSSL, says that nothing is left.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.python.failure import Failure as Caught

from mailroute.net.poller import ENDED, READABLE, WRITABLE, Poller
from mailroute.net.tls import TLSSide

READ_OCTETS = 65536
RECORD_OCTETS = 16384  # What one record of TLS holds at most (RFC 8446 section 5.1).
RECORDS_A_CHUNK = 4
_CHUNKS_A_ROUND = 2
"""Before the others have their turn; more of them cost bulk no less, and a NOOP would wait."""
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)

DONE = Caught(ConnectionDone())
LOST = Caught(ConnectionLost())


class Stream:
    """One connection; its protocol is called as Twisted calls a protocol."""

    __slots__ = (
        "_end_is_seen",
        "_fails_with",
        "_is_closing",
        "_is_handshaking",
        "_is_paused",
        "_is_queued",
        "_out",
        "_poller",
        "_protocol",
        "_sock",
        "_tls",
        "_when_sent",
        "addresses",
        "is_readable",
        "on_chunk",
        "on_writable",
    )

    def __init__(self, poller: Poller, sock: socket.socket, addresses: tuple[Any, Any]) -> None:
        """``sock`` is connected and does not block; ``addresses``: the peer's and ours."""
        self._poller = poller
        self._sock: socket.socket | None = sock
        self._protocol: Any = None
        self._tls: SSL.Connection | None = None
        self._out: bytearray | None = None
        self._when_sent: Callable[[], None] | None = None
        self._fails_with = DONE
        self._is_handshaking = False
        self._is_queued = False
        self._is_paused = False
        self._is_closing = False
        self._end_is_seen = False
        self.is_readable = False
        """Whether bytes, or the end, may wait to be read."""
        self.addresses = addresses
        self.on_chunk: Callable[[], None] | None = None
        """Takes one chunk by ``receive``, instead of the protocol."""
        self.on_writable: Callable[[], None] | None = None
        """Called when there is room again and nothing of ours waits for it."""

    def open(self, protocol: Any) -> None:
        """Begin: the poller watches, the protocol is told."""
        self._protocol = protocol
        protocol.makeConnection(self)

    def hand_over(self, protocol: Any) -> None:
        """Another protocol is called from now on; nobody asks for the addresses any more."""
        self._protocol, self.addresses = protocol, (None, None)

    # -- the poller's side ---------------------------------------------------------------

    def ready(self, mask: int) -> None:
        """Bytes wait, there is room, or the other side has ended."""
        if mask & ENDED:
            self._end_is_seen = True
        if mask & READABLE:
            self.is_readable = True
        if self._is_handshaking:
            self._queue(self._poller.slowly, self._handshake)
            return
        if mask & WRITABLE and (self._out is not None or self.on_writable is not None):
            self._flush()
        self._read()

    def defect(self) -> None:
        """It broke, or a defect of ours broke it: end this connection alone."""
        self._fail(LOST)

    # -- reading -------------------------------------------------------------------------

    def receive(self) -> bytes | None:
        """A chunk; empty at the end, None while nothing waits (``is_readable`` tells)."""
        try:
            if self._sock is None or self._tls is not None:
                return self._receive_records(self._tls) if self._tls is not None else None
            chunk = self._sock.recv(READ_OCTETS)
        except (BlockingIOError, SSL.WantReadError, SSL.WantWriteError):
            self.is_readable = False
            return None
        except SSL.ZeroReturnError:
            return b""
        except (OSError, SSL.Error) as error:
            # Many peers close without a close_notify; it is an end like any other here.
            is_end = isinstance(error, SSL.SysCallError) and error.args[0] == -1
            self._fail(DONE if is_end else LOST)
            return None
        if len(chunk) < READ_OCTETS and not self._end_is_seen:
            # A short read has emptied the socket; the next bytes come with an edge of their own.
            self.is_readable = False
        return chunk

    def _receive_records(self, tls: SSL.Connection) -> bytes:
        """One record, or several where they are full: then more are likely to wait."""
        chunk = tls.recv(RECORD_OCTETS)
        if len(chunk) < RECORD_OCTETS:
            return chunk
        chunks = [chunk]
        try:
            while len(chunk) == RECORD_OCTETS and len(chunks) < RECORDS_A_CHUNK:
                chunk = tls.recv(RECORD_OCTETS)
                chunks.append(chunk)
        except SSL.WantReadError:
            self.is_readable = False
        except SSL.Error:
            pass  # It comes again with the next call, behind what was received before it.
        return b"".join(chunks)

    def ended(self) -> None:
        """``receive`` returned the end."""
        self.is_readable = False
        if self._tls is not None:
            # Mail programs close TLS as a whole, never one half; many wait for an answer to that.
            self._finish()
        elif self._protocol is not None:
            self._protocol.readConnectionLost()

    def pauseProducing(self) -> None:
        """Stop reading."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Read on, in the next round."""
        self._is_paused = False
        if self.is_readable:
            self._queue(self._poller.again, self._resume)

    def _read(self) -> None:
        for _ in range(_CHUNKS_A_ROUND):
            # OpenSSL would make a read a part of the handshake, before anybody has verified.
            if not self.is_readable or self._is_paused or self._is_handshaking:
                return
            (self.on_chunk or self._deliver)()
        self._queue(self._poller.again, self._resume)

    def _resume(self) -> None:
        self._is_queued = False
        if self._is_handshaking:
            self._queue(self._poller.slowly, self._handshake)
        else:
            self._read()

    def _deliver(self) -> None:
        chunk = self.receive()
        if chunk:
            self._protocol.dataReceived(chunk)
        elif chunk is not None:
            self.ended()

    # -- writing -------------------------------------------------------------------------

    @property
    def is_blocked(self) -> bool:
        """Whether bytes of ours wait for room."""
        return self._out is not None

    def write(self, data: bytes) -> None:
        """Send, and keep what the kernel does not take yet."""
        if self._sock is None or self._is_closing:
            return
        if self._out is not None:
            self._out += data
        else:
            sent = 0 if self._is_handshaking else self._send(data)
            if sent < len(data):
                self._out = bytearray(data[sent:])

    def _send(self, data: bytes | bytearray) -> int:
        """Send what is taken now; returns the number of octets."""
        sent = 0
        try:
            if self._tls is None:
                return self._sock.send(data) if self._sock is not None else len(data)
            while sent < len(data):
                sent += self._tls.send(data[sent:] if sent else data)
        except (BlockingIOError, SSL.WantWriteError, SSL.WantReadError):
            return sent
        except (OSError, SSL.Error):
            self._fail(LOST)
            return len(data)
        return sent

    def _flush(self) -> None:
        if self._out is not None:
            del self._out[: self._send(self._out)]
            if self._out:
                return
            self._out = None
        follow, self._when_sent = self._when_sent or self.on_writable, None
        if follow is not None:
            follow()

    def _after_sending(self, call: Callable[[], None]) -> None:
        """Call this when everything written so far is sent."""
        if self._out is None:
            call()
        else:
            self._when_sent = call

    # -- TLS -----------------------------------------------------------------------------

    def startTLS(self, side: TLSSide) -> None:
        """Begin the handshake, after what was written."""
        self._after_sending(lambda: self._begin_tls(side))

    def getHandle(self) -> Any:
        """The socket, or the TLS connection."""
        return self._tls or self._sock

    def _begin_tls(self, side: TLSSide) -> None:
        if self._sock is None:
            return
        self._tls = side.connection(self._sock)
        self._is_handshaking = True
        # A client speaks first; a server only has to if the hello is there already.
        self._queue(self._poller.slowly, self._handshake)

    def _handshake(self) -> None:
        self._is_queued = False
        if self._tls is None or self._sock is None:
            return
        try:
            self._tls.do_handshake()
        except (SSL.WantReadError, SSL.WantWriteError):
            return
        except SSL.Error as error:
            self._fail(LOST if isinstance(error, SSL.SysCallError) else Caught())
            return
        self._is_handshaking = False
        self.is_readable = True
        self._protocol.handshakeCompleted()
        if self._out is not None and not self._is_closing:
            self._flush()
        self._resume()

    # -- ending --------------------------------------------------------------------------

    def loseConnection(self) -> None:
        """Close, after what was written."""
        if self._sock is None or self._is_closing:
            return
        self._is_closing = self._is_paused = True
        self._after_sending(self._finish)

    def loseWriteConnection(self) -> None:
        """Close our half, after what was written; not over TLS."""
        self._after_sending(self._shut_write)

    def abortConnection(self) -> None:
        """Close at once and drop what waits."""
        if self._sock is not None:
            self._out = None
            self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            self._fail(LOST)

    def _shut_write(self) -> None:
        if self._sock is not None:
            try:
                self._sock.shutdown(socket.SHUT_WR)
            except OSError:
                self._fail(LOST)

    def _finish(self) -> None:
        try:
            if self._tls is not None and not self._is_handshaking:
                self._tls.shutdown()
            if self.is_readable and self._sock is not None:
                # Unread bytes would turn our end into a reset, and cost the client our last line.
                self._sock.recv(READ_OCTETS)
        except (OSError, SSL.Error):
            pass
        self._fail(DONE)

    def _fail(self, reason: Caught) -> None:
        """The connection is over; its protocol hears of it in the next round, never within."""
        if self._sock is not None and self._fails_with is not LOST:
            self._fails_with = reason
        self._is_closing = self._is_paused = True
        self._poller.again(self._lose)

    def _lose(self) -> None:
        sock, self._sock = self._sock, None
        if sock is None:
            return
        self._poller.forget(sock.fileno())
        self.is_readable = False
        self._tls = self._out = self._when_sent = self.on_chunk = self.on_writable = None
        sock.close()
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(self._fails_with)

    def _queue(self, queue: Callable[[Callable[[], None]], None], call: Callable[[], None]) -> None:
        if not self._is_queued:
            self._is_queued = True
            queue(call)

    def fileno(self) -> int:
        """The descriptor, -1 once it is closed."""
        return -1 if self._sock is None else self._sock.fileno()

    def getPeer(self) -> Any:
        """The other end's address."""
        return self.addresses[0]

    def getHost(self) -> Any:
        """Our end's address."""
        return self.addresses[1]
