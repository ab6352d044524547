"""What ``docs/workers.md`` shows is so."""

from __future__ import annotations

import re
from pathlib import Path

from mailroute.workers.deputies import Deputies
from mailroute.workers.seat import BACK_OFF_SECONDS, Seat
from mailroute.workers.tally import COLUMNS, ROWS
from tests.config.reading import ConfigurationCase
from tests.workers.staff import StaffCase

TEXT = (Path(__file__).parents[1] / "docs" / "workers.md").read_text(encoding="utf-8")


class ConfigurationTests(ConfigurationCase):
    """Its example."""

    def test_example(self) -> None:
        """The key is read."""
        (section,) = re.findall(r"```toml\n(.*?)```", TEXT, re.DOTALL)
        self.assertEqual(self.read_sections(server=section).server.workers, 4)


class LogTests(StaffCase):
    """Its lines of a log."""

    def test_crash(self) -> None:
        """A worker of four dies."""
        shown = re.findall(r"^    (?:error|info) (.+)$", TEXT, re.MULTILINE)
        seats = [Seat(f"{number}/4", self.hire, self.clock) for number in (1, 2, 3, 4)]
        deputies = Deputies(seats, lambda slot: [])
        for seat, pid in zip(seats, (4709, 4711, 4715, 4717), strict=True):
            seat.changed = deputies.settle
            seat.fill()
            seat.serve()
            self.staff[-1].pid = pid
            self.staff[-1].get_ready()
        before = len(self.said("info"))
        self.staff[1].end("signal SIGSEGV")
        self.clock.advance(0)
        self.staff[-1].pid = 4733
        self.staff[-1].get_ready()
        self.assertEqual([*self.said("error"), *self.said("info")[before:]], shown)

    def test_numbers(self) -> None:
        """Its waits and limits."""
        waits = "{:g}, {:g}, {:g} and then every {:g} seconds".format(*BACK_OFF_SECONDS[1:])
        words = " ".join(TEXT.split())
        self.assertIn(waits, words)
        self.assertIn(f"At most {ROWS:,} workers at the same time", words)
        self.assertIn(f"and {COLUMNS:,} different names", words)
