"""The documentation is built: pages and man pages, without a warning."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from twisted.trial.unittest import TestCase

from mailroute.cli.main import COMMANDS
from mailroute.config.reader import SECTIONS

ROOT = Path(__file__).parents[2]
SECONDS = 300


class DocumentationTests(TestCase):
    """A copy, so that nothing is left in the sources."""

    timeout = 2 * SECONDS

    def setUp(self) -> None:
        """The documents, with what the program says of itself."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-docs-"))
        self.addCleanup(shutil.rmtree, self.folder)
        unwanted = shutil.ignore_patterns("_build", "generated", "__pycache__")
        shutil.copytree(ROOT / "docs", self.folder / "docs", ignore=unwanted)
        (self.folder / "mailroute").mkdir()
        shutil.copy(ROOT / "mailroute" / "__init__.py", self.folder / "mailroute")
        self.run_python(str(self.folder / "docs" / "generate.py"))

    def run_python(self, *arguments: str) -> None:
        """Run it with our package to import; it has to succeed without a word."""
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd="/",
            env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)

    def build(self, builder: str) -> Path:
        """Build all of it; a warning is an error."""
        built = self.folder / builder
        options = ["-q", "-W", "--keep-going", "-b", builder]
        self.run_python("-m", "sphinx", *options, str(self.folder / "docs"), str(built))
        return built

    def test_pages(self) -> None:
        """Every document is a page, and the reference has every key and every command."""
        built = self.build("html")
        for path in (ROOT / "docs").rglob("*.md"):
            if not {"generated", "_build"} & set(path.parts):
                page = built / path.relative_to(ROOT / "docs").with_suffix(".html")
                self.assertTrue(page.exists(), page)
        page = (built / "reference" / "configuration.html").read_text(encoding="utf-8")
        for section in SECTIONS:
            for key in section.keys:
                if key.built:
                    self.assertIn(f'<span class="pre">{key.name}</span>', page)
        page = (built / "reference" / "commands.html").read_text(encoding="utf-8")
        for name in COMMANDS:
            self.assertIn(f"mailroute {name}", page)

    def test_man_pages(self) -> None:
        """Those that the Debian package installs."""
        built = {path.name for path in self.build("man").iterdir() if path.is_file()}
        listed = (ROOT / "debian" / "mailroute.manpages").read_text().split()
        self.assertEqual({Path(path).name for path in listed}, built)
