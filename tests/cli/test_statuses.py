"""The exit statuses."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli import statuses
from mailroute.errors import Failure, FailureKind


class StatusTests(SynchronousTestCase):
    """Scripts rely on them."""

    def test_numbers(self) -> None:
        """Those that are documented."""
        found = (statuses.OK, statuses.ABSENT, statuses.TEMPORARY, statuses.CONFIGURATION)
        self.assertEqual(found, (0, 1, 75, 78))

    def test_failures(self) -> None:
        """What may work later is told from what will not."""
        found = {kind: statuses.of(Failure(kind, "why")) for kind in FailureKind}
        self.assertEqual(found[FailureKind.ACCOUNT_UNKNOWN], 1)
        self.assertEqual(found[FailureKind.CREDENTIALS_REJECTED], 1)
        self.assertEqual(found[FailureKind.LOOKUP_FAILED], 75)
        self.assertEqual(found[FailureKind.DESTINATION_UNKNOWN], 75)
