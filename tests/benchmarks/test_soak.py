"""The mixed load, and how its outcome is judged."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.soak import Watch, mixture


class MixtureTests(SynchronousTestCase):
    """All kinds of clients at the same time."""

    def test_kinds(self) -> None:
        """Every protocol with and without TLS, every kind of work."""
        loads = mixture(60.0).values()
        self.assertEqual(
            {load.service for load in loads}, {"imap", "imaps", "pop3", "pop3s", "smtp", "smtps"}
        )
        self.assertEqual(
            {load.work for load in loads}, {"login", "chat", "fetch", "append", "hold"}
        )
        for option in ("wrong", "leave", "resume"):
            self.assertTrue(any(load.options.get(option) for load in loads), option)

    def test_time(self) -> None:
        """All end by themselves, but those that are held until the others have ended."""
        for load in mixture(60.0).values():
            self.assertEqual(load.options.get("seconds"), None if load.work == "hold" else 60.0)


class GrowthTests(SynchronousTestCase):
    """Memory that goes on growing is told from memory that is taken once."""

    def growth(self, *mib: float) -> float:
        """Of samples at equal distances."""
        return Watch(memory=[(float(i), value) for i, value in enumerate(mib)]).growth()

    def test_taken_once(self) -> None:
        """The first fifth is for opening sessions and filling caches."""
        self.assertEqual(self.growth(10, 40, 80, 80, 80, 80, 80, 80, 80, 80), 0.0)

    def test_growing(self) -> None:
        """From the second fifth to the last one."""
        self.assertEqual(self.growth(*range(10)), 6.0)
