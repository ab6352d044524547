"""Steps with their facts and times."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.story import MASK, Step, Story, row_facts
from mailroute.tables.contract import Row


class StoryTests(SynchronousTestCase):
    """In their order, each measured by itself."""

    def test_time(self) -> None:
        """From the moment that the step began; without one it took no time."""
        clock = Clock()
        story = Story(clock.seconds)
        since = story.seconds()
        clock.advance(0.0125)
        story.tell("lookup", {"row": "absent"}, since)
        story.tell("policy", {"not_found": "reject"})
        self.assertEqual(
            story.steps,
            [Step("lookup", {"row": "absent"}, 12.5), Step("policy", {"not_found": "reject"})],
        )

    def test_data(self) -> None:
        """For programs, in which names are single words."""
        step = Step("no route", {"login name": "a", "hosts": ["b"]}, 1.5)
        self.assertEqual(
            step.data(), {"step": "no_route", "ms": 1.5, "login_name": "a", "hosts": ["b"]}
        )
        self.assertNotIn("ms", Step("cache", {}).data())

    def test_cells(self) -> None:
        """For people: a line for each fact."""
        facts = {"hosts": ["a", "b"], "row": {"destination": None, "port": "1"}, "keys": []}
        self.assertEqual(
            Step("x", facts, 1.5).cells(),
            ("x", "1.500", "hosts: a, b\nrow: destination=none, port=1\nkeys: none"),
        )
        self.assertEqual(Step("x", {}).cells(), ("x", "", ""))

    def test_rows(self) -> None:
        """Passwords are masked, whatever else the column's name says."""
        row = Row("east", {"host": "h", "password": "p", "Master_Passwd": "q", "secret": ""})
        self.assertEqual(
            row_facts(row),
            {
                "destination": "east",
                "host": "h",
                "password": MASK,
                "Master_Passwd": MASK,
                "secret": "",
            },
        )
        self.assertEqual(row_facts(None), "absent")
