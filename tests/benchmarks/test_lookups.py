"""What one look-up costs: how it is counted and told."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from benchmarks.lookups import (
    ACCOUNTS,
    BARS,
    Found,
    Holding,
    Threads,
    account,
    held_by,
    per_lookup,
    resident_octets,
)
from mailroute.tables.contract import Key, Row
from tests.support.threads import ThreadlessReactor


class _Table:
    """Remembers who asked; knows everybody but one."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self, stranger: str = "") -> None:
        self.asked: list[str] = []
        self._stranger = stranger

    async def lookup(self, key: Key) -> Row | None:
        """Answer at once."""
        self.asked.append(key.identifier)
        return None if key.identifier == self._stranger else Row("east")


class PerLookupTests(SynchronousTestCase):
    """The load on a table."""

    def test_accounts(self) -> None:
        """So many look-ups in all, each of another account that there is."""
        for at_once in (1, 64):
            table = _Table()
            asked = Deferred.fromCoroutine(per_lookup(table, 6400, at_once))
            self.assertGreater(self.successResultOf(asked), 0)
            self.assertEqual(len(set(table.asked)), 6400)
            self.assertTrue(set(table.asked) <= {account(number) for number in range(ACCOUNTS)})

    def test_absent(self) -> None:
        """An account that is not found spoils the figure."""
        asked = Deferred.fromCoroutine(per_lookup(_Table(account(7919)), 64, 4))
        self.failureResultOf(asked)


class HoldingTests(SynchronousTestCase):
    """How long the reactor did not get to run."""

    def test_longest(self) -> None:
        """The longest time between two ticks, without a tick's own; of it what we computed."""
        clock, used = Clock(), [0.0]
        holding = Holding(clock, clock.seconds, lambda: used[0])
        holding.begin()
        clock.pump([0.001] * 3)
        self.assertAlmostEqual(holding.longest, 0)
        used[0] += 0.1
        clock.advance(0.041)
        clock.advance(0.001)
        self.assertAlmostEqual(holding.longest, 0.04)
        used[0] += 0.02
        clock.advance(0.521)
        self.assertAlmostEqual(holding.longest, 0.04)
        used[0] += 0.06
        clock.advance(0.521)
        self.assertAlmostEqual(holding.end(), 0.06)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_work(self) -> None:
        """What the work has left to the threads is a part of it."""
        clock = Clock()
        threads = Threads(ThreadlessReactor())
        threads.reactor = clock
        begun: list[Deferred[None]] = []
        self.patch(threads, "_aside", lambda job: begun.append(job()) or begun[-1])
        held = Deferred.fromCoroutine(held_by(threads(Deferred), threads))
        threads(Deferred)
        begun[0].callback(None)
        self.assertNoResult(held)
        begun[1].callback(None)
        self.assertGreaterEqual(self.successResultOf(held), 0)
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_process(self) -> None:
        """What the kernel says of this process."""
        self.assertGreater(resident_octets(), 1_000_000)


class ReportTests(SynchronousTestCase):
    """The table."""

    def test_verdicts(self) -> None:
        """The median beside its bar."""
        found = Found()
        for value in (2.0, 2.5, 9.0):
            found.add("cached, us", value)
        found.add("SQLite, 1 at a time, us", BARS["SQLite, 1 at a time, us"] + 1)
        found.left_out.append("no server")
        cached, sqlite = found.report().splitlines()[2:4]
        self.assertIn("2.50 (2.00-9.00)", cached)
        self.assertIn("reached", cached)
        self.assertIn("missed", sqlite)
        self.assertIn("left out: no server", found.report())
