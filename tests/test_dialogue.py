"""The form of every protocol, on the smallest protocol: each line is echoed, TLS starts TLS."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.dialogue import PAUSED_LIMIT, Dialogue, Phase
from mailroute.events import Close, Event, StartTLS, Write
from tests.support.dialogues import TLS


class Echo(Dialogue):
    """TLS, HOLD (a pause), JOIN, QUIT, and anything else comes back."""

    forgotten = 0

    def go_on(self) -> list[Event]:
        """The session has answered."""
        self._phase = Phase.TALKING
        return self._advance()

    def _step(self) -> bool:
        line = self._buffer.take_line(100)
        if line is None:
            return False
        if line == b"TLS":
            self._start_tls(b"begin\n")
        elif line == b"HOLD":
            self._phase = Phase.MILESTONE
        elif line == b"JOIN":
            self._phase = Phase.JOINED
        elif line == b"QUIT":
            self._close("quit")
        else:
            self._write(line + b"\n")
        return True

    def _forget(self) -> None:
        self.forgotten += 1

    def _cleartext_after_starttls(self) -> None:
        self._close("cleartext-after-starttls")


class DialogueTests(SynchronousTestCase):
    """Phases."""

    def setUp(self) -> None:
        self.dialogue = Echo()

    def test_talking(self) -> None:
        """All whole lines are consumed, the rest waits."""
        self.assertEqual(self.dialogue.receive_data(b"a\nb\nc"), [Write(b"a\n"), Write(b"b\n")])
        self.assertEqual(self.dialogue.receive_data(b"\n"), [Write(b"c\n")])

    def test_paused(self) -> None:
        """Behind a pause nothing is consumed, and nothing is lost."""
        self.assertEqual(self.dialogue.receive_data(b"a\nHOLD\nb\n"), [Write(b"a\n")])
        self.assertEqual(self.dialogue.receive_data(b"c\n"), [])
        self.assertEqual(self.dialogue.trailing_data, b"b\nc\n")
        self.assertEqual(self.dialogue.go_on(), [Write(b"b\n"), Write(b"c\n")])

    def test_joined(self) -> None:
        """What follows belongs to the joined stream and is never consumed."""
        self.dialogue.receive_data(b"JOIN\na\n")
        self.assertEqual(self.dialogue.receive_data(b"QUIT\n"), [])
        self.assertEqual(self.dialogue.trailing_data, b"a\nQUIT\n")

    def test_closed(self) -> None:
        """A closed dialogue consumes nothing, keeps nothing and is closed once."""
        self.assertEqual(self.dialogue.receive_data(b"QUIT\na\n"), [Close("quit")])
        self.assertEqual(self.dialogue.receive_data(b"QUIT\nb\n"), [])
        self.assertEqual(self.dialogue.trailing_data, b"")

    def test_full(self) -> None:
        """Whoever does not wait is not read beyond the limit; a talking side is never full."""
        self.assertFalse(self.dialogue.full)
        self.dialogue.receive_data(b"HOLD\n" + b"x" * (PAUSED_LIMIT - 1))
        self.assertFalse(self.dialogue.full)
        self.dialogue.receive_data(b"x")
        self.assertTrue(self.dialogue.full)
        self.dialogue._phase = Phase.TALKING
        self.assertFalse(self.dialogue.full)

    def test_starttls(self) -> None:
        """Our consent is the last of the clear text; what was learnt before is forgotten."""
        events = self.dialogue.receive_data(b"a\nTLS\n")
        self.assertEqual(events, [Write(b"a\n"), Write(b"begin\n"), StartTLS()])
        self.assertEqual(self.dialogue.forgotten, 0)
        self.assertEqual(self.dialogue.tls_established(TLS), [])
        self.assertEqual(self.dialogue.forgotten, 1)
        self.assertEqual(self.dialogue.receive_data(b"b\n"), [Write(b"b\n")])

    def test_injected_behind_starttls(self) -> None:
        """Bytes in the clear behind the command end the session without our consent."""
        for injected in (b"a\n", b"\n", b"a"):
            dialogue = Echo()
            events = dialogue.receive_data(b"TLS\n" + injected)
            self.assertEqual(events, [Close("cleartext-after-starttls")], injected)

    def test_injected_before_the_handshake(self) -> None:
        """Bytes in the clear that come a moment later do the same."""
        self.dialogue.receive_data(b"TLS\n")
        self.assertEqual(self.dialogue.receive_data(b"a"), [Close("cleartext-after-starttls")])
        self.assertEqual(self.dialogue.trailing_data, b"")

    def test_late_handshake(self) -> None:
        """A handshake that ends after the dialogue, or that nobody asked for, changes nothing."""
        self.dialogue.receive_data(b"TLS\n")
        self.dialogue.receive_data(b"x")
        self.assertEqual(self.dialogue.tls_established(TLS), [])
        self.assertEqual(self.dialogue.receive_data(b"a\n"), [])
        self.assertEqual(self.dialogue.forgotten, 0)
        other = Echo()
        other.receive_data(b"HOLD\na\n")
        self.assertEqual(other.tls_established(TLS), [])
        self.assertEqual(other.trailing_data, b"a\n")
