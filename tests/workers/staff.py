"""Workers without processes, and a supervisor that has them."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.seat import Worker


class FakeWorker:
    """A worker that does what the test says, and remembers what it was told."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[str] = Deferred()
        self.told: list[str] = []
        self.lets_go = True
        self.renewal = "cache dropped"
        """What it says that it has done."""
        self.letting_go: Deferred[None] = Deferred()

    def get_ready(self) -> None:
        self.ready.callback(None)

    def end(self, words: str = "exit status 0") -> None:
        self.ended.callback(words)

    def serve(self) -> None:
        self.told.append("serve")

    def cover(self, slot: int, listener: str, lent: object) -> None:
        self.told.append(f"cover {slot} {listener}")

    def give_back(self, slot: int) -> None:
        self.told.append(f"give back {slot}")

    def retire(self) -> Deferred[None]:
        self.told.append("retire")
        # As the link does it: whatever becomes of an order, nobody has to mind.
        return succeed(None) if self.lets_go else self.letting_go.addBoth(lambda _: None)

    def stop(self) -> None:
        self.told.append("stop")

    def renew(self) -> Deferred[str]:
        self.told.append("renew")
        return succeed(self.renewal)

    def reopen(self, descriptor: int) -> None:
        self.told.append(f"reopen {descriptor}")

    def kill(self) -> None:
        self.told.append("kill")


class StaffCase(SynchronousTestCase):
    """A clock, a log, and workers in the order of their start."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.staff: list[FakeWorker] = []
        self.is_short = False
        """Whether no process can be had."""
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def hire(self) -> Worker:
        """Start a worker."""
        if self.is_short:
            raise OSError(11, "Resource temporarily unavailable")
        self.staff.append(FakeWorker(100 + len(self.staff)))
        return self.staff[-1]

    def said(self, level: str) -> list[str]:
        """What the log was told at this level."""
        found = [e for e in self.events if e.get("log_level") and e["log_level"].name == level]
        return [str(event["log_format"]).format(**event) for event in found]
