"""The supervisor: generations of workers, one after the other, and never nobody.

A new generation is started beside the old one.  Only when each of its workers is ready does the
old one stop accepting, and then the new one begins: connections wait for that moment in the
sockets' queues.  So a change happens whole or not at all, no slot is ever without a worker, and
the database does not see the connections of two generations.  Workers of the old generation end
with their last sessions.
"""

from __future__ import annotations

import contextlib
import socket
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, TimeoutError
from twisted.logger import Logger

from mailroute.errors import CannotListen, ConfigurationError
from mailroute.workers.deputies import Deputies
from mailroute.workers.places import Places
from mailroute.workers.plan import Plan
from mailroute.workers.seat import Seat, Worker

HANDOVER_SECONDS = 2.0
"""How long at most the new generation waits for the old one to let go of the database."""
RENEWAL_SECONDS = 30.0
"""How long a worker may take to read its files."""
START_SECONDS = 300.0
"""For a new generation: beyond it somebody hangs, and every later change would wait as well."""
KILL_SECONDS = 10.0
"""Beyond the grace."""

T = TypeVar("T")
_log = Logger(namespace="mailroute.workers")


@dataclass(frozen=True, slots=True)
class Edition:
    """One checked configuration: its text, and what it asks of us."""

    text: str
    plan: Plan


@dataclass(frozen=True, slots=True)
class Means:
    """What the supervisor works with."""

    clock: Any
    places: Places
    read: Callable[[], str]
    """The configuration's text as it is now; raises ConfigurationError."""
    check: Callable[[str], Awaitable[Plan]]
    """Raises ConfigurationError."""
    launch: Callable[[Edition, int], Worker]
    """Start the worker with this number; raises OSError."""
    reopen_log: Callable[[], int | None]
    """Go on in a new log file; returns its descriptor, None without one; raises OSError."""
    when_running: Callable[[Callable[[], None]], object]
    """Call this once the reactor runs."""


class Generation:
    """The workers of one edition."""

    def __init__(self, edition: Edition, means: Means) -> None:
        self.edition = edition
        self._places = means.places
        count = edition.plan.workers

        def seat(index: int) -> Seat:
            name = f"{index + 1}/{count}"
            return Seat(name, lambda: means.launch(edition, index), means.clock)

        self.seats = [seat(index) for index in range(count)]
        deputies = Deputies(self.seats, self._of_slot)
        for each in self.seats:
            each.changed = deputies.settle
        self.empty: Deferred[Any] = DeferredList([each.empty for each in self.seats])

    async def start(self) -> bool:
        """Start everybody; tells whether everybody got ready."""
        for seat in self.seats:
            seat.fill()
        return all([outcome for _, outcome in await DeferredList([s.tried for s in self.seats])])

    def serve(self) -> None:
        """Accept connections."""
        for seat in self.seats:
            seat.serve()

    def _of_slot(self, index: int) -> list[tuple[str, socket.socket]]:
        """The sockets at which nobody but this worker accepts, with their listeners."""
        plan = self.edition.plan
        dealt = zip(plan.places, plan.listeners, self._places.of_worker(plan, index), strict=True)
        return [(name, each) for place, name, own in dealt if not place.is_shared for each in own]

    async def retire(self, clock: Any) -> None:
        """Accept no more; returns when all have let go, or in a while."""
        letting_go = DeferredList([seat.retire() for seat in self.seats])
        try:
            await letting_go.addTimeout(HANDOVER_SECONDS, clock)
        except TimeoutError:
            _log.warn("workers that leave still ask the database: their successors begin now")


class Supervisor(Service):
    """Holds the sockets, and has them served."""

    def __init__(self, first: Edition, means: Means) -> None:
        self.setName("mailroute")
        self._means = means
        self._places = means.places
        self._present = Generation(first, means)
        self._next: Generation | None = None
        self._leaving: list[Generation] = []
        self._wishes: list[bool] = []
        """Changes that were asked for while one was under way: whether for new code."""
        self._is_changing = False
        self._is_bound = False
        self.announce: Callable[[str], object] = lambda state: None
        """Tells the service manager: ready, reloading, stopping."""

    @property
    def addresses(self) -> list[object]:
        """Where the node listens, in the configuration's order."""
        return self._places.addresses(self._present.edition.plan)

    def privilegedStartService(self) -> None:
        """Bind every socket, all of them or none; raises CannotListen naming the place."""
        if not self._is_bound:
            self._places.reserve(self._present.edition.plan)
            self._places.listen()
            self._is_bound = True

    def startService(self) -> None:
        """Start the workers."""
        super().startService()
        self.privilegedStartService()
        # Until the reactor heeds signals, SIGTERM ends us alone and would leave workers behind.
        self._means.when_running(self._begin)

    def _begin(self) -> None:
        if self.running:
            self._present.serve()
            Deferred.fromCoroutine(self._open())

    async def _open(self) -> None:
        await self._present.start()
        # One that serves is enough: the others are tried for again and again.
        if self.running and any(seat.is_ready for seat in self._present.seats):
            self.announce("ready")

    def reload(self) -> None:
        """SIGHUP: new workers where the configuration has changed, else renewed ones."""
        self._wish(False)

    def upgrade(self) -> None:
        """SIGUSR2: new workers, of the code that is on the disk now."""
        self._wish(True)

    def rotate_log(self) -> None:
        """SIGUSR1: go on in a new log file, all of us."""
        try:
            descriptor = self._means.reopen_log()
        except OSError as error:
            _log.error("the log cannot be reopened: {error}; it goes on", error=error)
            return
        if descriptor is not None:
            for seat in self._seats():
                seat.reopen(descriptor)

    async def stop(self) -> None:
        """Listen nowhere, have every worker end within the grace, kill what is left."""
        grace = max(each.edition.plan.grace_seconds for each in self._generations())
        self._wishes = []
        for seat in self._seats():
            seat.stop()
        self._places.close()
        for seconds in (grace + KILL_SECONDS, KILL_SECONDS):
            ending = DeferredList([each.empty for each in self._generations()])
            try:
                await _shielded(ending).addTimeout(seconds, self._means.clock)
                return
            except TimeoutError:
                for seat in self._seats():
                    seat.kill()

    def stopService(self) -> Deferred[None]:
        """See ``stop``."""
        super().stopService()
        self.announce("stopping")
        return Deferred.fromCoroutine(self.stop())

    # -- change --------------------------------------------------------------------------

    def _wish(self, is_for_code: bool) -> None:
        if not self.running:
            return
        self._wishes.append(is_for_code)
        if not self._is_changing:
            self._is_changing = True
            changing = Deferred.fromCoroutine(self._fulfil())
            changing.addErrback(lambda caught: _log.failure("a change failed", failure=caught))

    async def _fulfil(self) -> None:
        self.announce("reloading")
        try:
            while self._wishes:
                # Many wishes before we look at the configuration are one.
                is_for_code, self._wishes = any(self._wishes), []
                try:
                    await self._change(is_for_code)
                except ConfigurationError as error:
                    for complaint in error.complaints:
                        _log.error("reload: {text}; the old content stays", text=complaint)
                    _log.error("not reloaded: the old configuration is served on")
        finally:
            self._is_changing = False
            if self.running:
                self.announce("ready")

    async def _change(self, is_for_code: bool) -> None:
        self.rotate_log()
        text = self._means.read()
        plan = await self._means.check(text)
        if not self.running:
            return
        if not is_for_code and plan.fingerprint == self._present.edition.plan.fingerprint:
            await self._renew()
            return
        try:
            self._places.reserve(plan)
        except CannotListen as error:
            raise ConfigurationError([str(error)]) from None
        await self._succeed(Generation(Edition(text, plan), self._means))

    async def _renew(self) -> None:
        """What workers hold can be had anew without new workers."""
        seats = self._seats()
        outcomes: Counter[str] = Counter()
        renewing = [
            seat.renew().addCallback(lambda told: outcomes.update([told])) for seat in seats
        ]
        # Who has not answered by then is named.
        with contextlib.suppress(TimeoutError):
            await DeferredList(renewing).addTimeout(RENEWAL_SECONDS, self._means.clock)
        for words, count in outcomes.items():
            share = "" if count == len(seats) else f" ({count} of {len(seats)} workers)"
            _log.info("reloaded: {words}{share}", words=words or "no answer", share=share)

    async def _succeed(self, coming: Generation) -> None:
        """Have the next generation take over, or give it up."""
        self._next = coming
        is_ready = await self._is_started(coming)
        if not self.running:
            return
        self._next = None
        if not is_ready:
            self._dismiss(coming)
            for seat in coming.seats:
                seat.stop()
            self._places.cancel()
            raise ConfigurationError(["the new workers cannot start"])
        going, self._present = self._present, coming
        self._dismiss(going)
        self._places.listen()
        await going.retire(self._means.clock)
        coming.serve()
        if self.running:
            self._places.keep(coming.edition.plan.places)
            _log.info("reloaded: {count} new workers serve", count=len(coming.seats))

    async def _is_started(self, coming: Generation) -> bool:
        """Start everybody; tells whether everybody got ready in time."""
        starting = _shielded(Deferred.fromCoroutine(coming.start()))
        try:
            return await starting.addTimeout(START_SECONDS, self._means.clock)
        except TimeoutError:
            _log.error(
                "new workers are not ready after {seconds:g} s: does a file system or a name"
                " server not answer?",
                seconds=START_SECONDS,
            )
            return False

    def _dismiss(self, generation: Generation) -> None:
        self._leaving.append(generation)
        generation.empty.addCallback(lambda _: self._leaving.remove(generation))

    def _generations(self) -> list[Generation]:
        return [self._present, *self._leaving, *([self._next] if self._next else [])]

    def _seats(self) -> list[Seat]:
        return [seat for generation in self._generations() for seat in generation.seats]


def _shielded(waited_for: Deferred[T]) -> Deferred[T]:
    """A Deferred of its own: giving it up leaves the other alone."""
    mine: Deferred[T] = Deferred()
    waited_for.addCallback(lambda result: None if mine.called else mine.callback(result))
    return mine
