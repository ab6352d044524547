"""A coroutine from its start to its end, on a reactor of the test's own."""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.epollreactor import EPollReactor
from twisted.logger import Logger
from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.running import run, tell


class RunningTests(SynchronousTestCase):
    """What comes out is what the work says, and a signal undoes it."""

    def setUp(self) -> None:
        self.before = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]

    def tearDown(self) -> None:
        """Whatever happens, the handlers are those of before."""
        after = [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
        self.assertEqual(after, self.before)

    def test_result(self) -> None:
        """What the work returns."""

        async def work(reactor: Any) -> str:
            return "done"

        self.assertEqual(run(work, EPollReactor()), "done")

    def test_later(self) -> None:
        """The work may wait."""

        async def work(reactor: Any) -> int:
            waiting: Deferred[int] = Deferred()
            reactor.callLater(0, waiting.callback, 7)
            return await waiting

        self.assertEqual(run(work, EPollReactor()), 7)

    def test_error(self) -> None:
        """What the work raises, and SystemExit is no exception to that."""

        async def work(reactor: Any) -> None:
            raise SystemExit(75)

        with self.assertRaises(SystemExit) as caught:
            run(work, EPollReactor())
        self.assertEqual(caught.exception.code, 75)

        async def wrong(reactor: Any) -> None:
            raise ValueError("wrong")

        with self.assertRaisesRegex(ValueError, "wrong"):
            run(wrong, EPollReactor())

    def test_signal(self) -> None:
        """A signal cancels what is awaited, cleaning up is waited for, the status tells."""
        for number in (signal.SIGINT, signal.SIGTERM):
            undone: list[bool] = []

            async def work(reactor: Any, number: int = number, undone: list[bool] = undone) -> None:
                try:
                    reactor.callLater(0, os.kill, os.getpid(), number)
                    await Deferred[None]()
                finally:
                    closing: Deferred[None] = Deferred()
                    reactor.callLater(0, closing.callback, None)
                    await closing
                    undone.append(True)

            with self.assertRaises(SystemExit) as caught:
                run(work, EPollReactor())
            self.assertEqual((caught.exception.code, undone), (128 + number, [True]))

    def test_signal_before_waiting(self) -> None:
        """A signal that does not interrupt the waiting is heard as well.

        Another thread takes it here: as where it came just before, nothing ends the main one's
        system call.
        """

        in_time: list[bool] = []

        async def work(reactor: Any) -> None:
            another = threading.Timer(
                0.2, lambda: signal.pthread_kill(threading.get_ident(), signal.SIGINT)
            )
            another.start()
            # What wakes the reactor in the end.
            deadline = reactor.callLater(60, lambda: None)
            try:
                await Deferred[None]()
            finally:
                in_time.append(reactor.seconds() < deadline.getTime())
                deadline.cancel()
                another.join()

        before = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(before)
        with self.assertRaises(SystemExit) as caught:
            run(work, EPollReactor())
        self.assertEqual((caught.exception.code, in_time), (128 + signal.SIGINT, [True]))
        self.assertEqual(signal.set_wakeup_fd(before), before)


class LogTests(SynchronousTestCase):
    """What the rooms log while a command runs."""

    def test_warnings(self) -> None:
        """Warnings are told, in a line and without what steers a terminal; news are not."""
        stream = io.StringIO()
        self.patch(sys, "stderr", stream)
        log = Logger(namespace="mailroute.tables", observer=tell)  # type: ignore[arg-type]
        log.info("news")
        log.warn("columns are ignored: {name}", name="\x1b[2J")
        self.assertEqual(stream.getvalue(), "mailroute: warn: columns are ignored: \\x1b[2J\n")
