"""Keys that are their own values."""

from __future__ import annotations

from mailroute.tables.identity import IdentityTable
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import ODD_KEYS


class IdentityTableTests(AskingCase):
    """A table of type identity."""

    def test_every_key(self) -> None:
        """Every key, also the empty one, leads to itself."""
        for key in ("bob@example.org", *ODD_KEYS):
            self.assertEqual(self.ask(IdentityTable(), key), (key,))
