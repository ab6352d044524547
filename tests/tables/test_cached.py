"""A table in front of a table."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.cached import (
    NOT_CACHED,
    NOT_NOW,
    REVALIDATION_SECONDS,
    CachedTable,
    CachePolicy,
)
from mailroute.tables.contract import Key, Row
from tests.tables.contract_tests import ALICE, BOB, TableContract

EAST, WEST = Row("east"), Row("west")
KEY = Key(ALICE)


class _Table:
    """Answers when the test says so."""

    def __init__(self, *varies_on: str) -> None:
        self.varies_on = frozenset(varies_on)
        self.asked: list[Key] = []
        self.answers: list[Deferred[Row | None]] = []

    async def lookup(self, key: Key) -> Row | None:
        """Note the question and wait."""
        self.asked.append(key)
        answer: Deferred[Row | None] = Deferred()
        self.answers.append(answer)
        return await answer


class _Dictionary:
    """Answers at once, or fails."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self) -> None:
        self.rows: Mapping[str, str] = {}
        self.fault: str | None = None

    async def lookup(self, key: Key) -> Row | None:
        """Look it up."""
        if self.fault:
            raise LookupFailed(self.fault)
        found = self.rows.get(key.identifier)
        return None if found is None else Row(found)


class CachedContractTests(TableContract, SynchronousTestCase):
    """The cache keeps the contract; content that changed shows when its time is over."""

    def setUp(self) -> None:
        """A cache whose rows are served a short time, and never beyond it."""
        self.clock = Clock()
        self.behind = _Dictionary()
        self.table = CachedTable(self.behind, self.clock, CachePolicy(10, 10, 0, 100))

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Nothing waits."""
        self.successResultOf(Deferred.fromCoroutine(coroutine))

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Change the content; the remembered answers grow old."""
        self.behind.rows = dict(rows)
        self.clock.advance(10)

    async def damage(self) -> None:
        """The table behind fails."""
        self.behind.fault = "down"
        self.clock.advance(10)

    async def mend(self) -> None:
        """It is back."""
        self.behind.fault = None

    async def stall(self) -> None:
        """A table that is too slow fails by itself."""
        self.behind.fault = "no answer in time"


class CachedCase(SynchronousTestCase):
    """A cache: found 100 s, absent 10 s, stale 1000 s, three entries."""

    def setUp(self) -> None:
        """Put it in front of a table."""
        self.front(_Table())

    def front(self, table: _Table, entries: int = 3) -> None:
        """Make the cache."""
        self.clock = Clock()
        self.behind = table
        self.cache = CachedTable(table, self.clock, CachePolicy(100, 10, 1000, entries))

    def lookup(self, key: Key = KEY) -> Deferred[Row | None]:
        """Ask the cache."""
        return Deferred.fromCoroutine(self.cache.lookup(key))

    def revalidate(self, key: Key = KEY) -> Deferred[Any]:
        """Have the cache ask anew."""
        return Deferred.fromCoroutine(self.cache.revalidate(key))

    def answer(self, row: Row | None) -> None:
        """Answer the oldest open question."""
        self.behind.answers.pop(0).callback(row)

    def fail_answer(self) -> None:
        """Fail the oldest open question."""
        self.behind.answers.pop(0).errback(LookupFailed("down"))

    def remember(self, row: Row | None, key: Key = KEY) -> None:
        """Ask, and have it answered."""
        asked = self.lookup(key)
        self.answer(row)
        self.assertEqual(self.successResultOf(asked), row)


class MemoryTests(CachedCase):
    """What is remembered, and for how long."""

    def test_found(self) -> None:
        """A row counts for its time from the insertion; hits do not prolong it."""
        self.remember(EAST)
        for _ in range(3):
            self.clock.advance(33)
            self.assertEqual(self.successResultOf(self.lookup()), EAST)
        self.assertEqual(len(self.behind.asked), 1)
        self.clock.advance(1)
        self.assertNoResult(self.lookup())

    def test_absent(self) -> None:
        """An absence counts for a shorter time."""
        self.remember(None)
        self.clock.advance(9)
        self.assertIsNone(self.successResultOf(self.lookup()))
        self.clock.advance(1)
        self.assertNoResult(self.lookup())

    def test_peek(self) -> None:
        """``peek`` tells found, absent and not cached without asking."""
        self.assertIs(self.cache.peek(KEY), NOT_CACHED)
        self.remember(None)
        self.assertIsNone(self.cache.peek(KEY))
        self.clock.advance(10)
        self.assertIs(self.cache.peek(KEY), NOT_CACHED)
        self.remember(EAST)
        self.assertEqual(self.cache.peek(KEY), EAST)
        self.clock.advance(100)
        self.assertIs(self.cache.peek(KEY), NOT_CACHED)
        self.assertEqual(len(self.behind.asked), 2)

    def test_ttl_of_the_row(self) -> None:
        """A row's own time counts; nonsense in its place does not."""
        for ttl, seconds in (("5", 5), ("0", 0), ("500.5", 500.5), ("-1", 100), ("inf", 100)):
            self.cache.expire()
            row = Row("east", {"ttl": ttl})
            self.remember(row)
            if seconds:
                self.clock.advance(seconds - 0.25)
                self.assertEqual(self.cache.peek(KEY), row, ttl)
                self.clock.advance(0.25)
            self.assertIs(self.cache.peek(KEY), NOT_CACHED, ttl)
        for ttl in ("soon", "nan", ""):
            self.cache.expire()
            self.remember(Row("east", {"ttl": ttl}))
            self.clock.advance(99)
            self.assertIsNot(self.cache.peek(KEY), NOT_CACHED, ttl)

    def test_bound(self) -> None:
        """The entry that was not used for longest makes room."""
        keys = [Key(str(number)) for number in range(4)]
        for key in keys[:3]:
            self.remember(EAST, key)
        self.cache.peek(keys[0])
        self.remember(EAST, keys[3])
        self.assertEqual(len(self.cache), 3)
        kept = [self.cache.peek(key) is not NOT_CACHED for key in keys]
        self.assertEqual(kept, [True, False, True, True])

    def test_nothing_remembered(self) -> None:
        """No entries: every question is asked."""
        self.front(_Table(), entries=0)
        self.remember(EAST)
        self.assertNoResult(self.lookup())

    def test_named_values(self) -> None:
        """What the table varies on is a part of the key, nothing else is."""
        self.front(_Table("protocol", "client_ip"))
        self.assertEqual(self.cache.varies_on, frozenset({"protocol", "client_ip"}))
        self.remember(EAST, Key(ALICE, protocol="imap"))
        self.assertEqual(self.cache.peek(Key(ALICE, protocol="imap", sni="x")), EAST)
        self.assertIs(self.cache.peek(Key(ALICE, protocol="pop3")), NOT_CACHED)
        swapped = Key(ALICE, client_ip="imap")
        self.assertIs(self.cache.peek(swapped), NOT_CACHED)

    def test_failure(self) -> None:
        """A failure is not remembered."""
        asked = self.lookup()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)
        self.remember(EAST)


class StaleTests(CachedCase):
    """Rows beyond their time."""

    def test_found(self) -> None:
        """While the table fails, and only then, an expired row is served, for a time."""
        self.remember(EAST)
        self.clock.advance(1099)
        asked = self.lookup()
        self.assertNoResult(asked)
        self.fail_answer()
        self.assertEqual(self.successResultOf(asked), EAST)
        self.clock.advance(1)
        asked = self.lookup()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)

    def test_absent(self) -> None:
        """An expired absence is never served."""
        self.remember(None)
        self.clock.advance(10)
        asked = self.lookup()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)

    def test_table_answers_again(self) -> None:
        """A table that answers counts, also with an absence."""
        self.remember(EAST)
        self.clock.advance(100)
        asked = self.lookup()
        self.fail_answer()
        self.successResultOf(asked)
        self.remember(None)
        self.clock.advance(10)
        asked = self.lookup()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)


class FlightTests(CachedCase):
    """One question at a time."""

    def test_shared(self) -> None:
        """Who asks the same waits for the same answer."""
        asking = [self.lookup() for _ in range(5)]
        other = self.lookup(Key(BOB))
        self.assertEqual([key.identifier for key in self.behind.asked], [ALICE, BOB])
        self.answer(EAST)
        for asked in asking:
            self.assertEqual(self.successResultOf(asked), EAST)
        self.assertNoResult(other)

    def test_shared_failure(self) -> None:
        """A failure reaches all of them, and the next one asks again."""
        asking = [self.lookup() for _ in range(3)]
        self.fail_answer()
        for asked in asking:
            self.failureResultOf(asked, LookupFailed)
        self.assertNoResult(self.lookup())
        self.assertEqual(len(self.behind.asked), 2)

    def test_not_shared(self) -> None:
        """Another value that the table varies on is another question."""
        self.front(_Table("protocol"))
        asking = [self.lookup(Key(ALICE, protocol=protocol)) for protocol in ("imap", "pop3")]
        self.answer(EAST)
        self.answer(WEST)
        self.assertEqual([self.successResultOf(asked) for asked in asking], [EAST, WEST])

    def test_cancelled(self) -> None:
        """A waiter that leaves ends nothing for the others, nor the question itself."""
        first, second, third = (self.lookup() for _ in range(3))
        first.cancel()
        self.failureResultOf(first, CancelledError)
        third.cancel()
        self.failureResultOf(third, CancelledError)
        self.assertFalse(self.behind.answers[0].called)
        self.answer(EAST)
        self.assertEqual(self.successResultOf(second), EAST)

    def test_all_cancelled(self) -> None:
        """An answer that nobody waits for any more is remembered, a failure is silent."""
        for end in (self.fail_answer, lambda: self.answer(EAST)):
            asked = self.lookup()
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
            end()
        self.assertEqual(self.cache.peek(KEY), EAST)
        self.assertEqual(self.cache._flights, {})

    def test_defect_nobody_waits_for(self) -> None:
        """A defect of the table is logged if no waiter is told."""
        asked = self.lookup()
        asked.cancel()
        self.failureResultOf(asked, CancelledError)
        self.behind.answers.pop().errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_waiter_cancels_another(self) -> None:
        """A waiter that is served may end another one that waits."""
        first, second = self.lookup(), self.lookup()
        second.addErrback(lambda failure: failure.trap(CancelledError))
        first.addCallback(lambda _: second.cancel())
        self.answer(EAST)
        self.successResultOf(first)
        self.successResultOf(second)


class DropTests(CachedCase):
    """Forgetting."""

    def test_one(self) -> None:
        """An identifier with all its variants; others stay."""
        for varies_on in ((), ("protocol",)):
            self.front(_Table(*varies_on), entries=10)
            keys = [Key(name, protocol) for name in (ALICE, BOB) for protocol in ("imap", "pop3")]
            for key in keys:
                if self.cache.peek(key) is NOT_CACHED:
                    self.remember(EAST, key)
            self.cache.drop(ALICE)
            kept = [self.cache.peek(key) is not NOT_CACHED for key in keys]
            self.assertEqual(kept, [False, False, True, True])
            self.cache.drop("nobody")

    def test_stale_rows_too(self) -> None:
        """What was dropped is not served while the table fails."""
        self.remember(EAST)
        self.cache.drop(ALICE)
        asked = self.lookup()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)

    def test_under_way(self) -> None:
        """An answer whose key was dropped meanwhile is not remembered; the next one asks anew."""
        for forget in (lambda: self.cache.drop(ALICE), lambda: self.cache.expire()):
            self.front(_Table())
            before = self.lookup()
            forget()
            after = self.lookup()
            self.assertEqual(len(self.behind.asked), 2)
            self.answer(EAST)
            self.assertEqual(self.successResultOf(before), EAST)
            self.assertIs(self.cache.peek(KEY), NOT_CACHED)
            self.answer(WEST)
            self.assertEqual(self.successResultOf(after), WEST)
            self.assertEqual(self.cache.peek(KEY), WEST)

    def test_late_old_answer(self) -> None:
        """An answer from before the drop does not replace the one from after it."""
        before = self.lookup()
        self.cache.drop(ALICE)
        after = self.lookup()
        self.behind.answers.pop().callback(WEST)
        self.answer(EAST)
        self.assertEqual(self.successResultOf(before), EAST)
        self.assertEqual(self.successResultOf(after), WEST)
        self.assertEqual(self.cache.peek(KEY), WEST)


class ExpiryTests(CachedCase):
    """The content has changed: whatever is remembered may be wrong."""

    def test_asked_again(self) -> None:
        """Every answer's time is over, found or absent, and begins again with the next one."""
        self.remember(EAST)
        self.remember(None, Key(BOB))
        self.cache.expire()
        for key in (KEY, Key(BOB)):
            self.assertIs(self.cache.peek(key), NOT_CACHED)
            self.remember(WEST, key)
            self.clock.advance(99)
            self.assertEqual(self.cache.peek(key), WEST)

    def test_table_fails(self) -> None:
        """While the table fails a row that was found is served on, an absence never."""
        self.remember(EAST)
        self.remember(None, Key(BOB))
        self.cache.expire()
        asked = self.lookup()
        self.fail_answer()
        self.assertEqual(self.successResultOf(asked), EAST)
        asked = self.lookup(Key(BOB))
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)

    def test_late_answer(self) -> None:
        """An answer from before the change serves while the table fails, and nobody else."""
        asked = self.lookup()
        self.cache.expire()
        self.answer(EAST)
        self.assertEqual(self.successResultOf(asked), EAST)
        self.assertIs(self.cache.peek(KEY), NOT_CACHED)
        asked = self.lookup()
        self.fail_answer()
        self.assertEqual(self.successResultOf(asked), EAST)

    def test_late_old_answer(self) -> None:
        """Behind one from after the change it is of no use at all."""
        before = self.lookup()
        self.cache.expire()
        after = self.lookup()
        self.behind.answers.pop().callback(WEST)
        self.answer(EAST)
        self.assertEqual(self.successResultOf(before), EAST)
        self.assertEqual(self.successResultOf(after), WEST)
        self.assertEqual(self.cache.peek(KEY), WEST)

    def test_revalidation(self) -> None:
        """That a key has been revalidated a moment ago says nothing of the new content."""
        self.remember(EAST)
        self.revalidate()
        self.answer(EAST)
        self.cache.expire()
        asked = self.revalidate()
        self.answer(WEST)
        self.assertEqual(self.successResultOf(asked), WEST)


class RevalidationTests(CachedCase):
    """After a backend's NO the table is asked whether the account has moved."""

    def test_moved(self) -> None:
        """The new row is the answer, and remembered."""
        self.remember(EAST)
        asked = self.revalidate()
        self.assertEqual(self.cache.peek(KEY), EAST)
        self.answer(WEST)
        self.assertEqual(self.successResultOf(asked), WEST)
        self.assertEqual(self.cache.peek(KEY), WEST)

    def test_gone(self) -> None:
        """So is an absence."""
        self.remember(EAST)
        asked = self.revalidate()
        self.answer(None)
        self.assertIsNone(self.successResultOf(asked))
        self.assertIsNone(self.cache.peek(KEY))

    def test_once_in_a_while(self) -> None:
        """A key is asked for once in a few seconds: guesses of passwords cost no queries."""
        self.remember(EAST)
        self.revalidate()
        self.answer(WEST)
        for _ in range(10):
            self.assertEqual(self.successResultOf(self.revalidate()), WEST)
        self.assertEqual(len(self.behind.asked), 2)
        self.clock.advance(REVALIDATION_SECONDS - 0.1)
        self.successResultOf(self.revalidate())
        self.clock.advance(0.1)
        self.assertNoResult(self.revalidate())
        self.assertEqual(len(self.behind.asked), 3)

    def test_other_keys(self) -> None:
        """Each key has its own time."""
        for key in (KEY, Key(BOB)):
            self.assertNoResult(self.revalidate(key))
        self.assertEqual(len(self.behind.asked), 2)

    def test_failing(self) -> None:
        """While the table fails, a wrong password evicts nobody's row."""
        self.remember(EAST)
        asked = self.revalidate()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)
        self.assertEqual(self.cache.peek(KEY), EAST)
        self.assertEqual(self.successResultOf(self.revalidate()), EAST)

    def test_not_now(self) -> None:
        """With nothing remembered and no new question allowed the answer is neither."""
        asked = self.revalidate()
        self.fail_answer()
        self.failureResultOf(asked, LookupFailed)
        self.assertIs(self.successResultOf(self.revalidate()), NOT_NOW)

    def test_shared(self) -> None:
        """Revalidations at the same time share one question."""
        asking = [self.revalidate() for _ in range(3)]
        self.assertEqual(len(self.behind.asked), 1)
        self.answer(WEST)
        self.assertEqual([self.successResultOf(asked) for asked in asking], [WEST] * 3)

    def test_older_question(self) -> None:
        """A question from before does not overwrite what was learnt since."""
        older = self.lookup()
        newer = self.revalidate()
        self.behind.answers.pop().callback(WEST)
        self.answer(EAST)
        self.assertEqual(self.successResultOf(newer), WEST)
        self.assertEqual(self.successResultOf(older), EAST)
        self.assertEqual(self.cache.peek(KEY), WEST)

    def test_bounded_memory(self) -> None:
        """What was revalidated long ago is forgotten."""
        for number in range(50):
            self.revalidate(Key(str(number)))
            self.answer(None)
            self.clock.advance(1)
        self.assertLessEqual(len(self.cache._revalidated), REVALIDATION_SECONDS + 1)

    def test_dropped(self) -> None:
        """After a drop the next revalidation asks."""
        self.revalidate()
        self.answer(EAST)
        self.cache.drop(ALICE)
        self.assertNoResult(self.revalidate())
