"""What supervisor and worker tell each other: AMP over a pair of sockets.

The supervisor orders; the worker says when it is ready.  Where the link is lost, the other
side is gone: a worker without a supervisor finishes its sessions and ends.
"""

from __future__ import annotations

import os
from typing import Any, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.protocols import amp
from twisted.python.failure import Failure as Caught

LINK_DESCRIPTOR = 3
ORDERS_DESCRIPTOR = 4
TALLY_DESCRIPTOR = 5
LOG_DESCRIPTOR = 6
FIRST_SOCKET_DESCRIPTOR = 7

_log = Logger(namespace="mailroute.workers")


class Ready(amp.Command):
    """The worker has read everything and given up its rights: it can serve."""


class Serve(amp.Command):
    """Accept connections."""


class Retire(amp.Command):
    """Accept no more, serve sessions to their end, then end; answered when nothing is held
    that the successors need."""


class Cover(amp.Command):
    """Accept at this socket as well: the worker whose slot it is has died."""

    arguments = [  # noqa: RUF012
        (b"slot", amp.Integer()),
        (b"listener", amp.Unicode()),
        (b"lent", amp.Descriptor()),
    ]


class GiveBack(amp.Command):
    """Accept no more at the sockets of this slot: it has a worker again."""

    arguments = [(b"slot", amp.Integer())]  # noqa: RUF012


class Stop(amp.Command):
    """End within the grace."""


class Renew(amp.Command):
    """Forget what was looked up; read the mapping file and the certificates."""

    response = [(b"done", amp.Unicode(optional=True))]  # noqa: RUF012


class Reopen(amp.Command):
    """Go on in this log file."""

    arguments = [(b"log", amp.Descriptor())]  # noqa: RUF012


class Workman(Protocol):
    """What the worker's end of the link drives."""

    def serve(self) -> None:
        """Accept."""

    def cover(self, slot: int, listener: str, descriptor: int) -> None:
        """Accept at this socket of another slot, too; it is ours to close."""

    def give_back(self, slot: int) -> None:
        """Leave that slot alone."""

    async def retire(self) -> None:
        """Accept no more; returns when the database is left to the successors."""

    def stop(self) -> None:
        """End."""

    async def renew(self) -> str:
        """Read files anew; returns what was done."""

    def reopen(self, descriptor: int) -> None:
        """Take this file for the log."""


class _End(amp.AMP):
    """One end, without AMP's own lines in the log."""

    def makeConnection(self, transport: Any) -> None:
        amp.BinaryBoxProtocol.makeConnection(self, transport)

    def connectionLost(self, reason: Any = None) -> None:
        amp.BinaryBoxProtocol.connectionLost(self, reason)


class SupervisorEnd(_End):
    """The supervisor's end of the link to one worker."""

    def __init__(self) -> None:
        super().__init__()
        self.ready: Deferred[None] = Deferred()
        """Never fires for a worker that does not get so far."""

    @Ready.responder
    def _is_ready(self) -> dict[str, object]:
        if not self.ready.called:
            self.ready.callback(None)
        return {}

    def order(self, command: type[amp.Command], **arguments: object) -> Deferred[None]:
        """Give an order; a worker that ends meanwhile counts as one that has obeyed."""
        return self.ask(command, **arguments).addCallback(lambda _: None)

    def ask(self, command: type[amp.Command], **arguments: object) -> Deferred[dict[str, Any]]:
        """Give an order; fires with the answer, which is empty if there is none."""
        try:
            given: Deferred[Any] = self.callRemote(command, **arguments)
        except Exception as error:
            # The link is closed already.
            given = Deferred()
            given.errback(Caught(error))
        return given.addErrback(lambda _: {})


class WorkerEnd(_End):
    """The worker's end."""

    def __init__(self, workman: Workman) -> None:
        super().__init__()
        self._workman = workman

    def say_ready(self) -> None:
        """Tell the supervisor."""
        self.callRemote(Ready).addErrback(lambda _: None)

    @Serve.responder
    def _serve(self) -> dict[str, object]:
        self._workman.serve()
        return {}

    @Cover.responder
    def _cover(self, slot: int, listener: str, lent: int) -> dict[str, object]:
        self._workman.cover(slot, listener, lent)
        return {}

    @GiveBack.responder
    def _give_back(self, slot: int) -> dict[str, object]:
        self._workman.give_back(slot)
        return {}

    @Retire.responder
    def _retire(self) -> Deferred[dict[str, object]]:
        done = Deferred.fromCoroutine(self._workman.retire())
        return done.addCallback(lambda _: {})

    @Stop.responder
    def _stop(self) -> dict[str, object]:
        self._workman.stop()
        return {}

    @Renew.responder
    def _renew(self) -> Deferred[dict[str, object]]:
        done = Deferred.fromCoroutine(self._workman.renew())
        return done.addErrback(_not_obeyed).addCallback(lambda words: {"done": words})

    @Reopen.responder
    def _reopen(self, log: int) -> dict[str, object]:
        try:
            self._workman.reopen(log)
        except Exception:
            _not_obeyed(Caught())
        finally:
            os.close(log)
        return {}

    def connectionLost(self, reason: Any = None) -> None:
        """The supervisor is gone."""
        super().connectionLost(reason)
        Deferred.fromCoroutine(self._workman.retire())


def _not_obeyed(caught: Caught) -> str:
    """AMP would close the link for it, and a worker without a supervisor serves nobody any more."""
    _log.failure("an order was not obeyed", caught)
    return "nothing, for a defect"
