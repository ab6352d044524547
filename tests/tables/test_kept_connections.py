"""Connections that are kept for the next question."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.kept_connections import CLOSE_SECONDS, ConnectionGone, KeptConnections


class _Connection:
    """Answers when the test says so."""

    def __init__(self) -> None:
        self.is_usable = True
        self.answer: Deferred[str] = Deferred()

    def abort(self) -> None:
        self.is_usable = False


class KeptConnectionsTests(SynchronousTestCase):
    """Two connections at most."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.made: list[_Connection] = []
        self.kept: KeptConnections[_Connection] = KeptConnections(2, self.clock, self.connect)

    async def connect(self, until: float) -> _Connection:
        """A new one."""
        self.made.append(_Connection())
        self.kept.add(self.made[-1])
        return self.made[-1]

    async def question(self, connection: _Connection) -> str:
        """Wait for the answer; a connection on which there is none is dead."""
        try:
            answer = await connection.answer
        except ConnectionGone:
            self.kept.discard(connection)
            raise
        connection.answer = Deferred()
        self.kept.keep(connection)
        return answer

    def ask(self) -> Deferred[str]:
        """Ask, for five seconds at most."""
        asking = self.kept.ask(self.question, self.clock.seconds() + 5)
        return Deferred.fromCoroutine(asking)

    def answered(self, asked: Deferred[str], number: int) -> None:
        """The connection of this number has the answer."""
        self.made[number].answer.callback("answer")
        self.assertEqual(self.successResultOf(asked), "answer")

    def idle(self, count: int) -> None:
        """Have so many idle connections."""
        asked = [self.ask() for _ in range(count)]
        for number in range(count):
            self.answered(asked[number], number)

    def test_kept(self) -> None:
        """A connection is used again before another one is made."""
        self.idle(1)
        self.answered(self.ask(), 0)
        self.assertEqual((len(self.made), len(self.kept)), (1, 1))

    def test_size(self) -> None:
        """Who finds all of them in use waits for a turn, and not for ever."""
        asked = [self.ask() for _ in range(4)]
        self.assertEqual(len(self.made), 2)
        self.answered(asked[1], 1)
        self.answered(asked[2], 1)
        self.answered(asked[0], 0)
        self.answered(asked[3], 1)
        asked = [self.ask() for _ in range(3)]
        self.clock.advance(5)
        self.failureResultOf(asked[2], LookupFailed)

    def test_heard_of(self) -> None:
        """One that has ended while it waited is not asked."""
        self.idle(1)
        self.made[0].is_usable = False
        self.answered(self.ask(), 1)

    def test_not_heard_of(self) -> None:
        """One that turns out to be dead takes the others along: the question goes to a new one."""
        self.idle(2)
        asked = self.ask()
        self.made[1].answer.errback(ConnectionGone())
        self.assertNoResult(asked)
        self.assertEqual([made.is_usable for made in self.made], [False, False, True])
        self.answered(asked, 2)

    def test_new_one_dies(self) -> None:
        """There is no third attempt, and the slot is free again."""
        self.idle(1)
        asked = self.ask()
        for number in (0, 1):
            self.made[number].answer.errback(ConnectionGone())
        self.failureResultOf(asked, ConnectionGone)
        self.ask()
        self.ask()
        self.assertEqual(len(self.made), 4)

    def test_close(self) -> None:
        """Idle ones end at once, those in use after their answer or in bounded time."""
        self.idle(2)
        asked = self.ask()
        closing = Deferred.fromCoroutine(self.kept.close())
        self.assertEqual([made.is_usable for made in self.made], [False, True])
        self.failureResultOf(self.ask(), LookupFailed)
        self.assertNoResult(closing)
        self.clock.advance(CLOSE_SECONDS)
        self.successResultOf(closing)
        self.assertEqual(len(self.kept), 0)
        self.answered(asked, 1)
