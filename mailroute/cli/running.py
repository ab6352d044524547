"""Runs what waits: a coroutine on the reactor, from its start to its end."""

from __future__ import annotations

import signal
import socket
import sys
from collections.abc import Callable, Coroutine
from typing import Any, Generic, TypeVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import implementer

from mailroute.cli.output import visible
from mailroute.cli.statuses import INTERRUPTED

T = TypeVar("T")
Work = Callable[[Any], Coroutine[Any, Any, T]]
"""Is given the reactor."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def run(work: Work[T], reactor: Any) -> T:
    """Run ``work`` until it ends; return what it returns, raise what it raises.

    SIGINT and SIGTERM cancel it, so that what it has begun is undone; then SystemExit is raised
    with 128 plus the signal's number.  A second signal ends the process at once.  A reactor
    runs once in a process.
    """
    return _Running(work, reactor).run()


def tell_log() -> None:
    """Have warnings and worse told on standard error; the rest is the commands' own to say."""
    globalLogBeginner.beginLoggingTo([cast(ILogObserver, tell)], redirectStandardIO=False)


def tell(event: LogEvent) -> None:
    """Write one event of the log, if it is a warning or worse; a defect has its traceback."""
    level = event.get("log_level", LogLevel.info)
    if level >= LogLevel.warn:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        print(f"mailroute: {level.name}: {visible(text)}", file=sys.stderr)


@implementer(IReadDescriptor)
class _Alarm:
    """Wakes the reactor at every signal, also one that comes just before it begins to wait.

    Python calls its handlers between two of its own instructions only.
    """

    def __init__(self) -> None:
        self._woken, self._rung = socket.socketpair()
        for end in (self._woken, self._rung):
            end.setblocking(False)
        self._before = signal.set_wakeup_fd(self._rung.fileno(), warn_on_full_buffer=False)

    def close(self) -> None:
        """Let signals be as they were."""
        signal.set_wakeup_fd(self._before)
        self._woken.close()
        self._rung.close()

    def fileno(self) -> int:
        """See IReadDescriptor."""
        return self._woken.fileno()

    def doRead(self) -> None:
        """See IReadDescriptor."""
        self._woken.recv(4096)

    def connectionLost(self, reason: Failure) -> None:
        """See IReadDescriptor."""

    def logPrefix(self) -> str:
        """See IReadDescriptor."""
        return "signals"


class _Running(Generic[T]):
    def __init__(self, work: Work[T], reactor: Any) -> None:
        self._work = work
        self._reactor = reactor
        self._deferred: Deferred[None] | None = None
        self._signal: int | None = None
        self._result: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> T:
        before = {number: signal.signal(number, self._on_signal) for number in _SIGNALS}
        alarm = _Alarm()
        try:
            self._reactor.addReader(alarm)
            self._reactor.callWhenRunning(self._start)
            # Its own handlers would stop it before the work is undone.
            self._reactor.run(installSignalHandlers=False)
        finally:
            alarm.close()
            for number, handler in before.items():
                signal.signal(number, handler)
        if self._signal is not None:
            raise SystemExit(INTERRUPTED + self._signal)
        if self._error is not None:
            raise self._error
        return self._result[0]

    def _start(self) -> None:
        self._deferred = Deferred.fromCoroutine(self._whole())
        if self._signal is not None:
            self._deferred.cancel()

    async def _whole(self) -> None:
        try:
            self._result.append(await self._work(self._reactor))
        except BaseException as error:
            self._error = error
        self._reactor.stop()

    def _on_signal(self, number: int, frame: object) -> None:
        self._signal = number
        for each in _SIGNALS:
            signal.signal(each, signal.SIG_DFL)
        if self._deferred is not None:
            # Not from here: a signal may come in the middle of anything.
            self._reactor.callFromThread(self._deferred.cancel)
