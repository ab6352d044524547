"""What is logged while a table serves."""

from __future__ import annotations

from typing import Any, cast

from twisted.logger import ILogObserver, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.notices import reloaded, warn


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

    def test_reloaded(self) -> None:
        """Warnings and complaints are logged; nothing is raised."""

        def bad() -> list[str]:
            raise ConfigurationError(["x", "y"])

        reloaded(lambda: ["w"])
        reloaded(bad)
        self.assertEqual(
            self.events,
            [
                ("warn", "w"),
                ("error", "x; the old content stays"),
                ("error", "y; the old content stays"),
            ],
        )
