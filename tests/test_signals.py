"""Signals: an action each, and one end however often it is asked for."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.signals import end_once, handle_signal


class StartedReactor:
    """Runs already; does at once what a thread asks for."""

    def callWhenRunning(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)

    def callFromThread(self, call: Callable[..., object], *arguments: object) -> None:
        call(*arguments)


class SignalTests(SynchronousTestCase):
    """Real signals, to this process."""

    def setUp(self) -> None:
        self.reactor = StartedReactor()
        self.heard: list[int] = []
        self.events: list[Any] = []
        globalLogPublisher.addObserver(self.events.append)  # type: ignore[arg-type]
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1):
            former = signal.signal(number, lambda number, frame: self.heard.append(number))
            self.addCleanup(signal.signal, number, former)

    def send(self, *numbers: signal.Signals) -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    def said(self) -> list[str]:
        return [e["log_format"] for e in self.events if e["log_namespace"] == "mailroute"]

    def test_action(self) -> None:
        """Each time it comes."""
        acted: list[int] = []
        handle_signal(self.reactor, signal.SIGUSR1, lambda: acted.append(1))
        self.send(signal.SIGUSR1, signal.SIGUSR1)
        self.assertEqual(acted, [1, 1])

    def test_once(self) -> None:
        """The reactor's own handler hears the first one, whichever it is; the others are told."""
        end_once(self.reactor)
        self.send(signal.SIGTERM)
        self.assertEqual((self.heard, self.said()), ([signal.SIGTERM], []))
        self.send(signal.SIGTERM, signal.SIGINT)
        self.assertEqual(self.heard, [signal.SIGTERM])
        self.assertEqual(self.said(), ["asked to end again: sessions still have their grace"] * 2)

    def test_ignored(self) -> None:
        """What is ignored stays ignored: nohup, or a shell's background."""
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        end_once(self.reactor)
        self.send(signal.SIGINT)
        self.assertIs(signal.getsignal(signal.SIGINT), signal.SIG_IGN)
