"""Losing either side, or our own footing, at every step of a login."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import CancelledError

from mailroute.tables.contract import Key, Row
from tests.support.local_reactor import Script
from tests.support.peers import BACKEND_SECONDS, DELAY_SECONDS, EAST, SECRET, Settings, World
from tests.support.peers import plain_message as plain
from tests.support.tables import SlowTable
from tests.test_session import JOINED, TEMPORARY, SessionCase

TOY = b"a AUTHENTICATE X-TOY " + b64encode(b"n=alice") + b"\r\n"


class LostClientTests(SessionCase):
    """A client that leaves at any step takes with it all that was under way for it."""

    ways: ClassVar[dict[str, Callable[[Script], None]]] = {
        "leaves": Script.leave,
        "breaks off": Script.reset,
    }

    def lose_at(self, prepare: Callable[[World], None], line: bytes = b"") -> list[World]:
        """Lose a client that waits for the answer to its login, in both ways."""
        worlds = []
        line = line or b"a AUTHENTICATE PLAIN " + plain("alice") + b"\r\n"
        for lose in self.ways.values():
            self.world = world = World(self.reactor)
            prepare(world)
            client, _ = world.connect()
            client.say(line)
            self.settle()
            self.assertNotIn(b"a ", client.heard)
            lose(client)
            self.assert_quiet()
            self.assertEqual((len(world.listener), world.room.left), (0, 100))
            self.assertEqual(len(world.lines("session")), 1, world.lines())
            self.assertEqual(world.lines("internal-error"), [])
            worlds.append(world)
        return worlds

    def test_before_a_login(self) -> None:
        """A client that says nothing."""
        (leaves, breaks_off) = self.lose_at(lambda world: None, b"a")
        self.assertEqual(leaves.fields("session")["closed_by"], "closed-by-peer")
        self.assertEqual(breaks_off.fields("session")["outcome"], "no-login")

    def test_lookup_pending(self) -> None:
        """The lookup is cancelled."""
        worlds = self.lose_at(lambda world: world.use_table(SlowTable()))
        self.assertEqual([world.table.cancelled for world in worlds], [1, 1])

    def test_name_pending(self) -> None:
        """A name that is being resolved; nobody is dialled when the answer comes at last."""

        def prepare(world: World) -> None:
            world.settings = Settings(east_hosts=("east.example",), retries=2)
            world.listener = world.make_listener()
            self.reactor.resolves_at_once = False
            self.reactor.names["east.example"] = [EAST[0]]

        worlds = self.lose_at(prepare)
        for finish in self.reactor.resolutions:
            finish()
        self.assert_quiet()
        self.assertEqual([len(world.east.visits) for world in worlds], [0, 0])
        self.assertEqual(len(self.reactor.resolutions), 2)

    def test_dialling(self) -> None:
        """A connection that is being made; no other address is tried instead."""

        def prepare(world: World) -> None:
            world.settings = Settings(retries=2)
            world.listener = world.make_listener()
            del self.reactor.listening[EAST]
            self.reactor.silent.add(EAST)

        self.lose_at(prepare)
        self.assertEqual(self.reactor.attempts, [EAST, EAST])

    def test_greeting_pending(self) -> None:
        """A backend that has said nothing yet."""
        worlds = self.lose_at(lambda world: setattr(world.east, "silent_at", "greeting"))
        self.assertIsNotNone(worlds[0].east.last.lost)

    def test_verdict_pending(self) -> None:
        """A backend that thinks about the login."""
        worlds = self.lose_at(lambda world: setattr(world.east, "silent_at", "login"))
        self.assertIsNotNone(worlds[0].east.last.lost)

    def test_challenged(self) -> None:
        """The backend waits for the client's response."""
        worlds = self.lose_at(lambda world: None, TOY)
        self.assertIsNotNone(worlds[0].east.last.lost)
        self.assertEqual(worlds[0].east.last.responses, [])

    def test_response_pending(self) -> None:
        """The backend thinks about the response."""

        def prepare(world: World) -> None:
            world.east.silent_at = "response"

        worlds = self.lose_at(prepare, TOY + b64encode(b"whatever") + b"\r\n")
        self.assertEqual(worlds[0].east.last.responses, [b"whatever"])
        self.assertIsNotNone(worlds[0].east.last.lost)

    def test_held_back(self) -> None:
        """The answer is only held back, and nobody waits for it any more."""
        worlds = self.lose_at(lambda world: world.table.rows.clear())
        self.assertEqual(worlds[0].fields("session")["outcome"], "rejected")

    def test_second_look_pending(self) -> None:
        """The row is being looked up again after a NO."""

        def prepare(world: World) -> None:
            world.use_table(_SlowSecondTime())
            world.east.secrets.clear()

        worlds = self.lose_at(prepare)
        self.assertEqual([world.table.cancelled for world in worlds], [1, 1])


class _SlowSecondTime(SlowTable):
    """Answers the first question at once."""

    async def lookup(self, key: Key) -> Row | None:
        if not self.asked:
            self.asked = True
            return Row("east")
        return await super().lookup(key)

    asked = False


class LostBackendTests(SessionCase):
    """A backend that is lost at any step is a temporary failure, and the client stays."""

    def temporary(self, seconds: float, line: bytes = b"") -> Script:
        """Log in, wait, hear of a temporary failure, and log in at the other server."""
        client, _ = self.world.connect()
        client.say(line or b"a AUTHENTICATE PLAIN " + plain("alice") + b"\r\n")
        self.advance(seconds - 0.01)
        self.assertNotIn(b"a ", client.take())
        self.advance(0.01)
        self.assertEqual(client.take(), TEMPORARY)
        client.say(b"a AUTHENTICATE PLAIN " + plain("bob") + b"\r\n")
        self.settle()
        self.assertEqual(client.take(), JOINED)
        return client

    def test_leaves(self) -> None:
        """Hanging up instead of a greeting, or instead of a verdict."""
        for step in ("greeting", "login"):
            self.world = World(self.reactor)
            self.world.east.leaves_at = step
            client = self.temporary(DELAY_SECONDS)
            failed = self.world.fields("login-failed")
            self.assertEqual(failed["reason"], "backend-unreachable")
            self.end(client)

    def test_silent(self) -> None:
        """Saying nothing, until the backend's time is over; its connection is closed then."""
        for step in ("greeting", "login"):
            self.world = World(self.reactor)
            self.world.east.silent_at = step
            client = self.temporary(BACKEND_SECONDS)
            self.assertEqual(self.world.fields("login-failed")["reason"], "backend-timed-out")
            self.assertIsNotNone(self.world.east.last.lost)
            self.end(client)

    def test_leaves_during_the_exchange(self) -> None:
        """Hanging up instead of answering a response."""
        self.world.east.leaves_at = "response"
        line = TOY + b64encode(b"whatever") + b"\r\n"
        self.end(self.temporary(DELAY_SECONDS, line))

    def test_silent_during_the_exchange(self) -> None:
        """The backend's time does not run while the client thinks, and goes on afterwards."""
        self.world.east.silent_at = "response"
        client, _ = self.world.connect()
        client.say(TOY)
        self.advance(BACKEND_SECONDS * 2)
        self.assertTrue(client.take().startswith(b"+ "))
        client.say(b64encode(b"whatever") + b"\r\n")
        self.advance(BACKEND_SECONDS - 0.01)
        self.assertEqual(client.take(), b"")
        self.advance(0.01)
        self.assertEqual(client.take(), TEMPORARY)
        self.end(client)

    def test_leaves_while_the_client_thinks(self) -> None:
        """Hanging up behind a challenge: the client hears of it with its response."""
        client, _ = self.world.connect()
        client.say(TOY)
        self.settle()
        self.assertTrue(client.take().startswith(b"+ "))
        self.world.east.last.hang_up()
        self.advance(DELAY_SECONDS)
        client.say(b64encode(b"whatever") + b"\r\n")
        self.settle()
        self.assertEqual(client.take(), TEMPORARY)
        self.end(client)

    def test_refuses(self) -> None:
        """Nobody listens."""
        del self.reactor.listening[EAST]
        self.end(self.temporary(DELAY_SECONDS))


class _Defective:
    """A table with a defect."""

    varies_on: frozenset[str] = frozenset()

    def __init__(self, defect: type[Exception]) -> None:
        self._defect = defect

    async def lookup(self, key: Key) -> Row | None:
        if key.identifier == "alice":
            raise self._defect("the column was a bicycle")
        return Row("west")


class DefectTests(SessionCase):
    """A defect of ours ends one session, politely, and is told with its traceback."""

    def defect(self, kind: type[Exception]) -> Script:
        self.world.use_table(_Defective(kind))
        bob, _ = self.world.log_in("bob")
        alice, _ = self.world.log_in("alice")
        self.assertEqual(alice.take(), TEMPORARY)
        self.assertIsNotNone(alice.lost)
        self.assertEqual(bob.take(), JOINED)
        bob.say(b"still here")
        self.settle()
        self.assertEqual(self.world.west.last.joined, b"still here")
        return bob

    def test_exception(self) -> None:
        """An exception that is no Failure: temporary failure, traceback, no secret in it."""
        bob = self.defect(RuntimeError)
        text = "\n".join(self.world.lines())
        self.assertIn("Traceback", text)
        self.assertIn("the column was a bicycle", text)
        self.assertNotIn(SECRET.decode(), text)
        self.assertNotIn(plain("alice").decode(), text)
        self.assertEqual(self.world.fields("internal-error")["where"], "session")
        self.assertEqual(self.world.fields("session")["closed_by"], "internal-error")
        self.end(bob)

    def test_cancelled_by_somebody_else(self) -> None:
        """A cancellation without a client's leaving is a defect too: nobody waits for ever."""
        bob = self.defect(CancelledError)
        self.assertEqual(len(self.world.lines("internal-error")), 1)
        self.end(bob)

    def test_answer_cannot_be_worded(self) -> None:
        """A login that was accepted, but could not be told, does not stay logged in."""
        client, accepted = self.world.connect()
        self.patch(accepted._protocol._dialogue, "_write_accepted", _fail)  # type: ignore[attr-defined]
        client.say(b"a AUTHENTICATE PLAIN " + plain("alice") + b"\r\n")
        self.settle()
        self.assertIsNotNone(client.lost)
        self.assertIsNotNone(self.world.east.last.lost)
        self.assertEqual(len(self.world.lines("internal-error")), 1)
        self.end()


def _fail(*_: object) -> None:
    raise RuntimeError("no words")
