"""Two joined connections: every byte, in order, and every way to end, on every kind of leg."""

from __future__ import annotations

from random import Random

from mailroute.net.joint import (
    CHECKS_PER_IDLE_LIMIT,
    FLUSH_SECONDS,
    HALF_CLOSED_SECONDS,
    LAST_ANSWER_SECONDS,
    Totals,
)
from tests.support.joined import LEGS, Joined, JoinedCase
from tests.support.peers import IDLE_SECONDS, plain_message

MANY = 3_000_000
HELD_AT_MOST = 2_000_000
"""Octets of a direction whose reader has stalled: the buffers on the way, and a pipe."""


def noise(seed: int, octets: int = MANY) -> bytes:
    """Octets in which a lost, doubled or moved one is seen."""
    return Random(seed).randbytes(octets)


class StreamTests(JoinedCase):
    """The bytes."""

    def test_both_ways_at_once(self) -> None:
        """Large and byte-exact, both directions together."""
        for joined in self.joins():
            up, down = noise(1), noise(2)
            joined.client.say(up)
            joined.backend.say(down)
            self.settle()
            self.assertTrue(joined.backend.joined == up, "upwards")
            self.assertTrue(joined.client.take() == down, "downwards")
            self.leave(joined.client)
            self.assertEqual(joined.ended(), ("client", MANY, MANY))

    def test_small_pieces(self) -> None:
        """A conversation, one line at a time."""
        for joined in self.joins():
            for number in range(50):
                line = b"%d NOOP\r\n" % number
                joined.client.say(line)
                self.settle()
                joined.backend.say(b"OK " + line)
                self.settle()
                self.assertEqual(joined.client.take(), b"OK " + line)
            joined.client.leave()
            self.settle()

    def test_trailing_data(self) -> None:
        """What each side said behind the login comes first, then what it says afterwards."""
        for legs in LEGS:
            joined = self.join(*legs, trailing=b"* 1 EXISTS\r\n")
            joined.backend.say(b"* 2 EXISTS\r\n")
            self.settle()
            self.assertEqual(joined.client.take(), b"* 2 EXISTS\r\n")
            other, _ = joined.world.connect()
            login = b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n"
            other.say(login + b"b IDLE\r\n")
            self.settle()
            other.say(b"DONE\r\n")
            self.settle()
            self.assertEqual(joined.world.east.last.joined, b"b IDLE\r\nDONE\r\n")
            self.end(other, joined.client)

    def test_trailing_data_is_counted(self) -> None:
        """The octets behind the login belong to the stream's totals; the login does not."""
        joined = self.join(False, False, trailing=b"12345")
        joined.client.say(b"123")
        self.settle()
        joined.client.leave()
        self.settle()
        self.assertEqual(joined.ended(), ("client", 3, 5))
        self.end()

    def test_stalled_client(self) -> None:
        """A client that does not read stops the backend; later it gets every byte."""
        for joined in self.joins():
            data = noise(3, 2 * MANY)
            joined.client.transport.pauseProducing()
            joined.backend.say(data)
            self.settle()
            self.assertLess(joined.joint.sides[1].octets, HELD_AT_MOST)
            joined.client.say(b"the other way goes on")
            self.settle()
            self.assertEqual(joined.backend.joined, b"the other way goes on")
            joined.client.transport.resumeProducing()
            self.settle()
            self.assertTrue(joined.client.take() == data)
            joined.client.leave()
            self.settle()

    def test_stalled_backend(self) -> None:
        """The same the other way round."""
        for joined in self.joins():
            data = noise(4, 2 * MANY)
            joined.backend.transport.pauseProducing()
            joined.client.say(data)
            self.settle()
            self.assertLess(joined.joint.sides[0].octets, HELD_AT_MOST)
            joined.backend.transport.resumeProducing()
            self.settle()
            self.assertTrue(joined.backend.joined == data)
            joined.client.leave()
            self.settle()


class EndTests(JoinedCase):
    """Who closes, and what becomes of the other."""

    def test_client_leaves(self) -> None:
        """The backend hears of it."""
        for joined in self.joins():
            self.leave(joined.client)
            self.assertIsNotNone(joined.backend.lost)
            self.assertEqual(joined.ended(), ("client", 0, 0))

    def test_backend_leaves(self) -> None:
        """The client gets the backend's last words, then the end; none of them is ours."""
        for joined in self.joins():
            joined.backend.say(b"* BYE\r\n")
            joined.backend.hang_up()
            self.settle()
            self.assertEqual(joined.client.take(), b"* BYE\r\n")
            self.assertIsNotNone(joined.client.lost)
            self.assertEqual(joined.ended(), ("backend", 0, 7))

    def test_last_words_of_a_client(self) -> None:
        """A QUIT and the end in one breath: the QUIT arrives."""
        for joined in self.joins():
            joined.client.say(b"QUIT\r\n")
            self.leave(joined.client)
            self.assertEqual(joined.backend.joined, b"QUIT\r\n")
            self.assertEqual(joined.ended(), ("client", 6, 0))

    def test_shutdown(self) -> None:
        """Ended from inside: both connections close, and not a word is said."""
        for joined in self.joins():
            joined.joint.end("shutdown")
            self.settle()
            self.assertEqual((joined.client.heard, joined.backend.joined), (b"", b""))
            self.assertEqual(joined.ended(), ("shutdown", 0, 0))

    def test_broken_off(self) -> None:
        """Either side breaks off: the other is closed at once."""
        for legs in LEGS:
            for breaks in ("client", "backend"):
                joined = self.join(*legs)
                one, other = joined.client, joined.backend
                if breaks == "backend":
                    one, other = joined.backend, joined.client
                # With something unread a connection is reset, not just closed.
                one.transport.pauseProducing()
                other.say(b"unread")
                self.settle()
                one.transport.abortConnection()
                self.settle()
                self.assertTrue(joined.ended()[0].startswith(breaks), joined.ended())
                self.end()

    def test_broken_off_while_stalled(self) -> None:
        """A stalled client that breaks off frees everything, though bytes were on their way."""
        for joined in self.joins():
            joined.client.transport.pauseProducing()
            joined.backend.say(noise(5, MANY))
            self.settle()
            joined.client.reset()
            joined.backend.transport.abortConnection()
            self.settle()


class IdleTests(JoinedCase):
    """The idle limit."""

    def test_idle(self) -> None:
        """Nothing moves for the whole limit: not sooner, and a quarter later at most."""
        for joined in self.joins():
            self.advance(IDLE_SECONDS - 0.1)
            self.assertIsNone(joined.client.lost)
            self.advance(IDLE_SECONDS / CHECKS_PER_IDLE_LIMIT + 0.2)
            self.assertIsNotNone(joined.client.lost)
            self.assertIsNotNone(joined.backend.lost)
            self.assertEqual(joined.ended(), ("idle", 0, 0))

    def test_one_way_is_enough(self) -> None:
        """A byte either way keeps the session."""
        joined = self.join(False, False)
        for _ in range(3):
            joined.client.say(b"x")
            self.advance(IDLE_SECONDS * 0.9)
            joined.backend.say(b"x")
            self.advance(IDLE_SECONDS * 0.9)
        self.assertIsNone(joined.client.lost)
        self.end(joined.client)

    def test_one_call(self) -> None:
        """An idle session costs one planned call, whatever has moved."""
        joined = self.join(False, True)
        joined.client.say(b"x" * 100)
        self.settle()
        self.assertEqual(len(self.reactor.getDelayedCalls()), 1)
        self.end(joined.client)


class HalfCloseTests(JoinedCase):
    """One side has finished speaking."""

    def test_client_finishes(self) -> None:
        """The backend hears the end, and goes on speaking until it is done."""
        joined = self.join(False, False)
        joined.world.east.stays = joined.client.stays = True
        joined.client.say(b"QUIT\r\n")
        joined.client.transport.loseWriteConnection()
        self.settle()
        self.assertEqual(joined.backend.joined, b"QUIT\r\n")
        self.assertTrue(joined.backend.has_heard_the_end)
        data = noise(6)
        joined.backend.say(data)
        self.settle()
        self.assertTrue(joined.client.take() == data)
        joined.backend.hang_up()
        self.settle()
        self.assertEqual(joined.ended(), ("client", 6, MANY))
        self.end(joined.client)

    def test_backend_finishes(self) -> None:
        """The same the other way round."""
        joined = self.join(False, False)
        joined.world.east.stays = joined.client.stays = True
        joined.backend.transport.loseWriteConnection()
        self.settle()
        self.assertTrue(joined.client.has_heard_the_end)
        joined.client.say(b"thanks")
        self.settle()
        self.assertEqual(joined.backend.joined, b"thanks")
        joined.client.leave()
        self.settle()
        self.assertEqual(joined.ended(), ("backend", 6, 0))
        self.end()

    def test_half_closed_before_tls(self) -> None:
        """A backend behind TLS cannot be told: what it says goes on, until it says no more."""
        joined = self.join(False, True)
        joined.client.stays = True
        said, answered = noise(7), noise(8)
        joined.client.say(said)
        joined.client.transport.loseWriteConnection()
        self.settle()
        self.assertTrue(joined.backend.joined == said)
        self.advance(LAST_ANSWER_SECONDS * 0.9)
        joined.backend.say(answered)
        self.settle()
        self.assertTrue(joined.client.take() == answered)
        self.advance(LAST_ANSWER_SECONDS * 0.9)
        self.assertIsNone(joined.backend.lost)
        self.advance(LAST_ANSWER_SECONDS)
        self.assertIsNotNone(joined.backend.lost)
        self.assertEqual(joined.ended(), ("client", MANY, MANY))
        self.end(joined.client)

    def test_silent_before_tls(self) -> None:
        """A client that has left keeps its mailbox locked no longer than that."""
        joined = self.join(False, True)
        self.advance(1)
        joined.client.leave()
        self.settle()
        self.advance(LAST_ANSWER_SECONDS * 0.9)
        self.assertIsNone(joined.backend.lost)
        self.advance(LAST_ANSWER_SECONDS * 0.2)
        self.assertIsNotNone(joined.backend.lost)

    def test_last_word_of_a_server(self) -> None:
        """A client behind TLS cannot be told of a half-close: it is closed, with all it is due."""
        joined = self.join(True, False)
        joined.backend.say(b"* BYE\r\n")
        self.settle()
        joined.joint.sides[1].readConnectionLost()
        self.settle()
        self.assertEqual(joined.client.take(), b"* BYE\r\n")
        self.assertIsNotNone(joined.client.lost)
        self.assertEqual(joined.ended(), ("backend", 0, 7))
        self.end()

    def test_bounded(self) -> None:
        """The other side has a bounded time without a byte, and its whole length."""
        joined = self.join(False, False)
        joined.world.east.stays = joined.client.stays = True
        # A long silence before the end must not shorten the time after it.
        self.advance(IDLE_SECONDS * 0.99)
        joined.client.transport.loseWriteConnection()
        self.advance(HALF_CLOSED_SECONDS * 0.9)
        joined.backend.say(b"x")
        self.advance(HALF_CLOSED_SECONDS * 0.9)
        self.assertEqual(joined.client.take(), b"x")
        self.assertIsNone(joined.backend.lost)
        self.advance(HALF_CLOSED_SECONDS)
        self.assertEqual(joined.ended(), ("client", 0, 1))
        self.end(joined.client)

    def test_heard_twice(self) -> None:
        """The end of a side that was paused may be reported again: it counts once."""
        joined = self.join(False, False)
        joined.world.east.stays = True
        side = joined.joint.sides[0]
        side.readConnectionLost()
        self.advance(HALF_CLOSED_SECONDS * 0.9)
        side.readConnectionLost()
        self.advance(HALF_CLOSED_SECONDS * 0.4)
        self.assertEqual(joined.ended(), ("client", 0, 0))
        self.end(joined.client)


class FlushTests(JoinedCase):
    """What was said to a side that does not listen."""

    def stalled(self, legs: tuple[bool, bool]) -> Joined:
        """A client that does not read, though the backend has something to say."""
        joined = self.join(*legs)
        joined.client.transport.pauseProducing()
        joined.backend.say(noise(8, 200_000))
        self.settle()
        return joined

    def test_flushed(self) -> None:
        """It still gets what was said, if it listens in time, though the backend has left."""
        for legs in LEGS:
            joined = self.stalled(legs)
            joined.backend.hang_up()
            self.advance(FLUSH_SECONDS - 1)
            joined.client.transport.resumeProducing()
            self.settle()
            self.assertTrue(joined.client.take() == noise(8, 200_000))
            self.end(joined.client)

    def test_bounded(self) -> None:
        """If not, the connection is broken off after a while."""
        for legs in LEGS:
            joined = self.stalled(legs)
            joined.joint.end("shutdown")
            self.advance(FLUSH_SECONDS - 0.1)
            self.assertEqual(len(joined.world.listener), 1, legs)
            self.advance(0.1)
            self.assertEqual(len(joined.world.listener), 0, legs)
            joined.client.reset()
            self.end()

    def test_both_stalled(self) -> None:
        """The same where neither side listens."""
        for legs in LEGS:
            joined = self.join(*legs)
            joined.client.transport.pauseProducing()
            joined.backend.transport.pauseProducing()
            joined.client.say(noise(9))
            joined.backend.say(noise(10))
            self.settle()
            joined.joint.end("shutdown")
            self.advance(FLUSH_SECONDS)
            self.assertEqual(len(joined.world.listener), 0, legs)
            joined.client.reset()
            joined.backend.transport.abortConnection()
            self.end()

    def test_value(self) -> None:
        """Totals are a value."""
        self.assertEqual(Totals(1, 2, "client"), Totals(1, 2, "client"))
