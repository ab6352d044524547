"""The server against premature chunks, long lines and clients that are none."""

from __future__ import annotations

import base64

from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import Failure, FailureKind
from mailroute.events import Close, Login, Rejected
from mailroute.smtp.server import CHUNK_LIMIT
from tests.smtp.test_server import GREETED, IR, make, started
from tests.support.dialogues import assert_transcript, describe, written


class PrematureChunkTests(SynchronousTestCase):
    """BDAT before the login: its octets are counted and dropped (RFC 3030 section 4.2)."""

    def test_octets_are_no_commands(self) -> None:
        """What looks like a command inside a chunk is none, however it is cut."""
        body = b"QUIT\r\n.\r\nAUTH PLAIN " + IR + b"\r\n\x16\x03\x01GET / HTTP/1.1"
        sent = b"BDAT %d\r\n%bNOOP\r\nbdat 3 LAST\r\n..\nRSET\r\n" % (len(body), body)
        refused, fine = b"530 5.7.0 Authentication required\r\n", b"250 2.0.0 OK\r\n"
        for size in (1, 2, 3, 5, 7, 11, 64, len(sent)):
            dialogue = started()
            said = b""
            for start in range(0, len(sent), size):
                said += written(dialogue.receive_data(sent[start : start + size]))
            self.assertEqual(said, refused + fine + refused + fine, size)

    def test_is_answered_at_its_end(self) -> None:
        """The reply comes when the last octet has, and none of them is kept."""
        dialogue = started()
        self.assertEqual(dialogue.receive_data(b"BDAT 300000\r\n"), [])
        for _ in range(299):
            self.assertEqual(dialogue.receive_data(b"x" * 1000), [])
            self.assertEqual(dialogue.trailing_data, b"")
        said = written(dialogue.receive_data(b"x" * 1000))
        self.assertEqual(said, b"530 5.7.0 Authentication required\r\n")

    def test_bounds(self) -> None:
        """A size that is missing or too large ends the connection: nothing behind is parsed."""
        for argument in (b"", b"x", b"-3", b"%d" % (CHUNK_LIMIT + 1), b"9" * 30, b"3 4"):
            dialogue = started()
            events = dialogue.receive_data(b"BDAT " + argument + b"\r\nNOOP\r\n")
            self.assertEqual(describe(events[-1]), "Close bad-chunk-size", argument)
            self.assertRegex(written(events), rb"\A421 4\.7\.0 mail\.example [^\r\n]+\r\n\Z")
        dialogue = started()
        self.assertEqual(dialogue.receive_data(b"BDAT %d LAST\r\n" % CHUNK_LIMIT), [])

    def test_behind_a_refused_login(self) -> None:
        """A chunk that was pipelined behind AUTH is dropped too when the login fails."""
        dialogue = started()
        dialogue.receive_data(b"AUTH PLAIN " + IR + b"\r\nBDAT 6\r\nQUIT\r\nNOOP\r\n")
        failure = Failure(FailureKind.CREDENTIALS_REJECTED, "no")
        said = written(dialogue.answer(Rejected(failure)))
        codes = [line[:3] for line in said.split(b"\r\n")[:-1]]
        self.assertEqual(codes, [b"535", b"530", b"250"])


class LimitTests(SynchronousTestCase):
    """Bounds, and clients that are none."""

    def test_long_tokens_and_long_lines(self) -> None:
        """RFC 4954 4.5: a line of AUTH may have 12288 octets; others are short commands."""
        message = b"user=alice\x01auth=Bearer " + b"t" * 12288 + b"\x01\x01"
        for sent in (
            b"auth XOAUTH2 " + base64.b64encode(message) + b"\r\n",
            b"AUTH xoauth2\r\n" + base64.b64encode(message) + b"\r\n",
        ):
            for size in (len(sent), 1000):
                dialogue = started()
                for start in range(0, len(sent), size):
                    events = dialogue.receive_data(sent[start : start + size])
                assert isinstance(events[-1], Login)
                self.assertEqual(events[-1].initial_response, message)
        for line in (b"NOOP " + b"x" * 9000, b"AUTH PLAIN " + b"x" * 70000):
            events = started().receive_data(line)
            self.assertEqual(describe(events[-1]), "Close line-too-long")
            self.assertTrue(written(events).startswith(b"421 4.7.0 mail.example "))

    def test_foreign_protocols(self) -> None:
        """A browser or a TLS client on the plain port is disconnected at once."""
        for start, why in (
            (b"POST / HTTP/1.1\r\nHost: x\r\n", "http-request"),
            (b"\x16\x03\x01\x02\x00\x01", "tls-hello-on-plain-port"),
        ):
            events = started(secure=False, ehlo=False).receive_data(start)
            self.assertEqual([describe(event) for event in events], [f"Close {why}"])

    def test_bad_command_budget(self) -> None:
        """Nonsense and refused commands are answered ten times, then comes one 421."""
        for command in (b"FOO\r\n", b"MAIL FROM:<a@x>\r\n", b"BDAT 2\r\n\r\n", b"AUTH X\r\n"):
            events = started().receive_data(command * 20)
            lines = written(events).split(b"\r\n")[:-1]
            self.assertEqual(len(lines), 11, command)
            self.assertEqual(lines[-1], b"421 4.7.0 mail.example Too many bad commands")
            assert isinstance(events[-1], Close)

    def test_timeout_and_shutdown_are_polite(self) -> None:
        """A goodbye in words, since the streams are not joined yet (RFC 5321 3.8)."""
        for line, why, words in (
            ("> timeout", "timeout", "4.4.2 mail.example Disconnected for inactivity"),
            ("> stop", "shutting-down", "4.3.2 mail.example Server is shutting down"),
        ):
            assert_transcript(make, f"{GREETED}{line}\nS: 421 {words}\n= Close {why}\n")
            dialogue = started()
            dialogue.receive_data(b"BDAT 10\r\nabc")
            ending = dialogue.timed_out() if why == "timeout" else dialogue.shut_down()
            self.assertEqual(describe(ending[-1]), f"Close {why}")
