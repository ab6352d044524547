"""What is logged while a table serves."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import aside_of
from mailroute.tables.postfix.notices import Renewal, warn
from tests.support.threads import HeldThreads, ThreadlessReactor
from tests.tables.asking import at_once


class NoticeTests(SynchronousTestCase):
    """Levels and texts."""

    def setUp(self) -> None:
        """Listen."""
        self.events: list[tuple[str, str]] = []

        def observe(event: Any) -> None:
            if event.get("log_namespace") == "mailroute.tables":
                self.events.append((event["log_level"].name, event["log_format"].format(**event)))

        observer = cast(ILogObserver, observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def test_warn(self) -> None:
        """Braces in a text are no fields."""
        warn("{a} %s")
        self.assertEqual(self.events, [("warn", "{a} %s")])

    def test_renewed(self) -> None:
        """What is read is taken; warnings and complaints are logged, and nothing is raised."""
        taken: list[str] = []
        outcomes: list[Any] = [("new", ["w"]), ConfigurationError(["x", "y"]), ("newer", [])]

        def read() -> tuple[str, list[str]]:
            outcome = outcomes.pop(0)
            if isinstance(outcome, Exception):
                raise outcome
            return outcome  # type: ignore[no-any-return]

        renewal = Renewal(read, taken.append, at_once)
        for _ in range(3):
            self.successResultOf(Deferred.fromCoroutine(renewal.again()))
        self.assertEqual(taken, ["new", "newer"])
        self.assertEqual(
            self.events,
            [
                ("warn", "w"),
                ("error", "x; the old content stays"),
                ("error", "y; the old content stays"),
            ],
        )

    def test_in_turn(self) -> None:
        """It is read beside the reactor, one time after the other."""
        threads, reactor = HeldThreads(), ThreadlessReactor()
        self.patch(reactor, "getThreadPool", lambda: threads)
        taken: list[str] = []
        renewal = Renewal(lambda: ("new", []), taken.append, aside_of(reactor))
        again = [Deferred.fromCoroutine(renewal.again()) for _ in range(2)]
        self.assertEqual((len(threads.jobs), taken), (1, []))
        threads.begin()
        for one in again:
            self.successResultOf(one)
        self.assertEqual(taken, ["new", "new"])
