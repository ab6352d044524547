"""What the demo tells its user."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.demo.configuration import Folder, FrontPorts
from mailroute.demo.instructions import Accounts, instructions

ROUTES = {"alice@example.org": "east", "bob@example.org": "west"}


class InstructionTests(SynchronousTestCase):
    """Every port and every account is told; the integration tests run the commands."""

    def setUp(self) -> None:
        accounts = Accounts(ROUTES, "pass")
        self.text = instructions(Folder(Path("/somewhere")), FrontPorts(), accounts, "/bin/it")

    def test_accounts(self) -> None:
        """Who lives where, with a command to see it."""
        for account, server in ROUTES.items():
            self.assertRegex(self.text, f"{account} +password pass, lives on {server}")
            self.assertIn(
                f"curl -k --url 'imaps://127.0.0.1:1993/INBOX;MAILINDEX=1' -u {account}:pass\n",
                self.text,
            )

    def test_ports(self) -> None:
        """Each of the six ports occurs."""
        for port in (1143, 1993, 1110, 1995, 1587, 1465):
            self.assertIn(f"127.0.0.1:{port}", self.text)

    def test_move(self) -> None:
        """The first account can be sent to the other one's server."""
        command = "/bin/it --config /somewhere/mailroute.toml table mapping set"
        self.assertIn(f"    {command} alice@example.org west\n", self.text)

    def test_nothing_left_open(self) -> None:
        """No placeholder is left in the text."""
        self.assertNotIn("{", self.text)
        self.assertIn("/somewhere/mailroute.toml", self.text)
