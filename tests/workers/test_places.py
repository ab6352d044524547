"""The node's listening sockets: who is dealt which, and when they are closed."""

from __future__ import annotations

import errno
import os
import shutil
import socket
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.places import Places
from mailroute.workers.plan import Place, Plan

IMAP, POP3 = Place("tcp", "192.0.2.1", 143), Place("tcp", "192.0.2.1", 110)
ANY = Place("tcp", "192.0.2.1", 0)


class FakeSocket:
    """A socket that was never opened."""

    def __init__(self, place: Place, is_shared: bool) -> None:
        self.place, self.is_shared = place, is_shared
        self.is_open, self.is_listening = True, False

    def close(self) -> None:
        self.is_open = False

    def getsockname(self) -> tuple[str, int]:
        return self.place.address, self.place.port or 4711


def plan(workers: int, *places: Place) -> Plan:
    """A plan with these places."""
    names = tuple(f"l{number}" for number in range(len(places)))
    return Plan(workers, places, names, 1.0, "")


class PlacesTests(SynchronousTestCase):
    """Sockets by place and slot."""

    def setUp(self) -> None:
        self.made: list[FakeSocket] = []
        self.taken: set[Place] = set()
        self.places = Places(self.bind, self.listen)  # type: ignore[arg-type]

    def bind(self, place: Place, is_shared: bool) -> FakeSocket:
        if place in self.taken:
            raise OSError(errno.EADDRINUSE, "Address already in use")
        self.made.append(FakeSocket(place, is_shared))
        return self.made[-1]

    def listen(self, bound: FakeSocket) -> None:
        self.assertTrue(bound.is_open)
        bound.is_listening = True

    @property
    def there(self) -> list[FakeSocket]:
        return [each for each in self.made if each.is_open]

    def serve(self, wanted: Plan) -> None:
        self.places.reserve(wanted)
        self.places.listen()

    def dealt(self, wanted: Plan) -> list[list[list[int]]]:
        """For each worker and place: which of the open sockets."""
        return [
            [[self.there.index(s) for s in place] for place in self.places.of_worker(wanted, index)]  # type: ignore[arg-type]
            for index in range(wanted.workers)
        ]

    def test_slots(self) -> None:
        """A socket for each worker and place, which share the port."""
        wanted = plan(2, IMAP, POP3)
        self.serve(wanted)
        self.assertEqual(self.dealt(wanted), [[[0], [2]], [[1], [3]]])
        self.assertTrue(all(each.is_shared and each.is_listening for each in self.there))

    def test_nobody_else(self) -> None:
        """Before it is shared a port is tried for oneself: nobody else may have it."""
        self.serve(plan(2, IMAP))
        self.assertEqual([each.is_shared for each in self.made], [False, True, True])
        self.assertFalse(self.made[0].is_open)

    def test_fewer(self) -> None:
        """No slot is left without a worker, and no socket is closed."""
        self.serve(plan(5, IMAP))
        wanted = plan(2, IMAP)
        self.serve(wanted)
        self.places.keep(wanted.places)
        self.assertEqual(self.dealt(wanted), [[[0, 2, 4]], [[1, 3]]])

    def test_more(self) -> None:
        """New slots are reserved for the plan that wants them; they listen when it serves."""
        former, wanted = plan(1, IMAP), plan(3, IMAP)
        self.serve(former)
        self.places.reserve(wanted)
        self.assertEqual(self.dealt(wanted), [[[0]], [[1]], [[2]]])
        # A worker of the former plan that dies now has a successor with the old slot alone.
        self.assertEqual(self.dealt(former), [[[0]]])
        self.assertEqual([each.is_listening for each in self.there], [True, False, False])
        self.places.listen()
        self.assertTrue(all(each.is_listening for each in self.there))

    def test_given_up(self) -> None:
        """What was reserved is closed; what served goes on."""
        former = plan(1, IMAP)
        self.serve(former)
        self.places.reserve(plan(2, IMAP, POP3))
        self.places.cancel()
        self.assertEqual(self.dealt(former), [[[0]]])
        self.assertEqual(len(self.there), 1)

    def test_all_or_none(self) -> None:
        """A place that cannot be had is named, and nothing of the plan is kept."""
        self.taken.add(POP3)
        error = self.assertRaises(OSError, self.places.reserve, plan(2, IMAP, POP3))
        self.assertIn("listener.l1: cannot listen at 192.0.2.1:110: Address already", str(error))
        self.assertEqual(self.there, [])

    def test_removed(self) -> None:
        """A place that nobody wants any more is closed."""
        self.serve(plan(2, IMAP, POP3))
        self.places.keep([POP3])
        self.assertEqual({each.place for each in self.there}, {POP3})
        self.places.close()
        self.assertEqual(self.there, [])

    def test_any_port(self) -> None:
        """The kernel chooses once; the other slots share what it chose."""
        wanted = plan(3, ANY)
        self.serve(wanted)
        self.assertEqual([each.place.port for each in self.there], [0, 4711, 4711])
        self.assertEqual(self.places.addresses(wanted), [("192.0.2.1", 4711)])

    def test_shared(self) -> None:
        """One Unix socket for all workers; its name goes with it."""
        folder = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, folder)
        path = Path(folder, "imap")
        with socket.socket(socket.AF_UNIX) as bound:
            bound.bind(str(path))
        place = Place("unix", str(path))
        wanted = plan(3, place)
        self.serve(wanted)
        self.assertEqual(self.dealt(wanted), [[[0]], [[0]], [[0]]])
        # It listens from the beginning.
        self.assertFalse(self.there[0].is_listening)
        self.places.keep(())
        self.assertFalse(os.path.exists(path))
