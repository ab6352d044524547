"""How the service is started by the console script."""

from __future__ import annotations

import os
import sys

from mailroute.cli.run import command_line
from tests.cli.calling import CallingCase


class RunTests(CallingCase):
    """The process becomes twistd."""

    def setUp(self) -> None:
        super().setUp()
        self.carried_out: list[tuple[str, list[str]]] = []
        self.patch(os, "execv", lambda path, words: self.carried_out.append((path, words)))

    def test_configuration(self) -> None:
        """With the configuration of the command line, its path made absolute."""
        path = self.configure()
        self.assertEqual(self.call("-c", os.path.relpath(path), "run"), 0)
        self.assertEqual(self.carried_out, [(sys.executable, command_line(path, ()))])
        self.assertEqual(self.carried_out[0][1][-3:], ["mailroute", "--config", path])

    def test_options(self) -> None:
        """Others are twistd's, and stand before the service's name."""
        self.assertEqual(self.call("run", "--logfile=-", "--umask", "027"), 0)
        words = self.carried_out[0][1]
        options = words[words.index("--nodaemon") : words.index("mailroute")]
        expected = ["--nodaemon", "--pidfile=", "--logfile=-", "--umask", "027"]
        self.assertEqual(options, expected)

    def test_python(self) -> None:
        """By the same Python, which finds nothing in the present folder."""
        words = command_line("/etc/mailroute.toml", ())
        self.assertEqual(words[:2], [sys.executable, "-P"])
