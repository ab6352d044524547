"""The plugin module and the packaging that brings it to where ``twistd`` looks."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
PLUGIN = ROOT / "twisted" / "plugins" / "mailroute_plugin.py"


class PluginTests(SynchronousTestCase):
    """``twistd`` reads every plugin at every start: this one has to be light."""

    def test_imports(self) -> None:
        """It imports ServiceMaker and nothing else; mailroute itself is named as a string."""
        tree = ast.parse(PLUGIN.read_text())
        imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
        self.assertEqual(
            [ast.unparse(node) for node in imports],
            ["from twisted.application.service import ServiceMaker"],
        )

    def test_module(self) -> None:
        """The named module is there."""
        namespace: dict[str, object] = {}
        exec(compile(PLUGIN.read_text(), str(PLUGIN), "exec"), namespace)  # noqa: S102
        maker = namespace["mailroute"]
        self.assertEqual(getattr(maker, "tapname", None), "mailroute")
        module = getattr(maker, "module", "")
        self.assertTrue((ROOT / Path(*module.split("."))).with_suffix(".py").is_file(), module)

    def test_namespace(self) -> None:
        """The folders have no ``__init__.py``: it would hide Twisted's own."""
        for folder in (PLUGIN.parent, PLUGIN.parent.parent):
            self.assertFalse((folder / "__init__.py").exists(), folder)

    def test_packaging(self) -> None:
        """The plugin's package is installed, and the program's name is its own."""
        self.assertIn('"twisted.plugins"', (ROOT / "setup.py").read_text())
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
        self.assertEqual(project["name"], "mailroute")
