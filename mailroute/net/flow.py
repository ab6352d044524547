"""One direction of a joined session: bytes from one stream to the other.

Small chunks are read and sent at once.  A chunk as large as can be read announces bulk: between
plain connections the kernel's splice(2) then moves up to a mebibyte a call through a borrowed
pipe, until a small chunk comes again.  A stream that cannot be written to pauses the reading of
the other one, so a direction never holds more than a chunk or a pipe.
"""

from __future__ import annotations

import os

from mailroute.net.pipes import PIPE_OCTETS, Pipe, PipePool
from mailroute.net.stream import READ_OCTETS, Stream

_FLAGS = 0x01 | 0x02  # SPLICE_F_MOVE | SPLICE_F_NONBLOCK
_SMALL_OCTETS = READ_OCTETS // 2


class Flow:
    """From ``source`` to ``sink``; a stream is told of its own end."""

    __slots__ = ("_in_pipe", "_pipe", "_pool", "octets", "sink", "source")

    def __init__(self, source: Stream, sink: Stream, pool: PipePool | None) -> None:
        """``pool``: None where TLS is on one of the legs."""
        self.source = source
        self.sink = sink
        self.octets = 0
        """Received from the source."""
        self._pool = pool
        self._pipe: Pipe | None = None
        self._in_pipe = 0

    def start(self) -> None:
        """Take the source's chunks from now on."""
        self.source.on_chunk = self._copy
        self.source.resumeProducing()

    def stop(self) -> None:
        """Drop what is in flight."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None and self._pool is not None:
            self._pool.discard(pipe) if self._in_pipe else self._pool.give_back(pipe)

    def _copy(self) -> None:
        chunk = self.source.receive()
        if chunk is None:
            return
        if not chunk:
            self.source.ended()
            return
        self.octets += len(chunk)
        self.sink.write(chunk)
        if self.sink.is_blocked:
            self.source.pauseProducing()
            self.sink.on_writable = self._go_on
        elif len(chunk) == READ_OCTETS and self._pool is not None:
            self.source.on_chunk = self._splice

    def _go_on(self) -> None:
        self.sink.on_writable = None
        self.source.resumeProducing()

    def _splice(self) -> None:
        """Fill the pipe from the source and empty it into the sink."""
        pool, descriptor = self._pool, self.source.fileno()
        self._pipe = pool.take() if pool is not None else None
        if self._pipe is None:
            self.source.on_chunk = self._copy
            return
        try:
            self._in_pipe = os.splice(descriptor, self._pipe.write_end, PIPE_OCTETS, flags=_FLAGS)
        except BlockingIOError:
            self.source.is_readable = False
            self._rest()
            return
        except OSError:
            self._rest()
            self.source.defect()
            return
        if self._in_pipe == 0:
            self._rest()
            self.source.ended()
            return
        self.octets += self._in_pipe
        is_small = self._in_pipe < _SMALL_OCTETS
        if self._push() and is_small:
            self._rest()

    def _push(self) -> bool:
        """Empty the pipe; False when the sink takes no more for now, or is gone."""
        if self._pipe is None:
            return False
        try:
            while self._in_pipe:
                sent = os.splice(
                    self._pipe.read_end, self.sink.fileno(), self._in_pipe, flags=_FLAGS
                )
                self._in_pipe -= sent
        except BlockingIOError:
            self.source.pauseProducing()
            self.sink.on_writable = self._room
            return False
        except OSError:
            self.source.pauseProducing()
            self.sink.defect()
            return False
        self._give_back()
        return True

    def _room(self) -> None:
        if self._push():
            self._go_on()

    def _rest(self) -> None:
        """No bulk any more: the pipe is for others."""
        self._give_back()
        self.source.on_chunk = self._copy

    def _give_back(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None and self._pool is not None:
            self._pool.give_back(pipe)
