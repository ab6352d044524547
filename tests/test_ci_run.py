"""``.ci/run`` counts what trial says and hides no missing server; ``make`` is played here."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

CI_RUN = Path(__file__).parents[1] / ".ci" / "run"
MAKE = """\
#!/bin/sh
case "$*" in
lint) exit {lint} ;;
*WORKERS=2*) echo "$*" >{folder}/on_two; cat {folder}/log2; exit {on_two} ;;
*tests.integration.*) echo "$*" >>{folder}/halves; echo "PASSED (successes=100)" ;;
test*) echo "$*" >{folder}/units; cat {folder}/log; exit {tests} ;;
esac
"""
GOOD = "PASSED (successes=10)\n"


class CountTests(SynchronousTestCase):
    """The last line and the exit status for what trial may print."""

    def run_with(
        self, log: str, tests: int = 0, lint: int = 0, on_two: tuple[str, int] = (GOOD, 0)
    ) -> tuple[int, str]:
        """Run the script with what make prints and how it ends, also for two workers."""
        self.folder = folder = Path(self.mktemp()).absolute()
        folder.mkdir()
        (folder / "log").write_text(log)
        (folder / "log2").write_text(on_two[0])
        make = folder / "make"
        make.write_text(MAKE.format(folder=folder, tests=tests, lint=lint, on_two=on_two[1]))
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
            (0, "555 passed, 0 failed, 0 skipped"),
        )
        log = "[SKIPPED]\nonly root can do this\n\nPASSED (skips=2, successes=5)\n"
        self.assertEqual(self.run_with(log), (0, "215 passed, 0 failed, 2 skipped"))

    def test_failed(self) -> None:
        """Failures and errors are added up."""
        log = "FAILED (skips=1, failures=2, errors=3, successes=4)\nmake: *** Error 1\n"
        self.assertEqual(self.run_with(log, tests=2), (1, "214 passed, 5 failed, 1 skipped"))

    def test_missing_server(self) -> None:
        """A skip for a missing server is no success."""
        log = "[SKIPPED]\nmissing dovecot: apt-get install x\n\nPASSED (skips=1, successes=5)\n"
        self.assertEqual(self.run_with(log), (1, "215 passed, 0 failed, 1 skipped"))

    def test_two_workers(self) -> None:
        """The modules that are run once more exist, and their outcome counts."""
        log = "FAILED (failures=2, successes=4)\n"
        expected = (1, "209 passed, 2 failed, 0 skipped")
        self.assertEqual(self.run_with("PASSED (successes=5)\n", on_two=(log, 2)), expected)
        said = (self.folder / "on_two").read_text()
        names = said.partition("TESTS=")[2].split()
        self.assertGreater(len(names), 3)
        for name in names:
            namedAny(name)
        expected = (1, "205 passed, 1 failed, 0 skipped")
        self.assertEqual(self.run_with("PASSED (successes=5)\n", on_two=("", 2)), expected)

    def test_whole(self) -> None:
        """Every module of the tests is run, and none twice."""
        self.run_with(GOOD)
        said = (self.folder / "units").read_text() + (self.folder / "halves").read_text()
        names = [word.removeprefix("TESTS=") for word in said.split() if "tests." in word]
        self.assertEqual(len(names), len(set(names)))
        for path in (CI_RUN.parents[1] / "tests").rglob("test_*.py"):
            module = ".".join(path.relative_to(CI_RUN.parents[1]).with_suffix("").parts)
            covered = [name for name in names if f"{module}.".startswith(f"{name}.")]
            self.assertEqual(len(covered), 1, module)

    def test_no_summary(self) -> None:
        """Tests that did not even start count as one failure."""
        expected = (1, "210 passed, 1 failed, 0 skipped")
        self.assertEqual(self.run_with("no such module\n", 1), expected)

    def test_nothing_ran(self) -> None:
        """Nothing is no success."""
        self.assertEqual(self.run_with("", 0), (1, "210 passed, 1 failed, 0 skipped"))

    def test_linters(self) -> None:
        """The linters' complaint is in the exit status."""
        log = "PASSED (successes=3)\n"
        self.assertEqual(self.run_with(log, lint=1), (1, "213 passed, 0 failed, 0 skipped"))
