"""What a shell is told."""

from __future__ import annotations

import os

from mailroute.cli.completion import VARIABLE
from mailroute.cli.main import COMMANDS
from tests.cli.calling import CallingCase


class CompletionTests(CallingCase):
    """For three shells."""

    def test_source(self) -> None:
        """Each has a text that asks the console script."""
        for shell in ("bash", "zsh", "fish"):
            self.assertEqual(self.call("completion", shell), 0)
            self.assertIn(f"{VARIABLE}={shell}_complete", self.stdout)

    def test_other_shell(self) -> None:
        """Not for every one."""
        self.assertEqual(self.call("completion", "cmd"), 2)

    def test_asked(self) -> None:
        """Commands are completed by name."""
        asked = {VARIABLE: "bash_complete", "COMP_WORDS": "mailroute ", "COMP_CWORD": "1"}
        self.patch(os, "environ", {**os.environ, **asked})
        self.assertEqual(self.call(), 0)
        self.assertEqual(self.stdout.split(), [f"plain,{name}" for name in COMMANDS])

    def test_protocols(self) -> None:
        """Values of options as well."""
        words = "mailroute lookup --protocol p"
        asked = {VARIABLE: "bash_complete", "COMP_WORDS": words, "COMP_CWORD": "3"}
        self.patch(os, "environ", {**os.environ, **asked})
        self.assertEqual(self.call(), 0)
        self.assertEqual(self.stdout.split(), ["plain,pop3"])
