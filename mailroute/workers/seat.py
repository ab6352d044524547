"""One worker's seat: whoever sits there and dies is replaced, sooner or later."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger

BACK_OFF_SECONDS = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Before each next attempt; the last for all that follow."""
STEADY_SECONDS = 60.0
"""A worker that has lived so long is no part of a series of failures."""
HOPELESS = 3
"""Failures in a row before a worker was ready, after which nobody should wait for it."""

_log = Logger(namespace="mailroute.workers")


class Worker(Protocol):
    """A process, as the seat sees it."""

    pid: int
    ready: Deferred[None]
    ended: Deferred[str]

    def serve(self) -> None:
        """Accept."""

    def cover(self, slot: int, listener: str, lent: socket.socket) -> None:
        """Accept at this socket of another slot, too."""

    def give_back(self, slot: int) -> None:
        """Leave that slot alone."""

    def retire(self) -> Deferred[None]:
        """Accept no more, and end with the last session."""

    def stop(self) -> None:
        """End within the grace."""

    def renew(self) -> Deferred[str]:
        """Read files anew."""

    def reopen(self, descriptor: int) -> None:
        """Log there."""

    def kill(self) -> None:
        """End at once."""


class Seat:
    """The worker with one number of one generation, and its successors after a crash."""

    def __init__(self, name: str, start: Callable[[], Worker], clock: Any) -> None:
        """``start`` starts a process; raises OSError where there can be none."""
        self._name = name
        self._start = start
        self._clock = clock
        self._worker: Worker | None = None
        self._later: Any = None
        self._failures = 0
        self._unready = 0
        self._since = 0.0
        self._is_serving = False
        self._is_leaving = False
        self._is_dismissed = False
        self._is_vacant = False
        self.changed: Callable[[], object] = lambda: None
        """Called when somebody has died, and when somebody serves."""
        self.is_ready = False
        self.tried: Deferred[bool] = Deferred()
        """Fires once: whether somebody got ready, or nobody does."""
        self.empty: Deferred[None] = Deferred()
        """Fires when the last worker has ended after ``retire`` or ``stop``."""

    @property
    def server(self) -> Worker | None:
        """Who serves here at the moment."""
        is_at_work = self.is_ready and self._is_serving and not self._is_leaving
        return self._worker if is_at_work else None

    @property
    def is_vacant(self) -> bool:
        """Whether somebody has died here and has no successor yet who is ready."""
        return self._is_vacant and not self._is_leaving

    def fill(self) -> None:
        """Start somebody."""
        self._later = None
        self.is_ready = False
        try:
            self._worker = worker = self._start()
        except OSError as error:
            self._failed(f"no process can be started: {error}")
            return
        worker.ready.addCallback(lambda _: self._got_ready(worker))
        worker.ended.addCallback(lambda words: self._got_end(worker, words))

    def serve(self) -> None:
        """Let whoever sits here accept connections, now and in the future."""
        self._is_serving = True
        self._have_served()

    def retire(self) -> Deferred[None]:
        """No successors; fires when the worker holds nothing that others need."""
        self._leave()
        return self._worker.retire() if self._worker is not None else succeed(None)

    def stop(self) -> None:
        """No successors; the worker ends within the grace."""
        self._leave()
        if self._worker is not None:
            if self.is_ready:
                self._worker.stop()
            else:
                # It serves nobody yet, and may not even listen to us.
                self._is_dismissed = True
                self._worker.kill()

    def kill(self) -> None:
        """End whoever is left."""
        if self._worker is not None:
            _log.error(
                "worker {name} (pid {pid}) does not end: killed",
                name=self._name,
                pid=self._worker.pid,
            )
            self._worker.kill()

    def renew(self) -> Deferred[str]:
        """Pass it on; fires with what was done."""
        if self._worker is None:
            return succeed("")
        return self._worker.renew().addCallback(self._renewed, self._worker)

    def reopen(self, descriptor: int) -> None:
        """Pass it on."""
        if self._worker is not None:
            self._worker.reopen(descriptor)

    def _renewed(self, words: str, worker: Worker) -> str:
        if not words and worker is self._worker and not self._is_leaving:
            _log.warn(
                "worker {name} (pid {pid}) does not answer: if it stays so, kill it;"
                " its successor starts at once",
                name=self._name,
                pid=worker.pid,
            )
        return words

    def _leave(self) -> None:
        self._is_leaving = True
        if self._later is not None:
            self._later.cancel()
            self._later = None
        if self._worker is None:
            self._vacate()

    def _vacate(self) -> None:
        self._decide(False)
        if not self.empty.called:
            self.empty.callback(None)

    def _got_ready(self, worker: Worker) -> None:
        self.is_ready = True
        self._unready = 0
        self._since = self._clock.seconds()
        self._is_vacant = False
        self._have_served()
        self._decide(True)

    def _have_served(self) -> None:
        worker = self.server
        if worker is not None:
            worker.serve()
            _log.info("worker {name} (pid {pid}) serves", name=self._name, pid=worker.pid)
            self.changed()

    def _got_end(self, worker: Worker, words: str) -> None:
        self._worker = None
        told = {"name": self._name, "pid": worker.pid, "words": words}
        if self._is_leaving:
            if words != "exit status 0" and not self._is_dismissed:
                _log.error("worker {name} (pid {pid}) left early: {words}", **told)
            self._vacate()
            return
        if self.is_ready and self._clock.seconds() - self._since >= STEADY_SECONDS:
            self._failures = 0
        self._failed(f"worker (pid {worker.pid}) died: {words}")

    def _failed(self, words: str) -> None:
        delay = BACK_OFF_SECONDS[min(self._failures, len(BACK_OFF_SECONDS) - 1)]
        self._failures += 1
        self._unready += not self.is_ready
        _log.error(
            "slot {name}: {words}; the next one starts in {delay} s",
            name=self._name,
            words=words,
            delay=delay,
        )
        if self._unready == HOPELESS:
            _log.error("slot {name}: no worker gets ready", name=self._name)
        self._later = self._clock.callLater(delay, self.fill)
        self._is_vacant, self.is_ready = True, False
        self.changed()
        if self._unready >= HOPELESS:
            self._decide(False)

    def _decide(self, success: bool) -> None:
        if not self.tried.called:
            self.tried.callback(success)
