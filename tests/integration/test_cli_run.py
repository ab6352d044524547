"""``mailroute run``: the same service as by ``twistd mailroute``."""

from __future__ import annotations

import os
import signal
import subprocess

from twisted.trial.unittest import TestCase

from tests.integration.console import SECONDS, command, environment
from tests.integration.proxy import Destination, Proxy, Settings
from tests.support.ports import is_open, poll


class RunTests(TestCase):
    """As a process."""

    timeout = 2 * SECONDS

    def setUp(self) -> None:
        self.proxy = Proxy(Settings((Destination("east", {"imap": (993, "implicit")}),)))
        self.addCleanup(self.proxy.remove)

    def start(self) -> subprocess.Popen[bytes]:
        """Start it; it is ended with the test."""
        words = command("-c", str(self.proxy.configuration), "run")
        process = subprocess.Popen(
            words, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self.addCleanup(process.communicate)
        self.addCleanup(process.kill)
        return process

    def test_served(self) -> None:
        """It serves, and SIGTERM ends it."""
        process = self.start()
        port = self.proxy.ports["imap", "implicit"]
        self.assertTrue(poll(lambda: is_open(port), SECONDS))
        os.kill(process.pid, signal.SIGTERM)
        process.wait(SECONDS)
        self.assertFalse(is_open(port))

    def test_configuration_at_fault(self) -> None:
        """The exit status tells."""
        self.proxy.configuration.write_text("[server]\n")
        process = self.start()
        self.assertEqual(process.wait(SECONDS), 78)
