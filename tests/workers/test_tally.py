"""Counters that several processes share."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.tally import COLUMNS, Ledger, Tally


class TallyTests(SynchronousTestCase):
    """The supervisor's ledger, and workers that map it."""

    def setUp(self) -> None:
        self.ledger = Ledger()
        self.addCleanup(os.close, self.ledger.descriptor)

    def tally(self) -> Tally:
        """What a worker has: a mapping of its own."""
        return Tally(self.ledger.descriptor)

    def test_total(self) -> None:
        """Everybody sees the sum of what each has counted; columns are apart."""
        rows = [self.ledger.enter() for _ in range(3)]
        columns = [self.ledger.column(name) for name in ("imap", "pop3")]
        workers = [self.tally() for _ in rows]
        for worker, row in zip(workers, rows, strict=True):
            worker.add(row, columns[0], 2)
            worker.add(row, columns[1], 5)
        workers[0].add(rows[0], columns[0], -1)
        for worker in workers:
            self.assertEqual([worker.total(column) for column in columns], [5, 15])

    def test_dead(self) -> None:
        """What a worker had counted goes with it, and its row is free for the next."""
        column = self.ledger.column("imap")
        first, second = self.ledger.enter(), self.ledger.enter()
        tally = self.tally()
        tally.add(first, column, 3)
        tally.add(second, column, 4)
        self.ledger.leave(first)
        self.assertEqual(tally.total(column), 4)
        self.assertEqual(self.ledger.enter(), first)
        self.ledger.leave(second)
        self.assertEqual(tally.total(column), 0)

    def test_other_process(self) -> None:
        """The cells are shared beyond the process."""
        row, column = self.ledger.enter(), self.ledger.column("imap")
        pid = os.fork()
        if not pid:
            self.tally().add(row, column, 11)
            os._exit(0)
        os.waitpid(pid, 0)
        self.assertEqual(self.tally().total(column), 11)

    def test_columns(self) -> None:
        """A listener keeps its column from generation to generation; there is an end to them."""
        found = [self.ledger.column(str(number)) for number in range(COLUMNS)]
        self.assertEqual(found, list(range(COLUMNS)))
        self.assertEqual(self.ledger.column("7"), 7)
        self.assertRaises(OSError, self.ledger.column, "one more")
        self.ledger.leave(self.ledger.enter())
