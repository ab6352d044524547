"""The client's rules that no protocol writes again, on the smallest protocol that has them."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.client_dialogue import QUOTE_LIMIT, REPLY_LIMIT, ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Challenge, Event, Login, Rejected, StartTLS
from tests.support.dialogues import TLS, written
from tests.support.pairs import password, xoauth2
from tests.support.toy import toy_login

LOST = Failure(FailureKind.BACKEND_UNREACHABLE, "connection lost")
SECRET = b"hunter2hunter2"


class Tiny(ClientDialogue):
    """``hello`` begins, ``> text`` is a challenge, ``yes`` and ``no`` are verdicts."""

    def _step(self) -> bool:
        line = self._take_reply_line(REPLY_LIMIT)
        if line is None:
            return False
        if line == b"hello" and self._starttls:
            self._write(b"TLS\n")
        elif line == b"hello":
            self._log_in()
        elif line == b"begin":
            self._start_tls()
        elif line[:2] == b"> ":
            self._challenged(line[2:])
        elif line == b"yes":
            self._accept(Accepted((b"yes",)))
        elif line[:2] == b"no":
            failure = Failure(FailureKind.CREDENTIALS_REJECTED, self._quote(line))
            self._reject(failure, (line,), (b"untagged",))
        elif line == b"refused":
            self._fail(FailureKind.BACKEND_REFUSED, "refused")
        else:
            self._fail(FailureKind.BACKEND_MISBEHAVED, f"said {self._quote(line)}")
        return True

    def _log_in(self) -> None:
        initial = self._exchange.initial(60) if self._secure else None
        self._write(b"AUTH" + (b" " + initial if initial else b"") + b"\n")

    def _waiting_for(self) -> str:
        return "while waiting"

    def _write_response(self, text: bytes) -> None:
        self._write(text + b"\n")

    def _forget(self) -> None:
        self._write(b"again\n")


def rejection(events: list[Event]) -> Rejected:
    """The verdict with which these events end."""
    assert isinstance(events[-1], Rejected), events
    return events[-1]


class Case(SynchronousTestCase):
    """A dialogue with a login under way."""

    def begun(self, login: Login | None = None) -> Tiny:
        dialogue = Tiny(login or password("alice", SECRET), False, True)
        dialogue.start()
        dialogue.receive_data(b"hello\n")
        return dialogue


class ExchangeTests(Case):
    """Challenges."""

    def test_first_message(self) -> None:
        """A challenge that asks for our first message is answered by us, once."""
        name = "a" * 60
        dialogue = Tiny(toy_login(name), False, True)
        self.assertEqual(written(dialogue.receive_data(b"hello\n")), b"AUTH\n")
        answer = base64.b64encode(b"n=" + name.encode()) + b"\n"
        self.assertEqual(written(dialogue.receive_data(b"> \n")), answer)
        self.assertEqual(dialogue.receive_data(b"> eA==\n"), [Challenge(b"x")])

    def test_plain_has_no_challenge(self) -> None:
        """RFC 4616: a backend that asks for more is at fault, and nobody is asked to answer."""
        dialogue = Tiny(password("alice", SECRET * 5), False, True)
        dialogue.receive_data(b"hello\n")
        self.assertEqual(written(dialogue.receive_data(b"> \n"))[-2:], b"=\n")
        for asked in (dialogue, self.begun()):
            verdict = rejection(asked.receive_data(b"> eA==\n"))
            self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_relay(self) -> None:
        """The dialogue waits for the client's response; what the backend says meanwhile waits."""
        dialogue = self.begun(toy_login("alice"))
        self.assertEqual(dialogue.receive_data(b"> eA==\n> \n"), [Challenge(b"x")])
        self.assertEqual(dialogue.receive_data(b"yes\n"), [])
        events = dialogue.respond(b"\0y")
        self.assertEqual(written(events), b"AHk=\n")
        self.assertEqual(events[-1], Challenge(b""))
        events = dialogue.respond(b"")
        self.assertEqual(written(events), b"\n")
        self.assertEqual(events[-1], Accepted((b"yes",)))

    def test_not_base64(self) -> None:
        """A challenge that is none is the backend's fault."""
        verdict = rejection(self.begun(toy_login("alice")).receive_data(b"> !!!\n"))
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)

    def test_cancelled(self) -> None:
        """Whatever the backend makes of "*": it was the client that gave up, not the backend."""
        for said in (b"BAD\n", b"refused\n", b"no\n"):
            dialogue = self.begun(toy_login("alice"))
            dialogue.receive_data(b"> eA==\n")
            self.assertEqual(written(dialogue.respond(None)), b"*\n")
            verdict = rejection(dialogue.receive_data(said))
            self.assertIs(verdict.failure.kind, FailureKind.CREDENTIALS_REJECTED)

    def test_cancelled_and_lost(self) -> None:
        """A backend that goes away instead of answering "*" went away."""
        dialogue = self.begun(toy_login("alice"))
        dialogue.receive_data(b"> eA==\n")
        dialogue.respond(None)
        verdict = rejection(dialogue.ended(LOST))
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_UNREACHABLE)

    def test_late_response(self) -> None:
        """A response that comes after the verdict is not written."""
        dialogue = self.begun(toy_login("alice"))
        dialogue.receive_data(b"> eA==\n")
        self.assertIs(rejection(dialogue.timed_out()).failure.kind, FailureKind.BACKEND_TIMED_OUT)
        self.assertEqual(dialogue.respond(b"x"), [])
        self.assertEqual(dialogue.receive_data(b"yes\n"), [])


class VerdictTests(Case):
    """Exactly one verdict."""

    def test_accepted(self) -> None:
        """What follows belongs to the client; nothing takes the verdict back."""
        dialogue = self.begun()
        self.assertEqual(dialogue.receive_data(b"yes\n* data"), [Accepted((b"yes",))])
        self.assertEqual(dialogue.receive_data(b" no\n"), [])
        self.assertEqual(dialogue.trailing_data, b"* data no\n")
        self.assertEqual(dialogue.timed_out() + dialogue.ended(LOST), [])

    def test_rejected(self) -> None:
        """The backend's own words go up; nothing follows, and nothing is kept."""
        dialogue = self.begun()
        verdict = rejection(dialogue.receive_data(b"no such user\nyes\n"))
        self.assertEqual((verdict.words, verdict.untagged), ((b"no such user",), (b"untagged",)))
        self.assertEqual(dialogue.trailing_data, b"")
        self.assertEqual(dialogue.timed_out() + dialogue.ended(LOST), [])
        self.assertEqual(dialogue.receive_data(b"yes\n"), [])

    def test_silence_and_loss(self) -> None:
        """Told apart by their kinds, with what was waited for."""
        verdict = rejection(self.begun().timed_out())
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_TIMED_OUT)
        self.assertEqual(verdict.failure.reason, "no answer while waiting")
        verdict = rejection(self.begun().ended(LOST))
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_UNREACHABLE)
        self.assertEqual(verdict.failure.reason, "connection lost while waiting")

    def test_secret_is_dropped(self) -> None:
        """With either verdict."""
        for said in (b"yes\n", b"no\n"):
            dialogue = self.begun()
            dialogue.receive_data(said)
            self.assertIsNone(dialogue._login)
            self.assertTrue(dialogue._exchange.complete)
            self.assertEqual(dialogue._exchange.traces(), [])
            self.assertRaises(RuntimeError, dialogue._require_login)

    def test_endless_line(self) -> None:
        """A reply beyond its bound is the backend's fault, and is dropped."""
        dialogue = self.begun()
        verdict = rejection(dialogue.receive_data(b"x" * (REPLY_LIMIT + 1)))
        self.assertIs(verdict.failure.kind, FailureKind.BACKEND_MISBEHAVED)
        self.assertEqual(dialogue.trailing_data, b"")


class LengthTests(Case):
    """A token that is longer than many servers take."""

    def refused(self, octets: int, said: bytes | None) -> Failure:
        """How it ends when the backend says this to a token, or closes."""
        dialogue = self.begun(xoauth2("alice", b"t" * octets))
        dialogue.receive_data(b"> \n")
        if said is not None:
            return rejection(dialogue.receive_data(said)).failure
        lost = Failure(FailureKind.BACKEND_UNREACHABLE, "connection lost")
        return rejection(dialogue.ended(lost)).failure

    def test_too_long(self) -> None:
        """The size is told; a server that closes for it is no server that is down."""
        for said in (None, b"what?\n"):
            failure = self.refused(7000, said)
            self.assertIs(failure.kind, FailureKind.BACKEND_INCAPABLE)
            self.assertIn("the first message has 9368 octets of base64", failure.reason)
        refused = self.refused(7000, b"refused\n")
        self.assertIs(refused.kind, FailureKind.BACKEND_REFUSED)
        self.assertIn("9368 octets", refused.reason)

    def test_not_the_length(self) -> None:
        """A verdict on the token is one, and a short token is not to blame."""
        for octets, said, kind in (
            (7000, b"no\n", FailureKind.CREDENTIALS_REJECTED),
            (6000, None, FailureKind.BACKEND_UNREACHABLE),
            (6000, b"what?\n", FailureKind.BACKEND_MISBEHAVED),
        ):
            failure = self.refused(octets, said)
            self.assertIs(failure.kind, kind)
            self.assertNotIn("octets", failure.reason)


class ChannelTests(Case):
    """STARTTLS."""

    def setUp(self) -> None:
        self.dialogue = Tiny(password("alice", SECRET), True, False)
        self.assertEqual(written(self.dialogue.receive_data(b"hello\n")), b"TLS\n")

    def test_upgrade(self) -> None:
        """After the handshake the credentials may leave."""
        self.assertEqual(self.dialogue.receive_data(b"begin\n"), [StartTLS()])
        self.assertEqual(written(self.dialogue.tls_established(TLS)), b"again\n")
        said = written(self.dialogue.receive_data(b"hello\n"))
        self.assertEqual(said, b"AUTH " + base64.b64encode(b"\0alice\0" + SECRET) + b"\n")

    def test_injection(self) -> None:
        """Bytes in the clear behind the consent are an attack, at once or a moment later."""
        for pieces in ((b"begin\nhello\n",), (b"begin\n", b"h")):
            self.setUp()
            events = [event for piece in pieces for event in self.dialogue.receive_data(piece)]
            self.assertIs(rejection(events).failure.kind, FailureKind.BACKEND_UNTRUSTED)
            self.assertEqual(self.dialogue.tls_established(TLS), [])
            self.assertEqual(self.dialogue.receive_data(b"yes\n"), [])


class QuoteTests(Case):
    """What the log may repeat of a backend's words."""

    def reason(self, said: bytes) -> str:
        return rejection(self.begun().receive_data(said + b"\n")).failure.reason

    def test_quoted(self) -> None:
        """Controls are escaped, and the text is cut."""
        self.assertEqual(self.reason("no \xe4\x1b[31m\u2028".encode()), "no \xe4\\x1b[31m\\u2028")
        self.assertEqual(self.reason(b"no \xff"), "no \\xff")
        self.assertEqual(self.reason(b"no " + b"x" * 999), "no " + "x" * (QUOTE_LIMIT - 3))

    def test_repeated_credentials(self) -> None:
        """A backend that repeats our command does not bring the secret into the log."""
        message = base64.b64encode(b"\0alice\0" + SECRET)
        for echo in (b"AUTH " + message, SECRET, SECRET.upper(), message[:30],
                     b"x" * 300 + SECRET, base64.b64encode(SECRET)):  # fmt: skip
            for said in (b"no " + echo, b"unexpected " + echo):
                self.assertIn("withheld", self.reason(said), said)
        self.assertNotIn("withheld", self.reason(b"no alice is not welcome"))
