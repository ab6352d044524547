"""``twistd`` finds mailroute when it is installed, from any folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parents[2]


class InstalledPluginTests(TestCase):
    """A folder on the module path that looks as the installed packages do."""

    def setUp(self) -> None:
        self.site = Path(self.mktemp()).absolute()
        shutil.copytree(ROOT / "mailroute", self.site / "mailroute")
        shutil.copytree(ROOT / "twisted" / "plugins", self.site / "twisted" / "plugins")
        self.cache = self.site / "twisted" / "plugins" / "dropin.cache"
        self.cache.unlink(missing_ok=True)

    def twistd(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run it in the root folder, where no source is."""
        return subprocess.run(
            [sys.executable, "-c", "from twisted.scripts.twistd import run; run()", *arguments],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(self.site)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def test_listed(self) -> Deferred[None]:
        """``twistd --help`` lists it, and its own help tells the option."""

        def ask() -> None:
            self.assertRegex(self.twistd("--help").stdout, r"mailroute +Mail routing proxy")
            self.assertIn("--config", self.twistd("mailroute", "--help").stdout)

        return deferToThread(ask)

    def test_cache_cannot_be_written(self) -> Deferred[None]:
        """A plugin cache that nobody may write is no reason for a traceback."""
        # A folder in its place keeps root from writing it, too.
        self.cache.mkdir()

        def ask() -> None:
            answer = self.twistd("--help")
            self.assertRegex(answer.stdout, r"mailroute +Mail routing proxy")
            self.assertNotIn("Traceback", answer.stdout + answer.stderr)

        return deferToThread(ask)
