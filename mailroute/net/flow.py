"""One direction of a joined session: bytes from one stream to the other.

Small chunks are read and sent at once.  A chunk as large as can be read announces bulk: between
plain connections the kernel's splice(2) then moves up to a mebibyte a call through a borrowed
pipe, until a small chunk comes again.  A stream that cannot be written to pauses the reading of
the other one, so a direction never holds more than a chunk or a pipe.
"""

from __future__ import annotations

import os
from typing import Protocol

from mailroute.net.pipes import PIPE_OCTETS, Pipe, PipePool
from mailroute.net.stream import READ_OCTETS, Stream

_FLAGS = 0x01 | 0x02  # SPLICE_F_MOVE | SPLICE_F_NONBLOCK
_SMALL_OCTETS = READ_OCTETS // 2


class Side(Protocol):
    """Whose bytes these are."""

    octets: int


class Flow:
    """From ``source`` to ``sink``; the side is told of octets, a stream of its own end."""

    __slots__ = ("_in_pipe", "_pipe", "_pool", "_side", "_sink", "_source")

    def __init__(self, side: Side, source: Stream, sink: Stream, pool: PipePool | None) -> None:
        """``pool``: None where TLS is on one of the legs."""
        self._side = side
        self._source = source
        self._sink = sink
        self._pool = pool
        self._pipe: Pipe | None = None
        self._in_pipe = 0

    def start(self) -> None:
        """Take the source's chunks from now on."""
        self._source.on_chunk = self._copy
        self._source.resumeProducing()

    def stop(self) -> None:
        """Drop what is in flight."""
        pipe, self._pipe = self._pipe, None
        if pipe is not None and self._pool is not None:
            self._pool.discard(pipe) if self._in_pipe else self._pool.give_back(pipe)

    def _copy(self) -> None:
        chunk = self._source.receive()
        if chunk is None:
            return
        if not chunk:
            self._source.ended()
            return
        self._side.octets += len(chunk)
        self._sink.write(chunk)
        if self._sink.is_blocked:
            self._source.pauseProducing()
            self._sink.on_writable = self._go_on
        elif len(chunk) == READ_OCTETS and self._pool is not None:
            self._source.on_chunk = self._splice

    def _go_on(self) -> None:
        self._sink.on_writable = None
        self._source.resumeProducing()

    def _splice(self) -> None:
        """Fill the pipe from the source and empty it into the sink."""
        pool, descriptor = self._pool, self._source.fileno()
        self._pipe = pool.take() if pool is not None else None
        if self._pipe is None:
            self._source.on_chunk = self._copy
            return
        try:
            self._in_pipe = os.splice(descriptor, self._pipe.write_end, PIPE_OCTETS, flags=_FLAGS)
        except BlockingIOError:
            self._source.is_readable = False
            self._rest()
            return
        except OSError:
            self._rest()
            self._source.defect()
            return
        if self._in_pipe == 0:
            self._rest()
            self._source.ended()
            return
        self._side.octets += self._in_pipe
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
                    self._pipe.read_end, self._sink.fileno(), self._in_pipe, flags=_FLAGS
                )
                self._in_pipe -= sent
        except BlockingIOError:
            self._source.pauseProducing()
            self._sink.on_writable = self._room
            return False
        except OSError:
            self._source.pauseProducing()
            self._sink.defect()
            return False
        self._give_back()
        return True

    def _room(self) -> None:
        if self._push():
            self._go_on()

    def _rest(self) -> None:
        """No bulk any more: the pipe is for others."""
        self._give_back()
        self._source.on_chunk = self._copy

    def _give_back(self) -> None:
        pipe, self._pipe = self._pipe, None
        if pipe is not None and self._pool is not None:
            self._pool.give_back(pipe)
