"""What an import tells."""

from __future__ import annotations

import io
import json
import sys

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.csv_form import Fault
from mailroute.cli.import_report import FAULTS_SHOWN, Report
from mailroute.cli.loading import Plan, Step
from mailroute.cli.output import Output

STEPS = [
    Step(2, ("joe", ("east",)), None),
    Step(4, ("amy", ("east",)), "west"),
    Step(5, ("bob", ("east",)), None),
]


class ReportTests(SynchronousTestCase):
    """For people and for programs."""

    def setUp(self) -> None:
        self.stdout, self.stderr = io.StringIO(), io.StringIO()
        self.patch(sys, "stdout", self.stdout)
        self.patch(sys, "stderr", self.stderr)
        self.plan = Plan(list(STEPS), [Fault(3, "odd\x1b")], 7)

    def test_whole(self) -> None:
        """The counts."""
        report = Report(self.plan, Output(False))
        report.wrote(STEPS)
        report.tell()
        self.assertEqual(self.stdout.getvalue(), "added 2, changed 1, unchanged 7, refused 1\n")
        self.assertEqual(self.stderr.getvalue(), "")

    def test_json(self) -> None:
        """One object; the lines that cannot be used are in it and nowhere else."""
        report = Report(self.plan, Output(True), is_dry=True)
        report.tell_faults()
        report.wrote(STEPS[:1])
        report.tell()
        wanted = {
            **{"added": 1, "changed": 0, "unchanged": 7, "left": 2, "dry_run": True},
            "refused": [{"line": 3, "reason": "odd\x1b"}],
        }
        self.assertEqual(json.loads(self.stdout.getvalue()), wanted)
        self.assertNotIn("odd", self.stderr.getvalue())

    def test_dry(self) -> None:
        """What would be is not told as if it were."""
        Report(Plan(), Output(False), is_dry=True).tell()
        self.assertTrue(self.stdout.getvalue().startswith("would be added 0"))

    def test_rest(self) -> None:
        """How far it came; nothing is said of one that came to its end."""
        report = Report(self.plan, Output(False))
        report.tell_rest()
        self.assertIn("known to be written: nothing; run it again", self.stderr.getvalue())
        report.wrote(STEPS[:2])
        report.tell_rest()
        told = self.stderr.getvalue()
        self.assertIn("known to be written: up to line 4; run it again for the rest", told)
        report.wrote(STEPS[2:])
        report.tell_rest()
        self.assertEqual(self.stderr.getvalue(), told)

    def test_faults(self) -> None:
        """Named with their lines, a hundred of them; none steers a terminal."""
        report = Report(self.plan, Output(False))
        report.tell_faults()
        self.assertEqual(self.stderr.getvalue(), "mailroute: line 3: odd\\x1b\n")
        self.plan.faults = [Fault(number, "odd") for number in range(FAULTS_SHOWN + 5)]
        report.tell_faults()
        self.assertEqual(self.stderr.getvalue().count("\n"), FAULTS_SHOWN + 2)
        self.assertIn("and 5 lines more", self.stderr.getvalue())

    def test_names(self) -> None:
        """Every account that changes, if that is wanted."""
        Report(self.plan, Output(False), names_all=True).wrote(STEPS[:2])
        told = "line 2: added joe: east\nline 4: changed amy: west -> east\n"
        self.assertEqual(self.stdout.getvalue(), told)
