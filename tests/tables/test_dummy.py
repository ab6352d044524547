"""Nothing is found."""

from __future__ import annotations

from mailroute.tables.dummy import DummyTable
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import ODD_KEYS


class DummyTableTests(AskingCase):
    """A table of type dummy."""

    def test_no_key(self) -> None:
        """Every key is absent; not an empty value, which would be found."""
        for key in ("bob@example.org", *ODD_KEYS):
            self.assertIsNone(self.ask(DummyTable(), key))
