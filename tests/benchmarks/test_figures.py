"""Medians, ranges, ratios, and how numbers are written."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.figures import Spread, ratios, short, spread, told


class SpreadTests(SynchronousTestCase):
    """What several rounds say."""

    def test_median_and_range(self) -> None:
        """The median, not the mean: one bad round does not move it."""
        self.assertEqual(spread([3.0, 100.0, 2.0]), Spread(3.0, 2.0, 100.0, 3))

    def test_nothing(self) -> None:
        """No round, no figure."""
        self.assertIsNone(spread([]))

    def test_pairs_of_the_same_round(self) -> None:
        """A ratio is formed within a round: 2/1, 6/2; round 3 has no partner."""
        self.assertEqual(
            ratios({1: 2.0, 2: 6.0, 3: 9.0}, {1: 1.0, 2: 2.0}), Spread(2.5, 2.0, 3.0, 2)
        )

    def test_ratio_is_not_that_of_the_medians(self) -> None:
        """A machine that is twice as slow in one round is so for both."""
        found = ratios({1: 10.0, 2: 40.0, 3: 30.0}, {1: 10.0, 2: 40.0, 3: 15.0})
        self.assertEqual(found, Spread(1.0, 1.0, 2.0, 3))

    def test_nothing_below(self) -> None:
        """A figure of zero has no ratio."""
        self.assertIsNone(ratios({1: 2.0}, {1: 0.0}))


class WordsTests(SynchronousTestCase):
    """Numbers for people."""

    def test_three_digits(self) -> None:
        """What counts is shown, what does not is not."""
        self.assertEqual(
            [short(it) for it in (0.123, 12.34, 123.4, 12345.6)], ["0.12", "12.3", "123", "12,346"]
        )

    def test_range(self) -> None:
        """A range is shown if there is one."""
        self.assertEqual(told(Spread(2.0, 1.0, 3.0, 3)), "2.00 (1.00-3.00)")
        self.assertEqual(told(Spread(2.0, 2.0, 2.0, 3)), "2.00")
        self.assertEqual(told(Spread(2.0, 2.0, 2.0, 1)), "2.00")
        self.assertEqual(told(None), "-")
