"""The listening sockets of the node: bound once, held for as long as their place is wanted.

Each TCP place has a socket for every slot (SO_REUSEPORT): the kernel spreads connections over
them, and what waits in a socket's queue is lost only when the last holder closes it.  So a
socket is never closed for a worker's sake; slots that no worker has of its own any more are
served by the remaining ones.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterable

from mailroute.errors import CannotListen
from mailroute.workers.plan import Place, Plan

Bind = Callable[[Place, bool], socket.socket]
"""Makes a bound socket; the flag says that others share the port.  Raises OSError."""


class Places:
    """The sockets, by place; the number of each is its slot.

    What a new plan needs is reserved first and listens from ``listen`` on: until then nobody
    can be sent to a slot that has no worker yet.
    """

    def __init__(self, bind: Bind, listen: Callable[[socket.socket], object]) -> None:
        """``bind`` makes the only socket of a Unix or systemd place a listening one at once."""
        self._bind = bind
        self._listen = listen
        self._sockets: dict[Place, list[socket.socket]] = {}
        self._reserved: dict[Place, list[socket.socket]] = {}
        self._coming: Plan | None = None

    def reserve(self, plan: Plan) -> None:
        """Bind what this plan wants and what is not there: all of it, or nothing.

        Raises CannotListen naming listener and place.
        """
        self._coming = plan
        for place, listener in zip(plan.places, plan.listeners, strict=True):
            try:
                while self._missing(place, plan.workers):
                    self._reserved.setdefault(place, []).append(self._another(place))
            except OSError as error:
                self.cancel()
                raise CannotListen(listener, place, error) from None

    def cancel(self) -> None:
        """Give up what was reserved."""
        for place, made in self._reserved.items():
            _close(place, made)
        self._reserved, self._coming = {}, None

    def listen(self) -> None:
        """Take connections at what was reserved."""
        for place, made in self._reserved.items():
            for each in made:
                if not place.is_shared:
                    self._listen(each)
            self._sockets.setdefault(place, []).extend(made)
        self._reserved, self._coming = {}, None

    def of_worker(self, plan: Plan, index: int) -> list[list[socket.socket]]:
        """The sockets from which this worker of the plan accepts, for each of its places.

        Slots are dealt out in turn, so that each has a worker however few there are.
        """
        dealt = []
        for place in plan.places:
            there = list(self._sockets.get(place, ()))
            if plan is self._coming:
                there += self._reserved.get(place, ())
            dealt.append(there if place.is_shared else there[index :: plan.workers])
        return dealt

    def addresses(self, plan: Plan) -> list[object]:
        """Where the plan's places really are: a port may have been chosen by the kernel."""
        return [self._sockets[place][0].getsockname() for place in plan.places]

    def keep(self, wanted: Iterable[Place]) -> None:
        """Close every socket of other places."""
        for place in self._sockets.keys() - set(wanted):
            _close(place, self._sockets.pop(place))

    def close(self) -> None:
        """Listen nowhere any more."""
        self.cancel()
        self.keep(())

    def _missing(self, place: Place, workers: int) -> bool:
        there = len(self._sockets.get(place, ())) + len(self._reserved.get(place, ()))
        return there < (1 if place.is_shared else workers)

    def _another(self, place: Place) -> socket.socket:
        there = [*self._sockets.get(place, ()), *self._reserved.get(place, ())]
        if there and not place.port:
            chosen = there[0].getsockname()[1]
            return self._bind(Place(place.kind, place.address, chosen), True)
        if not there and not place.is_shared and place.port:
            # Others of the same user could share the port as well: nobody may be there yet.
            self._bind(place, False).close()
        return self._bind(place, not place.is_shared)


def _close(place: Place, sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()
    if place.kind == "unix" and sockets:
        with contextlib.suppress(OSError):
            os.unlink(place.address)
