"""Who stands in for a worker that has died, until the slot has one that is ready.

What the kernel sends to a slot waits there whether or not somebody accepts: so the sockets of a
slot without a worker are lent to a neighbour.  All sockets stay the node's; nothing is lost when
they are lent, given back, or lent again because the neighbour dies as well.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable, Sequence

from twisted.logger import Logger

from mailroute.workers.seat import Seat, Worker

Lent = Callable[[int], Iterable[tuple[str, socket.socket]]]
"""The sockets that are this slot's alone, each with the name of its listener."""

_log = Logger(namespace="mailroute.workers")


class Deputies:
    """The substitutes of one generation."""

    def __init__(self, seats: Sequence[Seat], lent: Lent) -> None:
        self._seats = seats
        self._lent = lent
        self._deputies: dict[int, Worker] = {}
        """By the number of the slot that they serve besides their own."""

    def settle(self) -> None:
        """Lend what nobody serves; have given back what has its own worker again."""
        present = [worker for seat in self._seats if (worker := seat.server) is not None]
        for slot, seat in enumerate(self._seats):
            deputy = self._deputies.get(slot)
            if not seat.is_vacant:
                if deputy is not None:
                    del self._deputies[slot]
                    deputy.give_back(slot)
            elif present and deputy not in present:
                self._lend(slot, min(present, key=self._burden))

    def _lend(self, slot: int, worker: Worker) -> None:
        self._deputies[slot] = worker
        for listener, each in self._lent(slot):
            worker.cover(slot, listener, each)
        _log.info(
            "slot {number}/{count}: worker (pid {pid}) stands in",
            number=slot + 1,
            count=len(self._seats),
            pid=worker.pid,
        )

    def _burden(self, worker: Worker) -> int:
        return list(self._deputies.values()).count(worker)
