"""Signals, heard in the reactor's own time."""

from __future__ import annotations

import signal
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.logger import Logger

_log = Logger(namespace="mailroute")


def handle_signal(reactor: Any, number: int, action: Callable[[], object]) -> None:
    """Have a signal do this."""
    try:
        signal.signal(number, lambda *_: reactor.callFromThread(action))
    except ValueError:
        _log.debug("not in the main thread: signal {number} is not handled", number=number)


def end_once(reactor: Any) -> None:
    """Have the reactor asked to end only once, however often somebody asks.

    It has handlers of its own, which it sets when it starts; asked while it is ending already
    it would log a traceback.
    """
    reactor.callWhenRunning(_guard, reactor)


def _guard(reactor: Any) -> None:
    asked: list[int] = []
    for number in (signal.SIGINT, signal.SIGTERM):
        former = signal.getsignal(number)
        if callable(former):
            handler = partial(_first, reactor, former, asked)
            try:
                signal.signal(number, handler)
            except ValueError:
                _log.debug("not in the main thread: signal {number} stays", number=number)


def _first(
    reactor: Any, former: Callable[[int, Any], object], asked: list[int], *signalled: Any
) -> None:
    if asked:
        reactor.callFromThread(_log.info, "asked to end again: sessions still have their grace")
    else:
        asked.append(signalled[0])
        former(*signalled)
