"""The exit statuses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli import statuses


class StatusTests(SynchronousTestCase):
    """Scripts rely on them."""

    def test_numbers(self) -> None:
        """Those that are documented."""
        found = (statuses.OK, statuses.ABSENT, statuses.TEMPORARY, statuses.CONFIGURATION)
        self.assertEqual(found, (0, 1, 75, 78))
