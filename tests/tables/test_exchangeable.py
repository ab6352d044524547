"""A table that can be changed for another while it is asked."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.contract import Key, Row
from mailroute.tables.exchangeable import ExchangeableTable
from tests.support.tables import MemoryTable, SlowTable

ALICE = Key("alice", "imap", "192.0.2.7", "198.51.100.1", "", "")


class ExchangeTests(SynchronousTestCase):
    """Whoever asked the former table gets its answer."""

    def test_exchange(self) -> None:
        """The next question goes to the new table; questions under way are counted."""
        former, latter = SlowTable(), MemoryTable({"alice": Row("west")})
        table = ExchangeableTable(former)
        self.assertEqual(table.varies_on, former.varies_on)
        waiting = Deferred.fromCoroutine(table.lookup(ALICE))
        table.source = latter
        self.assertEqual(table.asked, 1)
        found = self.successResultOf(Deferred.fromCoroutine(table.lookup(ALICE)))
        self.assertEqual(found, Row("west"))
        former.waiting[0].callback(Row("east"))
        self.assertEqual(self.successResultOf(waiting), Row("east"))
        self.assertEqual(table.asked, 0)
