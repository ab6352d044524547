"""Deputies: no slot's queue waits for a worker that does not come."""

from __future__ import annotations

import socket
from typing import cast

from mailroute.workers.deputies import Deputies
from mailroute.workers.seat import Seat
from tests.workers.staff import FakeWorker, StaffCase


class DeputiesTests(StaffCase):
    """Three seats."""

    def setUp(self) -> None:
        super().setUp()
        self.seats = [Seat(f"{number}/3", self.hire, self.clock) for number in (1, 2, 3)]
        self.deputies = Deputies(self.seats, self.lent)
        for seat in self.seats:
            seat.changed = self.deputies.settle
            seat.fill()

    def lent(self, slot: int) -> list[tuple[str, socket.socket]]:
        """Two sockets, which are words here."""
        return [(name, cast(socket.socket, slot)) for name in ("imap", "pop3")]

    def serve(self) -> list[FakeWorker]:
        for worker in self.staff:
            worker.get_ready()
        for seat in self.seats:
            seat.serve()
        return self.staff[:3]

    def told(self, worker: FakeWorker) -> list[str]:
        """What it was told, without its own work."""
        return [word for word in worker.told if word != "serve"]

    def test_lent(self) -> None:
        """A neighbour has every socket of a slot at once, and until there is a successor."""
        first, second, third = self.serve()
        second.end("signal SIGKILL")
        self.assertEqual(self.told(first), ["cover 1 imap", "cover 1 pop3"])
        self.clock.advance(0)
        self.assertEqual(len(self.told(first)), 2)
        self.staff[-1].get_ready()
        self.assertEqual(self.told(first)[2:], ["give back 1"])
        self.assertEqual((self.told(self.staff[-1]), self.told(third)), ([], []))
        self.assertIn("slot 2/3: worker (pid 100) stands in", self.said("info"))

    def test_no_successor(self) -> None:
        """Successors that die on their way change nothing: it is lent once."""
        first, second, _third = self.serve()
        second.end("signal SIGKILL")
        for _ in range(5):
            self.clock.advance(5)
            self.staff[-1].end("exit status 78")
        self.assertEqual(len(self.told(first)), 2)

    def test_burden(self) -> None:
        """Two slots have two deputies where there are so many."""
        self.seats.append(Seat("4/4", self.hire, self.clock))
        self.seats[-1].changed = self.deputies.settle
        self.seats[-1].fill()
        self.serve()
        first, second, third, fourth = self.staff
        for worker in (second, third):
            worker.end("signal SIGKILL")
        self.assertEqual(self.told(first), ["cover 1 imap", "cover 1 pop3"])
        self.assertEqual(self.told(fourth), ["cover 2 imap", "cover 2 pop3"])

    def test_deputy_dies(self) -> None:
        """The next neighbour has both slots."""
        first, second, third = self.serve()
        second.end("signal SIGKILL")
        first.end("signal SIGKILL")
        covered = {word for word in self.told(third) if word.endswith("imap")}
        self.assertEqual(covered, {"cover 0 imap", "cover 1 imap"})
        self.clock.advance(0)
        for worker in self.staff[3:]:
            worker.get_ready()
        self.assertEqual(set(self.told(third)[4:]), {"give back 0", "give back 1"})

    def test_nobody(self) -> None:
        """Where all are dead the first who serves again stands in for the others."""
        for worker in self.serve():
            worker.end("signal SIGKILL")
        self.clock.advance(0)
        fourth = self.staff[3]
        fourth.get_ready()
        covered = [word for word in self.told(fourth) if word.endswith("imap")]
        self.assertEqual(covered, ["cover 1 imap", "cover 2 imap"])

    def test_not_yet(self) -> None:
        """Who does not serve yet stands in for nobody; a slot at the start is no vacant one."""
        first, second, third = self.staff
        first.get_ready()
        self.seats[0].serve()
        self.assertEqual(self.told(first), [])
        second.get_ready()
        second.end("signal SIGKILL")
        third.get_ready()
        self.assertEqual((len(self.told(first)), self.told(third)), (2, []))

    def test_leaving(self) -> None:
        """A seat that is given up needs no deputy, and one that leaves is none."""
        first, second, third = self.serve()
        self.seats[2].retire()
        first.end("signal SIGKILL")
        self.assertEqual(self.told(second), ["cover 0 imap", "cover 0 pop3"])
        third.end()
        self.assertEqual(len(self.told(second)), 2)
