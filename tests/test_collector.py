"""What the garbage collector is spared."""

from __future__ import annotations

import gc
import weakref

from twisted.trial.unittest import SynchronousTestCase

from mailroute import collector


class _Knot:
    """Something that only the collector can free."""

    def __init__(self) -> None:
        self.itself = self


class SettleTests(SynchronousTestCase):
    """At rest."""

    def setUp(self) -> None:
        """Afterwards the tests' own process collects as before."""
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)

    def test_what_is_there_stays(self) -> None:
        """What start-up has made is not looked at again, and collections are rare."""
        collector.settle()
        self.assertGreater(gc.get_freeze_count(), 10_000)
        self.assertEqual(gc.get_threshold(), collector.THRESHOLDS)
        self.assertTrue(gc.isenabled())

    def test_garbage_of_a_reload(self) -> None:
        """What was in use at the first rest, and is tied to itself, is freed at the next one."""
        knot = _Knot()
        gone = weakref.ref(knot)
        collector.settle()
        del knot
        gc.collect()
        self.assertIsNotNone(gone())
        collector.settle()
        self.assertIsNone(gone())

    def test_garbage_of_a_session(self) -> None:
        """What is made afterwards is still collected."""
        collector.settle()
        knot = _Knot()
        gone = weakref.ref(knot)
        del knot
        gc.collect()
        self.assertIsNone(gone())
