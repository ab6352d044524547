"""Pipes for the kernel's splice, lent while bytes wait in them.

A pipe of 1 MiB moves a gigabyte with a third of the CPU of a default one, but an unprivileged
user gets only so many pages of pipe from the kernel (pipe(7), pipe-user-pages-soft), so pipes
are few, large and shared: a session holds one only while bytes are in flight.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from dataclasses import dataclass

PIPE_OCTETS = 1 << 20
_F_SETPIPE_SZ = 1031
PIPES = 48
"""Pipes in all, lent ones included: their descriptors are not counted with the sessions'."""


@dataclass(slots=True)
class Pipe:
    """Both ends of a pipe."""

    read_end: int
    write_end: int

    def close(self) -> None:
        """Give the descriptors back."""
        os.close(self.read_end)
        os.close(self.write_end)


class PipePool:
    """Lends empty pipes."""

    def __init__(self) -> None:
        self._free: list[Pipe] = []
        self._lent = 0

    def take(self) -> Pipe | None:
        """An empty pipe, or None when all are lent or the process has no descriptors left."""
        pipe = self._free.pop() if self._free else self._make()
        if pipe is not None:
            self._lent += 1
        return pipe

    def give_back(self, pipe: Pipe) -> None:
        """Return an empty pipe."""
        self._lent -= 1
        self._free.append(pipe)

    def discard(self, pipe: Pipe) -> None:
        """Return a pipe that is not empty: nobody may find these bytes."""
        self._lent -= 1
        pipe.close()

    def close(self) -> None:
        """Close the free pipes."""
        while self._free:
            self._free.pop().close()

    def _make(self) -> Pipe | None:
        if self._lent >= PIPES:
            return None
        try:
            read_end, write_end = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            return None
        with contextlib.suppress(OSError):
            # Past the user's allowance the kernel refuses; a smaller pipe works as well.
            fcntl.fcntl(write_end, _F_SETPIPE_SZ, PIPE_OCTETS)
        return Pipe(read_end, write_end)
