"""/proc: which processes belong together, and what they used."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.accounting import Process, parse_stat, tree


class ProcTests(SynchronousTestCase):
    """Where there is no control group."""

    def test_stat(self) -> None:
        """Parent, session, and the time of the process and of the children it waited for."""
        numbers = " ".join(str(number) for number in range(4, 53))
        line = f"7 (a) b (c) S 3 {numbers}"
        # proc(5): ppid 4th, session 6th, utime, stime, cutime, cstime 14th to 17th field.
        self.assertEqual(parse_stat(line), Process(3, 5, 13 + 14 + 15 + 16))

    def test_tree(self) -> None:
        """Grandchildren belong to it, and orphans that stayed in the session; strangers do not."""
        processes = {
            10: Process(1, 10, 0),
            11: Process(10, 10, 0),
            12: Process(11, 12, 0),
            13: Process(1, 10, 0),
            20: Process(1, 20, 0),
        }
        self.assertEqual(tree(processes, frozenset({10})), {10, 11, 12, 13})
