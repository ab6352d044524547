"""A login from its first byte to the joined stream, through everything that is real."""

from __future__ import annotations

import gc
from base64 import b64decode, b64encode
from typing import Any

from mailroute.errors import Failure, FailureKind, LookupFailed
from mailroute.events import Accepted, Login, Rejected
from mailroute.route import Forwarding, Introduction, Origin
from mailroute.tables.contract import Key, Row
from tests.support.backends import CAPABILITIES
from tests.support.local_reactor import LocalCase, Script
from tests.support.peers import (
    BACKEND_SECONDS,
    DELAY_SECONDS,
    EAST,
    SECRET,
    Settings,
    World,
    plain_message,
)
from tests.support.secured import Certificates, server_tls
from tests.support.tables import MemoryTable
from tests.support.toy import proof

JOINED = b"a OK [CAPABILITY IMAP4rev1 IDLE] Logged in\r\n"
WRONG = b"a NO [AUTHENTICATIONFAILED] Not you.\r\n"
UNKNOWN = b"a NO [AUTHENTICATIONFAILED] Authentication failed.\r\n"
TEMPORARY = b"a NO [UNAVAILABLE] Temporary problem, try again later.\r\n"


class SessionCase(LocalCase):
    """A world around every test."""

    def setUp(self) -> None:
        super().setUp()
        self.world = World(self.reactor)

    def end(self, *clients: Script) -> None:
        """Everybody leaves: nothing may be left."""
        for client in clients:
            client.leave()
        self.settle()
        for visit in (*self.world.east.visits, *self.world.west.visits):
            visit.hang_up()
        self.assert_quiet()
        self.assertEqual(len(self.world.listener), 0)
        self.assertEqual(self.world.room.left, 100)


class FoundTests(SessionCase):
    """An account that is found reaches its server."""

    def test_password(self) -> None:
        """The backend's words under the client's tag, then the joined stream both ways."""
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        client.say(b"b SELECT INBOX\r\n")
        self.settle()
        self.assertEqual(self.world.east.last.joined, b"b SELECT INBOX\r\n")
        self.world.east.last.say(b"b OK done\r\n")
        self.settle()
        self.assertEqual(client.take(), b"b OK done\r\n")
        self.end(client)

    def test_two_accounts_two_servers(self) -> None:
        """Each client reaches the server of its own account."""
        alice, _ = self.world.log_in()
        bob, _ = self.world.log_in("bob")
        self.assertEqual((alice.take(), bob.take()), (JOINED, JOINED))
        self.assertEqual(self.world.east.last.logins[0].identity.authcid, "alice")
        self.assertEqual(self.world.west.last.logins[0].identity.authcid, "bob")
        self.end(alice, bob)

    def test_trailing_data(self) -> None:
        """What was pipelined behind the login, and behind the acceptance, arrives in order."""
        self.world.east.trailing = b"* 1 EXISTS\r\n"
        client, _ = self.world.connect()
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\nb NOOP\r\nc ID")
        self.settle()
        client.say(b"LE\r\n")
        self.settle()
        self.assertEqual(client.take(), JOINED + b"* 1 EXISTS\r\n")
        self.assertEqual(self.world.east.last.joined, b"b NOOP\r\nc IDLE\r\n")
        self.end(client)


class ToyTests(SessionCase):
    """A mechanism of two rounds is relayed; only the account's name is understood."""

    def begin(self, name: str = "alice") -> Script:
        client, _ = self.world.connect()
        client.say(b"a AUTHENTICATE X-TOY " + b64encode(b"n=" + name.encode()) + b"\r\n")
        self.settle()
        return client

    def respond(self, client: Script, secret: bytes = SECRET) -> None:
        """Answer the challenge that was heard last."""
        heard = client.take()
        self.assertTrue(heard.startswith(b"+ ") and heard.endswith(b"\r\n"), heard)
        client.say(b64encode(proof(b64decode(heard[2:]), secret)) + b"\r\n")
        self.settle()

    def test_two_rounds(self) -> None:
        """Challenges and responses pass through verbatim until the verdict."""
        client = self.begin()
        self.respond(client)
        self.respond(client)
        self.assertEqual(client.take(), JOINED)
        self.assertEqual(len(self.world.east.last.responses), 2)
        self.end(client)

    def test_wrong_proof(self) -> None:
        """The verdict is the backend's at every round."""
        client = self.begin()
        self.respond(client)
        self.respond(client, b"something else")
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), UNKNOWN)
        self.end(client)

    def test_cancelled(self) -> None:
        """The client's ``*`` reaches the backend, and the client may begin again."""
        client = self.begin()
        client.take()
        client.say(b"*\r\n")
        self.advance(DELAY_SECONDS)
        self.assertEqual(self.world.east.last.responses, [None])
        self.assertEqual(client.take(), b"a BAD Authentication cancelled.\r\n")
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        self.assertEqual(client.take(), JOINED)
        self.end(client)

    def test_not_replayed(self) -> None:
        """An exchange cannot be repeated elsewhere; but the next attempt finds the new server."""
        self.world.west.secrets["alice"] = SECRET
        client = self.begin()
        self.world.table.rows["alice"] = Row("west")
        self.respond(client, b"something else")
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), UNKNOWN)
        self.assertEqual(self.world.west.visits, [])
        self.assertEqual(len(self.world.table.asked), 2)
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        self.assertEqual(len(self.world.west.visits), 1)
        self.end(client)


class ForwardingTests(SessionCase):
    """What a backend may be told of the client."""

    def origin(self, forwarding: Forwarding) -> Origin:
        """What it is told of one that came by TLS and has said who it is."""
        front = server_tls(Certificates(self).issue("front.example"))
        self.world = World(self.reactor, Settings(front=front, forwarding=forwarding))
        client, _ = self.world.connect()
        client.say(b'i ID ("name" "x")\r\na AUTHENTICATE PLAIN ')
        client.say(plain_message("alice") + b"\r\n")
        self.settle()
        self.end(client)
        return self.world.origins[-1]

    def test_told(self) -> None:
        """Addresses, TLS, the client's own words, and the id under which the log has it."""
        for forwarding in (Forwarding.PROXY, Forwarding.XCLIENT):
            origin = self.origin(forwarding)
            assert origin.tls is not None
            self.assertEqual(origin.tls.version, "TLSv1.3")
            self.assertEqual(origin.introduction.fields, ((b"name", b"x"),))
            self.assertEqual(origin.client_ip, "203.0.113.9")
            self.assertEqual(origin.session_id, self.world.fields("session")["id"])

    def test_not_told(self) -> None:
        """A backend that is told nothing costs nothing."""
        origin = self.origin(Forwarding.NONE)
        self.assertEqual((origin.tls, origin.introduction), (None, Introduction()))


class RefusedTests(SessionCase):
    """Absent, failed and rejected are three things, and none of them is quicker."""

    def refused(self, name: str, secret: bytes, expected: bytes) -> Script:
        """A login that is answered exactly when the least time is over."""
        client, _ = self.world.log_in(name, secret)
        self.advance(DELAY_SECONDS - 0.01)
        self.assertEqual(client.take(), b"")
        self.advance(0.01)
        self.assertEqual(client.take(), expected)
        return client

    def test_absent(self) -> None:
        """An unknown account reads as a wrong password, no sooner, and asks no server."""
        client = self.refused("carol", SECRET, UNKNOWN)
        self.assertEqual(self.world.east.visits + self.world.west.visits, [])
        self.end(client)

    def test_failed(self) -> None:
        """A table that cannot answer is a temporary failure: never a wrong password."""
        self.world.table.failing = "the database is away"
        self.end(self.refused("alice", SECRET, TEMPORARY))

    def test_rejected(self) -> None:
        """The backend's own words, and its connection is not kept for the next attempt."""
        client = self.refused("alice", b"wrong", WRONG)
        self.assertIsNotNone(self.world.east.last.lost)
        client.say(b"b AUTHENTICATE PLAIN " + plain_message("alice") + b"\r\n")
        self.settle()
        self.assertEqual(client.take(), b"b" + JOINED[1:])
        self.assertEqual(len(self.world.east.visits), 2)
        self.end(client)

    def test_outage(self) -> None:
        """A backend that is down is a temporary failure, no sooner than a wrong password."""
        del self.reactor.listening[EAST]
        self.end(self.refused("alice", SECRET, TEMPORARY))

    def test_other_account_next(self) -> None:
        """After a rejection the next attempt starts afresh, at its own account's server."""
        client = self.refused("alice", b"wrong", WRONG)
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("bob") + b"\r\n")
        self.settle()
        self.assertEqual(client.take(), JOINED)
        self.assertEqual(len(self.world.west.visits), 1)
        self.end(client)

    def test_slow_verdict(self) -> None:
        """The delay is a least time: what took longer is not held back any more."""
        self.world.east.silent_at = "login"
        client, _ = self.world.log_in()
        self.advance(DELAY_SECONDS + 1)
        refusal = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, ""), (b"[EXPIRED] Old.",))
        self.world.east.last.answer(refusal)
        self.settle()
        self.assertEqual(client.take(), b"a NO [AUTHENTICATIONFAILED] Old.\r\n")
        self.end(client)

    def test_attempts(self) -> None:
        """After the last attempt the client is sent away."""
        self.world = World(self.reactor, Settings(max_attempts=1))
        client = self.refused("alice", b"wrong", WRONG + b"* BYE Too many failed logins.\r\n")
        self.assertIsNotNone(client.lost)
        self.assertEqual(self.world.fields("session")["closed_by"], "too-many-login-attempts")
        self.end()


class HiddenTests(SessionCase):
    """Where the configuration asks for it, the backend's words are kept from the client."""

    def test_credentials_of_ours(self) -> None:
        """A password of the configuration that is refused is not the client's wrong password.

        Nor are the backend's words the client's to read: they may repeat what was said to it.
        """
        self.world = World(self.reactor, Settings(password="of ours"))
        client, _ = self.world.log_in(secret=b"wrong")
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), TEMPORARY)
        self.assertEqual(self.world.fields("login-failed")["reason"], "backend-incapable")
        self.end(client)

    def test_hidden(self) -> None:
        """A wrong password reads exactly as an unknown account."""
        self.world = World(self.reactor, Settings(hide_auth_errors=True))
        wrong, _ = self.world.log_in(secret=b"wrong")
        absent, _ = self.world.log_in("carol")
        self.advance(DELAY_SECONDS)
        self.assertEqual((wrong.take(), absent.take()), (UNKNOWN, UNKNOWN))
        self.end(wrong, absent)


class MovedTests(SessionCase):
    """A NO makes the row be looked up past the cache."""

    def test_moved(self) -> None:
        """An account moved a second ago logs in at its new server, by the same command."""
        self.world.west.secrets["alice"] = SECRET
        self.world.east.secrets.clear()
        self.world.east.when_asked = lambda: self.world.table.rows.update(alice=Row("west"))
        client, _ = self.world.log_in()
        self.assertEqual(client.take(), JOINED)
        self.assertIsNotNone(self.world.east.last.lost)
        self.assertEqual(self.world.lines("login-failed"), [])
        client.leave()
        self.settle()
        self.world.west.last.hang_up()
        self.settle()
        self.assertEqual(self.world.fields("session")["destination"], "west")
        self.end()

    def test_not_moved(self) -> None:
        """A row that leads to the same place is no second try there."""
        client, _ = self.world.log_in(secret=b"wrong")
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), WRONG)
        self.assertEqual(len(self.world.east.visits), 1)
        self.assertEqual(len(self.world.table.asked), 2)
        self.end(client)

    def test_moved_and_wrong(self) -> None:
        """Only once: the new server's NO is final, and the log names that server."""
        self.world.east.when_asked = lambda: self.world.table.rows.update(alice=Row("west"))
        self.world.west.when_asked = lambda: self.world.table.rows.update(alice=Row("east"))
        client, _ = self.world.log_in(secret=b"wrong")
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), WRONG)
        self.assertEqual((len(self.world.east.visits), len(self.world.west.visits)), (1, 1))
        self.assertEqual(self.world.fields("login-failed")["destination"], "west")
        self.end(client)

    def test_temporary_refusal(self) -> None:
        """A server that is busy triggers no second look, and no attempt is spent."""
        self.world = World(self.reactor, Settings(max_attempts=1))
        busy = Failure(FailureKind.BACKEND_BUSY, "busy")
        self.world.east.verdict = Rejected(busy, (b"[UNAVAILABLE] Later.",))
        client, _ = self.world.log_in()
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), b"a NO [UNAVAILABLE] Later.\r\n")
        self.assertEqual(len(self.world.table.asked), 1)
        self.assertEqual(len(self.world.east.visits), 1)
        self.assertIsNone(client.lost)
        self.end(client)


class SecretTests(SessionCase):
    """The secret dies with the backend's verdict."""

    def log_in(self) -> Script:
        client, _ = self.world.connect()
        client.say(b"a AUTHENTICATE PLAIN " + plain_message("alice", _hidden()) + b"\r\n")
        self.settle()
        return client

    def test_nothing_alive_after_the_join(self) -> None:
        """No object of a joined session holds the password, in no form."""
        self.world.east.verdict = Accepted(CAPABILITIES)
        client = self.log_in()
        self.assertEqual(client.take(), JOINED)
        self.world.east.last.logins.clear()
        self.assertEqual(_holders(), [])
        self.end(client)

    def test_nothing_alive_after_a_rejection(self) -> None:
        """Nor after a NO, while the client thinks about its next attempt."""
        client = self.log_in()
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), WRONG)
        self.world.east.last.logins.clear()
        self.world.east.visits.clear()
        self.assertEqual(_holders(), [])
        self.end(client)

    def test_nothing_alive_after_an_outage(self) -> None:
        """Nor in the frames of a failure that was answered."""
        del self.reactor.listening[EAST]
        client = self.log_in()
        self.advance(DELAY_SECONDS)
        self.assertEqual(client.take(), TEMPORARY)
        self.assertEqual(_holders(), [])
        self.end(client)

    def at_once(self, settings: Settings, silent_at: str, leaves: bool) -> None:
        """Fail, or lose the client, and let the time pass: without the collector nothing is left.

        ``silent_at``: where the backend falls silent; empty where there is none.
        """
        gc.collect()
        gc.disable()
        self.addCleanup(gc.enable)
        self.world = World(self.reactor, settings)
        self.world.east.silent_at = silent_at
        if not silent_at:
            del self.reactor.listening[EAST]
        client = self.log_in()
        if leaves:
            client.leave()
        self.advance(2 * BACKEND_SECONDS + DELAY_SECONDS)
        self.assertEqual(client.take(), b"" if leaves else TEMPORARY)
        self.world.east.visits.clear()
        logins = [held for held in gc.get_objects() if isinstance(held, Login)]
        self.assertEqual(
            [each for each in logins if _hidden() in (each.initial_response or b"")], []
        )
        self.end(client)

    def test_no_failure_waits_for_the_collector(self) -> None:
        """An exception and its frames hold each other: a quiet node collects them hours later."""
        for retries in (0, 1):
            for silent_at in ("", "greeting", "login"):
                self.at_once(Settings(retries=retries), silent_at, False)

    def test_no_lookup_waits_for_the_collector(self) -> None:
        """Nor what a table raises."""
        self.patch(MemoryTable, "lookup", _fail)
        self.at_once(Settings(), "", False)

    def test_no_lost_client_waits_for_the_collector(self) -> None:
        """Nor does a client that leaves before the verdict."""
        for silent_at in ("greeting", "login"):
            self.at_once(Settings(), silent_at, True)

    def test_search_finds(self) -> None:
        """The search of these tests does find a login that waits for its verdict."""
        self.world.east.silent_at = "login"
        client = self.log_in()
        self.world.east.last.logins.clear()
        self.assertNotEqual(_holders(), [])
        self.end(client)


async def _fail(table: MemoryTable, key: Key) -> Row | None:
    raise LookupFailed("the table is away")


def _hidden() -> bytes:
    """A password that stands nowhere in this file as it is."""
    return bytes(reversed(b"drowssap-neddih"))


def _holders() -> list[str]:
    """What refers to the password, to its base64 or to the message."""
    needles = (_hidden(), plain_message("alice", _hidden()), b64encode(_hidden()))
    gc.collect()
    return [
        type(holder).__name__
        for holder in gc.get_objects()
        if holder is not needles
        if any(needle in held for held in _referents(holder) for needle in needles)
    ]


def _referents(holder: Any) -> list[bytes]:
    if type(holder).__name__ in ("frame", "module"):
        return []
    texts = []
    for held in gc.get_referents(holder):
        if isinstance(held, bytes | bytearray):
            texts.append(bytes(held))
        elif isinstance(held, str):
            texts.append(held.encode("utf-8", "replace"))
    return texts
