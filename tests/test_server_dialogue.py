"""The server's rules that no protocol writes again, on the smallest protocol that has them."""

from __future__ import annotations

import base64
from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Event, Login, Rejected, Response, StartTLS
from mailroute.offer import Policy
from mailroute.sasl.plain import password_login
from mailroute.sasl.registry import MECHANISMS
from mailroute.server_dialogue import BAD_COMMAND_BUDGET, SASL_LINE_LIMIT, ServerDialogue
from tests.support.dialogues import TLS, written
from tests.support.toy import Toy, toy_login

WRONG = Rejected(Failure(FailureKind.CREDENTIALS_REJECTED, "private"))
BUSY = Rejected(Failure(FailureKind.LOOKUP_FAILED, "private"))
ALICE = base64.b64encode(b"\0alice\0secret")


class Tiny(ServerDialogue):
    """AUTH NAME [RESPONSE], PASS NAME SECRET, TLS; anything else is an error."""

    def _step(self) -> bool:
        if self._exchange is not None:
            return self._exchange_line(self._exchange)
        if self._is_foreign():
            return False
        line = self._take_line(100)
        if line is None:
            return False
        verb, *words = line.split(b" ")
        mechanism = self._offer.mechanism(words[0].decode("ascii", "replace")) if words else None
        if verb == b"AUTH" and mechanism is not None:
            self._begin_exchange(mechanism, words[1] if words[1:] else None)
        elif verb == b"PASS":
            self._ask_for_login(password_login(words[0], words[1]))
        elif verb == b"TLS":
            self._start_tls(b"begin\n")
        else:
            self._write(b"what?\n")
            self._count_bad_command()
        return True

    def _greet(self) -> None:
        self._write(b"hello\n")

    def _goodbye(self, why: str) -> None:
        self._write(b"bye " + why.encode() + b"\n")

    def _write_challenge(self, text: bytes) -> None:
        self._write(b"> " + text + b"\n")

    def _write_sasl_error(self, reason: str) -> None:
        self._write(b"error " + reason.encode() + b"\n")

    def _write_sasl_cancelled(self) -> None:
        self._write(b"cancelled\n")

    def _write_accepted(self, verdict: Accepted) -> None:
        self._write(b"yes\n")

    def _write_rejected(self, verdict: Rejected) -> None:
        self._write(b"no\n")

    def _forget(self) -> None:
        self._exchange = None


def holder(secure: bool, *names: str) -> Tiny:
    """A dialogue where certificates may log in, with a client who has shown one."""
    dialogue = Tiny(Policy(MECHANISMS, starttls=True, external=True), secure, 2)
    if secure:
        dialogue.recognize(names)
        dialogue.start()
    else:
        dialogue.start()
        dialogue.receive_data(b"TLS\n")
        dialogue.tls_established(replace(TLS, client_names=names))
    return dialogue


def started(secure: bool = True, attempts: int = 3) -> Tiny:
    """A dialogue that has greeted."""
    dialogue = Tiny(Policy((*MECHANISMS, Toy()), starttls=True), secure, attempts)
    assert written(dialogue.start()) == b"hello\n"
    return dialogue


class Case(SynchronousTestCase):
    """What the tests below say often."""

    def said(self, events: list[Event], expected: bytes, last: Event | None = None) -> None:
        """These events write this, and nothing else but perhaps one last event."""
        self.assertEqual(written(events), expected)
        self.assertEqual([e for e in events if written([e]) == b""], [last] if last else [])


class ExchangeTests(Case):
    """The SASL exchange."""

    def test_login(self) -> None:
        """Prompts, then the login, then the verdict."""
        dialogue = started()
        self.said(dialogue.receive_data(b"AUTH LOGIN\n"), b"> VXNlcm5hbWU6\n")
        self.said(dialogue.receive_data(b"YWxpY2U=\n"), b"> UGFzc3dvcmQ6\n")
        events = dialogue.receive_data(b"c2VjcmV0\n")
        self.said(events, b"", Login(Identity("alice"), "PLAIN", b"\0alice\0secret"))
        self.said(dialogue.answer(Accepted()), b"yes\n")

    def test_relay(self) -> None:
        """Challenges and responses pass; the line behind the exchange is a command again."""
        dialogue = started()
        first = b"AUTH X-TOY " + base64.b64encode(b"n=alice") + b"\n"
        self.said(dialogue.receive_data(first), b"", toy_login("alice"))
        for octets in (b"", b"\0\xff*"):
            text = base64.b64encode(octets)
            self.said(dialogue.challenge(octets), b"> " + text + b"\n")
            self.said(dialogue.receive_data(text + b"\n"), b"", Response(octets))
        self.said(dialogue.answer(WRONG), b"no\n")
        self.said(dialogue.receive_data(b"AQ==\n"), b"what?\n")

    def test_pipelined_response(self) -> None:
        """A response that came too early waits for its challenge."""
        dialogue = started()
        first = b"AUTH X-TOY " + base64.b64encode(b"n=alice") + b"\nAQ==\n"
        self.said(dialogue.receive_data(first), b"", toy_login("alice"))
        self.said(dialogue.challenge(b"x"), b"> eA==\n", Response(b"\1"))

    def test_malformed(self) -> None:
        """Each malformed message is answered and counted; the exchange is over."""
        dialogue = started()
        for number in range(BAD_COMMAND_BUDGET):
            sent = (b"AUTH PLAIN !\n", b"AUTH PLAIN\n!\n", b"AUTH PLAIN =\n")[number % 3]
            events = dialogue.receive_data(sent)
            self.assertIn(b"error ", written(events))
        self.assertEqual(events[-1], Close("too-many-bad-commands"))

    def test_answer_without_a_login(self) -> None:
        """What the client answers to our prompts is ours to refuse: no backend waits for it."""
        dialogue = started()
        # An empty password; a message without its NULs.
        dialogue.receive_data(b"AUTH LOGIN\nYWxpY2U=\n")
        self.said(dialogue.receive_data(b"\n"), b"error Empty user name or password\n")
        dialogue.receive_data(b"AUTH PLAIN\n")
        self.said(dialogue.receive_data(b"YWxpY2U=\n"), b"error Malformed PLAIN message\n")
        self.said(dialogue.receive_data(b"YWxpY2U=\n"), b"what?\n")

    def test_cancelled(self) -> None:
        """ "*" is answered and counted; the next line is a command."""
        dialogue = started()
        self.said(dialogue.receive_data(b"AUTH PLAIN\n*\n"), b"> \ncancelled\n")
        self.said(dialogue.receive_data(b"*\n"), b"what?\n")
        for _ in range(BAD_COMMAND_BUDGET - 2):
            events = dialogue.receive_data(b"AUTH PLAIN\n*\n")
        self.assertEqual(events[-1], Close("too-many-bad-commands"))

    def test_cancelled_relay(self) -> None:
        """The backend hears of it; the client is told that it cancelled, and spends an attempt."""
        for line in (b"*\n", b"!!!\n"):
            dialogue = started(attempts=2)
            for last in (False, True):
                dialogue.receive_data(b"AUTH X-TOY " + base64.b64encode(b"n=alice") + b"\n")
                dialogue.challenge(b"x")
                self.said(dialogue.receive_data(line), b"", Response(None))
                said = b"cancelled\n" + (b"bye too-many-login-attempts\n" if last else b"")
                close = Close("too-many-login-attempts") if last else None
                self.said(dialogue.answer(WRONG), said, close)

    def test_challenge_without_an_exchange(self) -> None:
        """A client of a password command could not answer: cancelled in its name, unseen."""
        dialogue = started()
        dialogue.receive_data(b"PASS alice secret\nnext\n")
        self.said(dialogue.challenge(b"x"), b"", Response(None))
        self.said(dialogue.answer(WRONG), b"no\nwhat?\n")

    def test_long_line(self) -> None:
        """A response may be a token; beyond the bound the session ends."""
        dialogue = started()
        dialogue.receive_data(b"AUTH PLAIN\n")
        token = base64.b64encode(b"\0alice\0" + b"t" * 40000)
        self.assertIsInstance(dialogue.receive_data(token + b"\n")[-1], Login)
        dialogue = started()
        dialogue.receive_data(b"AUTH PLAIN\n")
        events = dialogue.receive_data(b"A" * (SASL_LINE_LIMIT + 1))
        self.said(events, b"bye line-too-long\n", Close("line-too-long"))


class CertificateTests(Case):
    """EXTERNAL: the certificate of the handshake has said who it is."""

    def test_login(self) -> None:
        """Before the greeting or by STARTTLS, with the message in the command or after it."""
        login = Login(Identity("alice"), "EXTERNAL", b"")
        for secure in (True, False):
            dialogue = holder(secure, "alice", "a.s")
            self.said(dialogue.receive_data(b"AUTH EXTERNAL =\n"), b"", login)
            dialogue = holder(secure, "alice", "a.s")
            self.said(dialogue.receive_data(b"AUTH EXTERNAL\n"), b"> \n")
            self.said(dialogue.receive_data(b"\n"), b"", login)

    def test_without_a_certificate(self) -> None:
        """It is no mechanism for a client who has shown none."""
        dialogue = Tiny(Policy(MECHANISMS, starttls=True, external=True), True, 3)
        dialogue.start()
        self.said(dialogue.receive_data(b"AUTH EXTERNAL =\n"), b"what?\n")

    def test_somebody_else(self) -> None:
        """A name that the certificate does not have is a failed attempt."""
        bob = base64.b64encode(b"bob")
        for second in (b"AUTH EXTERNAL " + bob + b"\n", b"AUTH EXTERNAL\n" + bob + b"\n"):
            dialogue = holder(True, "alice")
            self.said(dialogue.receive_data(b"AUTH EXTERNAL " + bob + b"\n"), b"no\n")
            said = written(dialogue.receive_data(second))
            self.assertTrue(said.endswith(b"no\nbye too-many-login-attempts\n"), said)


class VerdictTests(Case):
    """What follows a login."""

    def test_accepted(self) -> None:
        """The streams are joined: what follows is the backend's, and we are silent for ever."""
        dialogue = started()
        dialogue.receive_data(b"PASS alice secret\nwhat\n")
        self.said(dialogue.answer(Accepted()), b"yes\n")
        self.assertEqual(dialogue.receive_data(b"more\n"), [])
        self.assertEqual(dialogue.trailing_data, b"what\nmore\n")
        self.assertEqual(dialogue.timed_out() + dialogue.shut_down(), [])

    def test_rejected(self) -> None:
        """What was pipelined behind the login is consumed only now."""
        dialogue = started()
        events = dialogue.receive_data(b"PASS alice x\nPASS bob y\n")
        self.said(events, b"", password_login(b"alice", b"x"))
        self.said(dialogue.answer(WRONG), b"no\n", password_login(b"bob", b"y"))

    def test_attempts(self) -> None:
        """Name and password at fault spend attempts; trouble of ours or a backend's does not."""
        dialogue = started(attempts=2)
        for verdict, close in ((BUSY, False), (WRONG, False), (BUSY, False), (WRONG, True)):
            dialogue.receive_data(b"PASS alice x\n")
            events = dialogue.answer(verdict)
            self.assertEqual(events[-1] == Close("too-many-login-attempts"), close)
        self.assertEqual(written(events), b"no\nbye too-many-login-attempts\n")

    def test_attempts_survive_starttls(self) -> None:
        """A handshake buys no new attempts and no new budget of nonsense."""
        dialogue = Tiny(Policy(MECHANISMS, True, cleartext_logins=True), False, 2)
        dialogue.receive_data(b"PASS alice x\n")
        dialogue.answer(WRONG)
        for _ in range(BAD_COMMAND_BUDGET - 1):
            dialogue.receive_data(b"?\n")
        dialogue.receive_data(b"TLS\n")
        dialogue.tls_established(TLS)
        self.assertEqual(dialogue.receive_data(b"?\n")[-1], Close("too-many-bad-commands"))
        dialogue = Tiny(Policy(MECHANISMS, True, cleartext_logins=True), False, 1)
        dialogue.receive_data(b"TLS\n")
        dialogue.tls_established(TLS)
        dialogue.receive_data(b"PASS alice x\n")
        self.assertEqual(dialogue.answer(WRONG)[-1], Close("too-many-login-attempts"))

    def test_answers_after_the_end(self) -> None:
        """A verdict or a challenge for a client that was sent away is dropped."""
        for end in (Tiny.timed_out, Tiny.shut_down):
            dialogue = started()
            dialogue.receive_data(b"AUTH X-TOY " + base64.b64encode(b"n=alice") + b"\n")
            self.assertIsInstance(end(dialogue)[-1], Close)
            self.assertEqual(dialogue.challenge(b"x"), [])
            self.assertEqual(dialogue.answer(Accepted()), [])
            self.assertEqual(dialogue.answer(WRONG), [])
            self.assertEqual(dialogue.receive_data(b"AQ==\n"), [])


class ChannelTests(Case):
    """STARTTLS, and who is at the other end."""

    def test_offer_is_asked_anew(self) -> None:
        """Passwords are refused before the handshake and welcome after it."""
        dialogue = started(secure=False)
        self.said(dialogue.receive_data(b"AUTH PLAIN " + ALICE + b"\n"), b"what?\n")
        self.said(dialogue.receive_data(b"TLS\n"), b"begin\n", StartTLS())
        self.said(dialogue.tls_established(TLS), b"")
        self.assertIsInstance(dialogue.receive_data(b"AUTH PLAIN " + ALICE + b"\n")[-1], Login)

    def test_injection(self) -> None:
        """A login in the clear behind STARTTLS is never used (RFC 3207 section 4.2)."""
        events = started(secure=False).receive_data(b"TLS\nAUTH PLAIN " + ALICE + b"\n")
        why = "cleartext-after-starttls"
        self.said(events, b"bye " + why.encode() + b"\n", Close(why))

    def test_words_during_the_handshake(self) -> None:
        """Nothing in words is written into a handshake."""
        for end in (Tiny.timed_out, Tiny.shut_down, lambda d: d.receive_data(b"x")):
            dialogue = started(secure=False)
            dialogue.receive_data(b"TLS\n")
            events = end(dialogue)
            self.assertEqual(written(events), b"")
            self.assertIsInstance(events[-1], Close)

    def test_foreign(self) -> None:
        """Another protocol is disconnected without an answer in ours."""
        self.said(started().receive_data(b"GET / HTTP/1.1\r\n"), b"", Close("http-request"))

    def test_long_line(self) -> None:
        """A line beyond its bound ends the session."""
        self.said(
            started().receive_data(b"x" * 101), b"bye line-too-long\n", Close("line-too-long")
        )

    def test_nonsense(self) -> None:
        """The budget ends with a goodbye."""
        dialogue = started()
        events = dialogue.receive_data(b"?\n" * (BAD_COMMAND_BUDGET + 5))
        expected = b"what?\n" * BAD_COMMAND_BUDGET + b"bye too-many-bad-commands\n"
        self.said(events, expected, Close("too-many-bad-commands"))
