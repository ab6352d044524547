"""``.ci/run`` counts what trial says and hides no missing server; ``make`` is played here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

CI_RUN = Path(__file__).parents[1] / ".ci" / "run"
MAKE = """\
#!/bin/sh
case "$1" in
test) cat {log}; exit {tests} ;;
lint) exit {lint} ;;
esac
"""


class CountTests(SynchronousTestCase):
    """The last line and the exit status for what trial may print."""

    def run_with(self, log: str, tests: int = 0, lint: int = 0) -> tuple[int, str]:
        """Run the script with a log for the tests and two exit statuses."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "log").write_text(log)
        make = folder / "make"
        make.write_text(MAKE.format(log=folder / "log", tests=tests, lint=lint))
        make.chmod(0o755)
        done = subprocess.run(
            [str(CI_RUN)],
            env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return done.returncode, done.stdout.splitlines()[-1]

    def test_passed(self) -> None:
        """Without skips and with skips that have another reason."""
        self.assertEqual(
            self.run_with("Ran 345 tests in 1.0s\n\nPASSED (successes=345)\n"),
            (0, "345 passed, 0 failed, 0 skipped"),
        )
        log = "[SKIPPED]\nonly root can do this\n\nPASSED (skips=2, successes=5)\n"
        self.assertEqual(self.run_with(log), (0, "5 passed, 0 failed, 2 skipped"))

    def test_failed(self) -> None:
        """Failures and errors are added up."""
        log = "FAILED (skips=1, failures=2, errors=3, successes=4)\nmake: *** Error 1\n"
        self.assertEqual(self.run_with(log, tests=2), (1, "4 passed, 5 failed, 1 skipped"))

    def test_missing_server(self) -> None:
        """A skip for a missing server is no success."""
        log = "[SKIPPED]\nmissing dovecot: apt-get install x\n\nPASSED (skips=1, successes=5)\n"
        self.assertEqual(self.run_with(log), (1, "5 passed, 0 failed, 1 skipped"))

    def test_no_summary(self) -> None:
        """Tests that did not even start count as one failure."""
        self.assertEqual(self.run_with("no such module\n", 1), (1, "0 passed, 1 failed, 0 skipped"))

    def test_nothing_ran(self) -> None:
        """Nothing is no success."""
        self.assertEqual(self.run_with("", 0), (1, "0 passed, 1 failed, 0 skipped"))

    def test_linters(self) -> None:
        """The linters' complaint is in the exit status."""
        log = "PASSED (successes=3)\n"
        self.assertEqual(self.run_with(log, lint=1), (1, "3 passed, 0 failed, 0 skipped"))
