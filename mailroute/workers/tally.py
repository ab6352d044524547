"""Counters that the workers of a node share: each writes its own, and everybody reads all.

They live in a memory file that every worker maps.  A counter has one writer, so no lock is
needed; between a look at the sum and the next count another worker may count as well, so a
limit may be passed by one for each other worker.
"""

from __future__ import annotations

import errno
import mmap
import os

ROWS = 4096
"""Workers that live at the same time, all generations together."""
COLUMNS = 1024
_CELL_OCTETS = 4
_SIZE = (1 + ROWS * COLUMNS) * _CELL_OCTETS


class Tally:
    """A counter for each worker (row) and kind of thing (column)."""

    def __init__(self, descriptor: int) -> None:
        """Map a file that ``create`` has made; the descriptor may be closed afterwards."""
        self._cells = memoryview(mmap.mmap(descriptor, _SIZE)).cast("I")

    def add(self, row: int, column: int, amount: int) -> None:
        """Count; only the worker of this row does it."""
        self._cells[1 + column * ROWS + row] += amount

    def total(self, column: int) -> int:
        """How many there are on the whole node."""
        start = 1 + column * ROWS
        return sum(self._cells[start : start + self._cells[0]])


class Ledger:
    """The supervisor's side: who has which row, and what each column counts."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("mailroute-tally")
        # Pages that nobody writes to take no memory.
        os.ftruncate(self.descriptor, _SIZE)
        self._cells = memoryview(mmap.mmap(self.descriptor, _SIZE)).cast("I")
        self._taken: set[int] = set()
        self._columns: dict[str, int] = {}

    def column(self, name: str) -> int:
        """The column of this name, the same for every generation.

        Raises OSError when too many names have been seen.
        """
        if name not in self._columns:
            if len(self._columns) == COLUMNS:
                raise OSError(errno.ENOSPC, "too many listeners since the start: restart")
            self._columns[name] = len(self._columns)
        return self._columns[name]

    def enter(self) -> int:
        """A row for one more worker, with nothing counted."""
        row = next(row for row in range(ROWS) if row not in self._taken)
        self._taken.add(row)
        self._cells[0] = max(self._taken) + 1
        return row

    def leave(self, row: int) -> None:
        """The worker has ended: what it had counted is gone with it."""
        for column in range(len(self._columns)):
            self._cells[1 + column * ROWS + row] = 0
        self._taken.discard(row)
        self._cells[0] = max(self._taken, default=-1) + 1
