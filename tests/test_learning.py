"""What all backends of a protocol offer."""

from __future__ import annotations

import gc
from collections.abc import Sequence

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.learning import RETRY_SECONDS, Learner

INTERVAL = 600.0


def common(found: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """What all have."""
    return tuple(sorted(frozenset.intersection(*found)))


class LearnerTests(SynchronousTestCase):
    """Two destinations that answer when the test says so."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.offers: dict[str, str | None] = {"east": "A B C", "west": "A B"}
        self.asked: list[str] = []
        self.learnt: list[tuple[str, ...]] = []
        self.said: list[str] = []
        self.waiting: Deferred[None] | None = None
        log = Logger("learn", observer=self.note)  # type: ignore[arg-type]
        self.learner = Learner(["east", "west"], self.ask, common, self.clock, log)
        self.learner.when_learnt = self.learnt.append

    def note(self, event: LogEvent) -> None:
        """Keep the words of a warning."""
        if event["log_level"].name == "warn":
            self.said.append(event["log_format"].format(**event))

    async def ask(self, name: str) -> frozenset[str]:
        """What the destination offers now."""
        self.asked.append(name)
        if self.waiting is not None:
            await self.waiting
        words = self.offers[name]
        if words is None:
            raise Failure(FailureKind.BACKEND_UNREACHABLE, "refused")
        return frozenset(words.split())

    def test_intersection(self) -> None:
        """At the start: what all offer; who lacks what another has is named."""
        self.learner.start(INTERVAL)
        self.assertEqual(self.asked, ["east", "west"])
        self.assertEqual(self.learnt, [("A", "B")])
        self.assertEqual(self.said, ["destination west differs, so nobody is offered: C"])

    def test_interval(self) -> None:
        """They are asked again; what has not changed is not told again."""
        self.learner.start(INTERVAL)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.asked), 4)
        self.assertEqual((len(self.learnt), len(self.said)), (1, 1))
        self.offers["west"] = "A B C"
        self.clock.advance(INTERVAL)
        self.assertEqual(self.learnt[1:], [("A", "B", "C")])
        self.offers["west"] = "A B"
        self.clock.advance(INTERVAL)
        self.assertEqual((self.learnt[-1], len(self.said)), (("A", "B"), 2))

    def test_unreachable(self) -> None:
        """Who was never reached does not count, and is asked soon; who was keeps its word."""
        self.offers["west"] = None
        self.learner.start(INTERVAL)
        self.assertEqual(self.learnt, [("A", "B", "C")])
        self.assertEqual(self.said, ["destination west cannot be asked what it offers: refused"])
        self.offers["west"] = "A"
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.learnt[-1], ("A",))
        self.offers["west"] = None
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.learnt), 2)

    def test_nobody_reachable(self) -> None:
        """Nothing is learnt of nobody."""
        self.offers = {"east": None, "west": None}
        self.learner.start(INTERVAL)
        self.assertEqual(self.learnt, [])

    def test_failure(self) -> None:
        """A failed login has its destination asked soon, however many fail; strangers do not."""
        self.learner.start(INTERVAL)
        self.learner.failed("nobody")
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(len(self.asked), 2)
        for _ in range(5):
            self.learner.failed("east")
            self.clock.advance(RETRY_SECONDS / 5)
        self.assertEqual(len(self.asked), 4)
        self.clock.advance(INTERVAL)
        self.assertEqual(len(self.asked), 6)

    def test_slow(self) -> None:
        """Nobody is asked twice at once."""
        self.waiting = Deferred()
        self.learner.start(INTERVAL)
        self.learner.failed("east")
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.asked, ["east"])
        waiting, self.waiting = self.waiting, None
        waiting.callback(None)
        self.assertEqual(self.asked, ["east", "west"])

    def test_defect(self) -> None:
        """A defect is reported as one, and they are asked again."""
        del self.offers["west"]
        self.learner.start(INTERVAL)
        gc.collect()
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 1)
        self.offers["west"] = "A"
        self.clock.advance(RETRY_SECONDS)
        self.assertEqual(self.learnt, [("A",)])

    def test_stop(self) -> None:
        """At the end nothing is left to be done, in whichever moment it comes."""
        self.learner.start(INTERVAL)
        self.learner.stop()
        self.learner.failed("east")
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.setUp()
        self.waiting = Deferred()
        self.learner.start(INTERVAL)
        self.learner.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.learnt, [])
