"""Which server is asked, and which next."""

from __future__ import annotations

from twisted.internet.task import Clock

from mailroute.errors import LookupFailed
from mailroute.tables.postfix.failover import Failover, QueryRefused
from tests.tables.postfix.maps import AwaitingCase, SmallServer

ROWS = [("x",)]


class FailoverTests(AwaitingCase):
    """Several servers; those of equal rank are drawn in their order here."""

    def setUp(self) -> None:
        """A clock and a chance."""
        self.clock = Clock()
        self.a, self.b, self.c = (SmallServer(name, ROWS) for name in "abc")

    def servers(self, *servers: SmallServer) -> Failover:
        """They, with 60 seconds before a retry."""
        return Failover(servers, 60, self.clock, lambda: 0.0)

    def ask(self, servers: Failover) -> object:
        """Ask for at most 9 seconds."""
        return self.result(servers.rows(("k",), self.clock.seconds() + 9))

    def test_ranks(self) -> None:
        """The smaller rank goes first."""
        self.a.rank = 2
        self.b.rank = 1
        self.assertEqual(self.ask(self.servers(self.a, self.b)), ROWS)
        self.assertEqual((len(self.a.asked), len(self.b.asked)), (0, 1))

    def test_chance(self) -> None:
        """Among equals it is drawn."""
        draws = iter((0.9, 0.1))
        servers = Failover([self.a, self.b], 60, self.clock, lambda: next(draws))
        self.ask(servers)
        self.assertEqual((len(self.a.asked), len(self.b.asked)), (0, 1))

    def test_next(self) -> None:
        """One that does not answer is followed by the next, which has the rest of the time."""
        self.a.answer = LookupFailed("gone")
        self.assertEqual(self.ask(self.servers(self.a, self.b, self.c)), ROWS)
        self.assertEqual([asked[0][1] for asked in (self.a.asked, self.b.asked)], [3.0, 4.5])
        self.assertEqual(self.c.asked, [])

    def test_left_alone(self) -> None:
        """It is left alone for the retry interval, even when the others go away, too."""
        self.a.answer = LookupFailed("gone")
        servers = self.servers(self.a, self.b, self.c)
        self.ask(servers)
        self.b.answer = LookupFailed("gone")
        self.assertEqual(self.ask(servers), ROWS)
        self.assertEqual([len(server.asked) for server in (self.a, self.b, self.c)], [1, 2, 1])
        self.clock.advance(61)
        self.a.answer = ROWS
        self.c.answer = LookupFailed("gone")
        self.assertEqual(self.ask(servers), ROWS)
        self.assertEqual(len(self.a.asked), 2)

    def test_stays(self) -> None:
        """Who answered last time is asked first, whatever the ranks."""
        self.b.rank = 1
        self.a.answer = LookupFailed("gone")
        servers = self.servers(self.a, self.b)
        self.ask(servers)
        self.a.answer = ROWS
        self.clock.advance(61)
        self.ask(servers)
        self.assertEqual((len(self.a.asked), len(self.b.asked)), (1, 2))

    def test_nobody(self) -> None:
        """If nobody answers the lookup fails with every reason; it is tried again at once."""
        self.a.answer, self.b.answer = LookupFailed("gone"), LookupFailed("hung")
        servers = self.servers(self.a, self.b)
        reason = self.failure(servers.rows(("k",), 9.0))
        self.assertEqual(reason, "a: gone; b: hung")
        self.a.answer = ROWS
        self.assertEqual(self.ask(servers), ROWS)

    def test_refused(self) -> None:
        """A refused query is put to the next one, and takes nobody out of service."""
        self.a.answer = QueryRefused("no such column")
        servers = self.servers(self.a, self.b)
        self.assertEqual(self.ask(servers), ROWS)
        self.a.answer = ROWS
        self.b.answer = LookupFailed("gone")
        self.assertEqual(self.ask(servers), ROWS)

    def test_alone(self) -> None:
        """A lone server has all the time, and a second attempt if some is left."""
        self.a.answer = LookupFailed("gone")
        servers = self.servers(self.a)
        self.assertEqual(self.failure(servers.rows(("k",), 9.0)), "a: gone")
        self.assertEqual([until for _, until in self.a.asked], [9.0, 9.0])
        self.a.answer = QueryRefused("bad")
        self.failure(servers.rows(("k",), 9.0))
        self.assertEqual(len(self.a.asked), 3)

    def test_check(self) -> None:
        """Warnings name the server; a complaint ends the check."""
        self.b.warning = "out of reach"
        self.assertEqual(self.servers(self.a, self.b).check(), ["b: out of reach"])

    def test_life(self) -> None:
        """All are started and closed."""
        servers = self.servers(self.a, self.b)
        self.result(servers.each(lambda server: server.start()))
        self.result(servers.each(lambda server: server.close()))
        self.assertEqual([self.a.life, self.b.life], [["started", "closed"]] * 2)

    def test_watch(self) -> None:
        """Any of them may be the one that is asked."""
        told: list[bool] = []
        self.servers(self.a, self.b).watch(lambda: told.append(True))
        self.assertEqual(len(told), 2)
