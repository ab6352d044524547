"""A worker process, without being one."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred

from mailroute import worker
from mailroute.config.reader import read
from mailroute.imap import replies
from mailroute.net.listener import Room
from mailroute.service import RETIREMENT_STEP_SECONDS
from mailroute.worker import NodeRoom, Worker, check, make_service
from mailroute.workers.orders import Orders
from mailroute.workers.plan import Plan
from mailroute.workers.tally import Ledger, Tally
from tests.support.local_reactor import open_descriptors
from tests.test_service import CONFIGURATION, Client, ServiceCase
from tests.test_session import JOINED


class WorkerCase(ServiceCase):
    """A node's socket, its counters, and workers in this process."""

    def setUp(self) -> None:
        super().setUp()
        self.ledger = Ledger()
        self.addCleanup(os.close, self.ledger.descriptor)
        text = CONFIGURATION.format(binds=f'"unix:{self.place()}"', server="", west="")
        self.text = text.replace("max_connections = 100", "max_connections = 3")
        path = self.folder / "mailroute.toml"
        path.write_text("changed since")
        self.orders = Orders(str(path), self.text, workers=2, columns={"imap": 4})
        self.bound = socket.socket(socket.AF_UNIX)
        self.addCleanup(self.bound.close)
        self.bound.bind(self.place())
        self.bound.listen()
        self.bound.setblocking(False)

    def hire(self) -> tuple[Worker, Any]:
        """A worker that is ready, and its service."""
        orders = replace(
            self.orders, row=self.ledger.enter(), sockets=[[os.dup(self.bound.fileno())]]
        )
        configuration = read(orders.path, environment={}, text=orders.text)
        tally = Tally(self.ledger.descriptor)
        self.service = make_service(orders, configuration, tally, self.reactor)
        self.addCleanup(self.end, self.service)
        return Worker(self.service, None, self.reactor), self.service

    def end(self, service: Any) -> None:
        service.stopService()
        self.advance(120)

    def greeting(self) -> bytes:
        client = socket.socket(socket.AF_UNIX)
        self.addCleanup(client.close)
        client.connect(self.place())
        self.settle()
        client.setblocking(False)
        try:
            return client.recv(1000)
        except BlockingIOError:
            return b""


class ServeTests(WorkerCase):
    """Ready, then serving."""

    def test_waits(self) -> None:
        """One that is ready does not accept before it is told."""
        mine, _ = self.hire()
        self.assertEqual(self.greeting(), b"")
        mine.serve()
        self.settle()
        self.assertEqual(self.log_in(self.client()), JOINED)

    def test_limit(self) -> None:
        """A listener's limit is for all workers together."""
        first, _ = self.hire()
        first.serve()
        clients = [self.client() for _ in range(2)]
        Deferred.fromCoroutine(first.retire())
        second, _ = self.hire()
        second.serve()
        self.client()
        self.assertEqual(self.greeting(), replies.FULL)
        clients[0].sock.close()
        self.settle()
        self.assertTrue(self.greeting().startswith(b"* OK "))

    def test_pool(self) -> None:
        """The database's connections are divided."""
        made: list[Any] = []
        share = worker.composition.share_of
        self.patch(worker.composition, "share_of", lambda *a: made.append(a[1:]) or share(*a))
        self.hire()
        self.assertEqual(made, [(2,)])

    def test_renew(self) -> None:
        """The mapping file is read anew."""
        mine, _ = self.hire()
        mine.serve()
        (self.folder / "routes").write_text("alice west\n")
        renewed = Deferred.fromCoroutine(mine.renew())
        self.settle()
        self.assertIn("mapping file read", self.successResultOf(renewed))
        self.assertEqual(self.log_in(self.client()), JOINED)
        self.assertEqual(len(self.west.visits), 1)


class CoverTests(WorkerCase):
    """A neighbour has died."""

    def setUp(self) -> None:
        super().setUp()
        self.mine, _ = self.hire()
        self.mine.serve()
        self.other = self.place("other")
        bound = socket.socket(socket.AF_UNIX)
        self.addCleanup(bound.close)
        bound.bind(self.other)
        bound.listen()
        bound.setblocking(False)
        self.bound = bound

    def test_covered(self) -> None:
        """Its socket is served beside ours, within the same limit, until it is given back."""
        self.mine.cover(1, "imap", os.dup(self.bound.fileno()))
        client = self.client("other")
        self.assertEqual(self.log_in(client), JOINED)
        for _ in range(2):
            self.client()
        self.assertEqual(self.greeting(), replies.FULL)
        client.sock.close()
        self.settle()
        self.mine.give_back(1)
        late = Client(self.reactor, self.other)
        self.addCleanup(late.sock.close)
        self.assertEqual(late.take(), b"")
        self.assertTrue(self.greeting().startswith(b"* OK "))
        self.mine.give_back(1)

    def test_retired(self) -> None:
        """Who leaves accepts nowhere, and takes nothing over."""
        self.mine.cover(1, "imap", os.dup(self.bound.fileno()))
        before = open_descriptors()
        Deferred.fromCoroutine(self.mine.retire())
        self.mine.cover(2, "imap", os.dup(self.bound.fileno()))
        late = Client(self.reactor, self.other)
        self.addCleanup(late.sock.close)
        self.assertEqual(late.take(), b"")
        self.assertLess(len(open_descriptors()), len(before))


class RetireTests(WorkerCase):
    """A worker that leaves."""

    def setUp(self) -> None:
        super().setUp()
        self.mine, self.retiring = self.hire()
        self.mine.serve()
        self.stops: list[int] = []
        self.patch(self.mine, "stop", lambda: self.stops.append(1))

    def retire(self) -> None:
        self.successResultOf(Deferred.fromCoroutine(self.mine.retire()))

    def test_nobody(self) -> None:
        """Without sessions it ends at once."""
        self.retire()
        self.advance(RETIREMENT_STEP_SECONDS)
        self.assertEqual(self.stops, [1])

    def test_sessions(self) -> None:
        """A joined session goes on, a client may still log in; then it ends."""
        joined, waiting = self.client(), self.client()
        self.assertEqual(self.log_in(joined), JOINED)
        self.retire()
        # Nothing is accepted any more, and the socket is still the node's.
        self.assertEqual(self.greeting(), b"")
        self.assertEqual(self.log_in(waiting), JOINED)
        joined.say(b"b NOOP\r\n")
        self.advance(1200)
        self.assertEqual(joined.take(), b"")
        for client in (joined, waiting):
            self.assertEqual(self.stops, [])
            client.sock.close()
            self.advance(RETIREMENT_STEP_SECONDS + 10)
        self.assertEqual(self.stops, [1])
        self.assertTrue(os.path.exists(self.place()))

    def test_silent(self) -> None:
        """Who never logs in is not waited for beyond the time that everybody has."""
        self.client()
        self.retire()
        self.advance(29)
        self.assertEqual(self.stops, [])
        self.advance(10)
        self.assertEqual(self.stops, [1])

    def test_twice(self) -> None:
        """Told once more, or to serve, it goes on leaving."""
        self.retire()
        self.mine.serve()
        self.retire()
        self.assertEqual(self.greeting(), b"")


class RetireDatabaseTests(WorkerCase):
    """A worker that leaves, and its database."""

    def test_authorities_gone(self) -> None:
        """It ends although a file of the database's TLS is there no more: it has had its time."""
        url = f"mysql://h/d?ssl=verify&ssl_ca={self.authority.ca_file}"
        sql = f'source = "sql"\n[mapping.sql]\nurl = "{url}"\nquery = "SELECT $1"\n'
        text = self.text.replace('source = "file"\n[mapping.file]\npath = "routes"\n', sql)
        self.orders = replace(self.orders, text=text)
        leaving, _ = self.hire()
        leaving.serve()
        stops: list[int] = []
        self.patch(leaving, "stop", lambda: stops.append(1))
        self.authority.ca_file.unlink()
        retired = Deferred.fromCoroutine(leaving.retire())
        self.advance(10)
        self.successResultOf(retired)
        self.assertEqual(stops, [1])


class RoomTests(WorkerCase):
    """Room in the process and on the node."""

    def test_process(self) -> None:
        """The process' own room counts as well."""
        process, tally = Room(2), Tally(self.ledger.descriptor)
        row = self.ledger.enter()
        self.ledger.column("x")
        imap, pop3 = (NodeRoom(process, tally, (row, column), 5) for column in (0, 1))
        imap.enter()
        self.assertFalse(imap.is_full)
        pop3.enter()
        self.assertTrue(imap.is_full)
        pop3.leave()
        self.assertFalse(imap.is_full)
        self.assertEqual((tally.total(0), tally.total(1)), (1, 0))


class CheckTests(WorkerCase):
    """A configuration is checked as a text."""

    def test_good(self) -> None:
        """Its plan, whatever the file holds by now."""
        found = json.loads(check(self.orders, {}, self.reactor))
        self.assertEqual(Plan.from_json(found["plan"]).listeners, ("imap",))
        self.assertIsInstance(found["warnings"], list)

    def test_bad(self) -> None:
        """Every complaint: of the text, or of what it names."""
        orders = replace(self.orders, text="x = 1\n" + self.text)
        (complaint,) = json.loads(check(orders, {}, self.reactor))["complaints"]
        self.assertIn(f"{self.orders.path}:1: x", complaint)
        (self.folder / "routes").write_text("alice nowhere\n")
        (complaint,) = json.loads(check(self.orders, {}, self.reactor))["complaints"]
        self.assertIn("nowhere", complaint)
