"""``pip install .`` makes a mailroute that ``twistd`` finds, from any folder and for any user."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from twisted.trial.unittest import TestCase

import mailroute
from tests.support.installed import require

ROOT = Path(__file__).parents[2]
SOURCES = ("mailroute", "twisted", "setup.py", "pyproject.toml", "README.md", "LICENSE")
SECONDS = 300
SETUPTOOLS = 77
"""The oldest that reads our ``pyproject.toml``; where it is missing, pip loads it."""
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"


@cache
def installed() -> Path:
    """What ``pip install`` makes of a copy of the sources; the libraries stay where they are."""
    folder = Path(tempfile.mkdtemp(prefix="mailroute-install-"))
    folder.chmod(0o755)
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--no-cache-dir"]
    if _has_build_tools():
        command += ["--no-build-isolation", "--no-index"]
    done = subprocess.run(
        [*command, "--target", str(folder / "site"), str(_copy(folder / "sources"))],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(done.stdout + done.stderr)
    return folder / "site"


def _copy(copy: Path) -> Path:
    """The sources without what was made of them; building leaves files behind."""
    copy.mkdir()
    for name in SOURCES:
        source = ROOT / name
        if source.is_dir():
            unwanted = shutil.ignore_patterns("__pycache__", "dropin.cache")
            shutil.copytree(source, copy / name, ignore=unwanted)
        else:
            shutil.copy(source, copy / name)
    return copy


class InstallTests(TestCase):
    """A folder on the module path that was filled by pip."""

    timeout = 2 * SECONDS

    def setUp(self) -> None:
        self.site = installed()

    def run_python(
        self, *arguments: str, limited: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run it in a folder without sources; ``limited``: bound by the permissions of files."""
        prefix = []
        if limited and os.geteuid() == 0:
            require("setpriv", ("setpriv",), "util-linux")
            prefix = ["setpriv", "--bounding-set=-dac_override", "--"]
        return subprocess.run(
            [*prefix, sys.executable, *arguments],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(self.site)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )

    def twistd(self, *arguments: str, limited: bool = False) -> subprocess.CompletedProcess[str]:
        """Run twistd."""
        return self.run_python("-c", _TWISTD, *arguments, limited=limited)

    def test_installed(self) -> None:
        """The parts lie where they belong, and nothing else; the plugin works from any folder."""
        found = {path.name for path in self.site.iterdir() if path.suffix != ".dist-info"}
        self.assertEqual(found, {"bin", "mailroute", "twisted"})
        files = [path for path in (self.site / "twisted").rglob("*.py*") if path.suffix == ".py"]
        self.assertEqual(files, [self.site / "twisted" / "plugins" / "mailroute_plugin.py"])
        where = self.run_python("-c", "import mailroute; print(mailroute.__file__)").stdout
        self.assertTrue(where.startswith(str(self.site)), where)
        listed = self.twistd("--help")
        self.assertRegex(listed.stdout, r"mailroute +Mail routing proxy")
        self.assertEqual(listed.stderr, "")
        script = self.run_python(str(self.site / "bin" / "mailroute"), "--version")
        self.assertIn(mailroute.__version__, script.stdout, script.stderr)
        refused = self.twistd("-n", "--pidfile=", "mailroute", "--config", "/nowhere.toml")
        self.assertEqual(refused.returncode, 78, refused.stderr)
        self.assertIn("/nowhere.toml", refused.stderr)

    def test_read_only(self) -> None:
        """A user who may not write the plugin cache has the plugin, and is told nothing of it."""
        plugins = self.site / "twisted" / "plugins"
        (plugins / "dropin.cache").unlink(missing_ok=True)
        folders = [folder for folder in (self.site, *self.site.rglob("*")) if folder.is_dir()]
        for folder in folders:
            folder.chmod(0o555)
            self.addCleanup(folder.chmod, 0o755)
        listed = self.twistd("--help", limited=True)
        self.assertRegex(listed.stdout, r"mailroute +Mail routing proxy")
        self.assertEqual(listed.stderr, "")
        self.assertFalse((plugins / "dropin.cache").exists(), "it was not read-only")
        helped = self.twistd("mailroute", "--help", limited=True)
        self.assertIn("--config", helped.stdout)
        self.assertEqual(helped.stderr, "")


def _has_build_tools() -> bool:
    """Whether the setuptools at hand are those that ``pyproject.toml`` asks for."""
    try:
        return int(version("setuptools").partition(".")[0]) >= SETUPTOOLS
    except PackageNotFoundError:
        return False
