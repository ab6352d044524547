"""What waking a thread costs."""

from __future__ import annotations

import threading

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.waking import cost_of_waking


class WakingTests(SynchronousTestCase):
    """A thread that does nothing."""

    def test_cost(self) -> None:
        """It costs something, and leaves no thread behind."""
        before = threading.active_count()
        self.assertGreater(cost_of_waking(), 0.1)
        self.assertEqual(threading.active_count(), before)
