"""The link: what one end says arrives at the other."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.testing import StringTransport
from twisted.logger import globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.link import (
    GiveBack,
    Renew,
    Reopen,
    Retire,
    Serve,
    Stop,
    SupervisorEnd,
    WorkerEnd,
)


class Workman:
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.is_defective = False
        self.letting_go: Deferred[None] = Deferred()

    def serve(self) -> None:
        self.told.append("serve")

    def cover(self, slot: int, listener: str, descriptor: int) -> None:
        self.told.append(f"cover {slot} {listener} {descriptor}")

    def give_back(self, slot: int) -> None:
        self.told.append(f"give back {slot}")

    async def retire(self) -> None:
        self.told.append("retire")
        await self.letting_go

    def stop(self) -> None:
        self.told.append("stop")

    async def renew(self) -> str:
        self.told.append("renew")
        if self.is_defective:
            raise RuntimeError("a defect")
        return "cache dropped"

    def reopen(self, descriptor: int) -> None:
        if self.is_defective:
            raise RuntimeError("a defect")
        self.told.append(os.readlink(f"/proc/self/fd/{descriptor}"))


class LinkTests(SynchronousTestCase):
    """Two ends and what is between them."""

    def setUp(self) -> None:
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.workman = Workman()
        self.worker, self.supervisor = WorkerEnd(self.workman), SupervisorEnd()
        self.wires = StringTransport(), StringTransport()
        self.worker.makeConnection(self.wires[0])
        self.supervisor.makeConnection(self.wires[1])

    def pump(self) -> None:
        """Let everything arrive."""
        while any(wire.value() for wire in self.wires):
            for wire, other in zip(self.wires, (self.supervisor, self.worker), strict=True):
                data = wire.value()
                wire.clear()
                if data:
                    other.dataReceived(data)

    def test_ready(self) -> None:
        """The worker says so."""
        self.worker.say_ready()
        self.assertNoResult(self.supervisor.ready)
        self.pump()
        self.successResultOf(self.supervisor.ready)

    def test_orders(self) -> None:
        """Each is obeyed and answered."""
        for command, word in ((Serve, "serve"), (Stop, "stop")):
            given = self.supervisor.order(command)
            self.pump()
            self.successResultOf(given)
            self.assertEqual(self.workman.told[-1], word)

    def test_slot(self) -> None:
        """A socket of another slot comes with its listener; it is the workman's from then on."""
        self.worker._cover(3, "imaps", 17)
        given = self.supervisor.order(GiveBack, slot=3)
        self.pump()
        self.successResultOf(given)
        self.assertEqual(self.workman.told, ["cover 3 imaps 17", "give back 3"])

    def test_retire(self) -> None:
        """The answer comes when the worker has let go."""
        given = self.supervisor.order(Retire)
        self.pump()
        self.assertNoResult(given)
        self.workman.letting_go.callback(None)
        self.pump()
        self.successResultOf(given)

    def test_answer(self) -> None:
        """What was done is told; an older version of the code may say nothing."""
        given = self.supervisor.ask(Renew)
        self.pump()
        self.assertEqual(self.successResultOf(given), {"done": "cache dropped"})

        async def say_nothing() -> None:
            """As it was done once."""

        self.patch(self.workman, "renew", say_nothing)
        given = self.supervisor.ask(Renew)
        self.pump()
        self.assertFalse(self.successResultOf(given).get("done"))

    def test_defect(self) -> None:
        """A worker that fails to obey says so in its log, and still has its supervisor."""
        self.workman.is_defective = True
        given = self.supervisor.ask(Renew)
        self.pump()
        self.assertEqual(self.successResultOf(given), {"done": "nothing, for a defect"})
        self.worker._reopen(os.open(os.devnull, os.O_WRONLY))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)
        self.assertFalse(self.wires[0].disconnecting)

    def test_lost(self) -> None:
        """A worker that is gone has obeyed; without a supervisor a worker retires."""
        given = self.supervisor.order(Retire)
        reason = Failure(ConnectionDone())
        self.supervisor.connectionLost(reason)
        self.successResultOf(given)
        self.successResultOf(self.supervisor.order(Serve))
        self.successResultOf(self.supervisor.order(Reopen, log=1))
        self.worker.connectionLost(reason)
        self.assertEqual(self.workman.told, ["retire"])

    def test_silence(self) -> None:
        """AMP's own lines do not come into the log."""
        self.worker.connectionLost(Failure(ConnectionDone()))
        self.assertEqual([e for e in self.events if e["log_namespace"].startswith("twisted")], [])

    def test_log(self) -> None:
        """The worker is given the file itself, and closes its copy afterwards."""
        descriptor = os.open(os.devnull, os.O_WRONLY)
        self.worker._reopen(descriptor)
        self.assertEqual(self.workman.told, [os.devnull])
        self.assertRaises(OSError, os.fstat, descriptor)
