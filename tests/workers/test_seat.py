"""A seat: whoever dies there is replaced, and not too fast."""

from __future__ import annotations

from mailroute.workers.seat import BACK_OFF_SECONDS, HOPELESS, STEADY_SECONDS, Seat
from tests.workers.staff import FakeWorker, StaffCase


class SeatCase(StaffCase):
    """One seat."""

    def setUp(self) -> None:
        super().setUp()
        self.seat = Seat("1/2", self.hire, self.clock)

    @property
    def last(self) -> FakeWorker:
        return self.staff[-1]

    def serving(self) -> FakeWorker:
        """A worker that serves."""
        self.seat.fill()
        self.seat.serve()
        self.last.get_ready()
        return self.last


class CrashTests(SeatCase):
    """A worker that dies."""

    def test_replaced(self) -> None:
        """At once, the first time; the successor serves as soon as it is ready."""
        first = self.serving()
        first.end("signal SIGKILL")
        self.clock.advance(0)
        self.assertEqual(len(self.staff), 2)
        self.assertEqual(self.last.told, [])
        self.last.get_ready()
        self.assertEqual(self.last.told, ["serve"])
        (error,) = self.said("error")
        for part in ("slot 1/2", "pid 100", "signal SIGKILL"):
            self.assertIn(part, error)

    def test_vacant(self) -> None:
        """From a death until the successor is ready, and it is told each time."""
        seen: list[tuple[bool, bool]] = []
        self.seat.changed = lambda: seen.append((self.seat.is_vacant, self.seat.server is not None))
        self.assertFalse(self.seat.is_vacant)
        self.serving().end("signal SIGKILL")
        self.clock.advance(0)
        self.assertTrue(self.seat.is_vacant)
        self.last.get_ready()
        self.assertEqual(seen, [(False, True), (True, False), (False, True)])
        self.assertIn("worker 1/2 (pid 101) serves", self.said("info"))

    def test_back_off(self) -> None:
        """Each death in a row makes the next wait longer, up to the last step."""
        self.serving()
        for seconds in (*BACK_OFF_SECONDS, BACK_OFF_SECONDS[-1]):
            count = len(self.staff)
            self.last.end("exit status 1")
            if seconds:
                self.clock.advance(seconds - 0.1)
                self.assertEqual(len(self.staff), count)
            self.clock.advance(0.1)
            self.assertEqual(len(self.staff), count + 1)
            self.last.get_ready()

    def test_steady(self) -> None:
        """Who has served for long begins a new series."""
        self.serving().end("exit status 1")
        self.clock.advance(0)
        self.last.get_ready()
        self.clock.advance(STEADY_SECONDS)
        self.last.end("exit status 1")
        self.clock.advance(0)
        self.assertEqual(len(self.staff), 3)

    def test_hopeless(self) -> None:
        """Three that do not get ready: said once, and tried on every five seconds."""
        self.seat.fill()
        for _ in range(HOPELESS):
            self.assertNoResult(self.seat.tried)
            self.last.end("exit status 1")
            self.clock.advance(max(BACK_OFF_SECONDS))
        self.assertIs(self.successResultOf(self.seat.tried), False)
        for _ in range(3):
            self.last.end("exit status 1")
            self.clock.advance(max(BACK_OFF_SECONDS))
        self.assertEqual(len(self.staff), HOPELESS + 4)
        self.assertEqual(len([e for e in self.said("error") if "no worker gets ready" in e]), 1)

    def test_no_process(self) -> None:
        """Where no process can be started it is tried again."""
        self.is_short = True
        self.seat.fill()
        self.is_short = False
        self.clock.advance(0)
        self.last.get_ready()
        self.assertIs(self.successResultOf(self.seat.tried), True)


class LeavingTests(SeatCase):
    """A seat that is given up."""

    def test_retires(self) -> None:
        """No successor; the seat is empty with its last session."""
        worker = self.serving()
        self.successResultOf(self.seat.retire())
        self.assertEqual(worker.told, ["serve", "retire"])
        self.assertNoResult(self.seat.empty)
        worker.end()
        self.successResultOf(self.seat.empty)
        self.clock.advance(60)
        self.assertEqual(len(self.staff), 1)
        self.assertEqual(self.said("error"), [])

    def test_dies_while_leaving(self) -> None:
        """That is told, and nobody follows."""
        worker = self.serving()
        self.seat.retire()
        worker.end("signal SIGSEGV")
        self.successResultOf(self.seat.empty)
        self.assertIn("left early: signal SIGSEGV", self.said("error")[0])

    def test_while_waiting(self) -> None:
        """The successor that was planned does not come."""
        self.serving().end("exit status 1")
        self.seat.stop()
        self.successResultOf(self.seat.empty)
        self.clock.advance(60)
        self.assertEqual(len(self.staff), 1)

    def test_late(self) -> None:
        """A successor that gets ready after the seat was given up does not serve."""
        self.seat.fill()
        self.seat.serve()
        self.seat.retire()
        self.last.get_ready()
        self.assertEqual(self.last.told, ["retire"])

    def test_stop(self) -> None:
        """One that serves is told; one that is not ready is ended."""
        self.serving()
        self.seat.stop()
        self.assertEqual(self.last.told, ["serve", "stop"])
        self.seat = Seat("2/2", self.hire, self.clock)
        self.seat.fill()
        self.seat.stop()
        self.assertEqual(self.last.told, ["kill"])
        # That was our own doing.
        self.last.end("signal SIGKILL")
        self.assertEqual(self.said("error"), [])

    def test_orders(self) -> None:
        """They are passed on."""
        self.serving()
        self.seat.renew()
        self.seat.reopen(5)
        self.assertEqual(self.last.told, ["serve", "renew", "reopen 5"])

    def test_no_answer(self) -> None:
        """One that does not say what it has done is named, unless it leaves anyway."""
        self.serving()
        self.assertEqual(self.said("warn"), [])
        self.last.renewal = ""
        self.seat.renew()
        (warning,) = self.said("warn")
        self.assertIn(f"(pid {self.last.pid}) does not answer", warning)
        self.seat.retire()
        self.seat.renew()
        self.assertEqual(len(self.said("warn")), 1)
