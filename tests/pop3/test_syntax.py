"""The grammar of commands and replies."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.pop3 import syntax
from mailroute.pop3.syntax import BadSyntax, Reply, Request


class RequestTests(SynchronousTestCase):
    """What a client says."""

    def test_one_space_separates(self) -> None:
        """Behind the one space every octet is the argument's (RFC 1939, PASS)."""
        for line, request in (
            (b"pass secret", Request(b"PASS", b"secret")),
            (b"PASS  two words ", Request(b"PASS", b" two words ")),
            (b"QUIT", Request(b"QUIT", b"")),
            (b"", Request(b"", b"")),
            (b" NOOP", Request(b"", b"NOOP")),
            (b"\xff\0 \xff", Request(b"\xff\0", b"\xff")),
        ):
            self.assertEqual(syntax.request_of(line), request)

    def test_arguments(self) -> None:
        """A command without arguments allows a stray space, and no word."""
        Request(b"QUIT", b" ").end()
        with self.assertRaises(BadSyntax):
            Request(b"QUIT", b"now").end()
        self.assertEqual(Request(b"AUTH", b" PLAIN  = ").words(2), [b"PLAIN", b"="])
        with self.assertRaises(BadSyntax):
            Request(b"AUTH", b"PLAIN a b").words(2)


class ReplyTests(SynchronousTestCase):
    """What a backend says."""

    def test_status_indicator(self) -> None:
        """RFC 1939 section 3: +OK or -ERR, followed by a space or by nothing."""
        for line, reply in (
            (b"+OK", Reply(True, b"")),
            (b"+OK  hi ", Reply(True, b" hi ")),
            (b"-ERR [AUTH] no", Reply(False, b"[AUTH] no")),
            (b"+ok done", Reply(True, b"done")),
            (b"+OKAY", None),
            (b"-ERROR", None),
            (b"+ OK", None),
            (b" +OK", None),
            (b"", None),
        ):
            self.assertEqual(syntax.reply_of(line), reply, line)

    def test_response_codes(self) -> None:
        """RFC 2449 section 8: in any case of letters; a deeper level is one of its parent's."""
        for words, codes, expected in (
            (b"[IN-USE] locked", (b"IN-USE",), True),
            (b"[in-use] locked", (b"IN-USE",), True),
            (b"[SYS/TEMP/DISK] full", (b"SYS/TEMP",), True),
            (b"[SYS/TEMPORAL] x", (b"SYS/TEMP",), False),
            (b"[SYS] x", (b"SYS/TEMP", b"SYS/PERM"), False),
            (b"[SYS/PERM] x", (b"SYS/TEMP", b"SYS/PERM"), True),
            (b"not now [IN-USE]", (b"IN-USE",), False),
            (b"[IN-USE", (b"IN-USE",), False),
            (b"", (b"IN-USE",), False),
        ):
            self.assertEqual(Reply(False, words).has_code(*codes), expected, words)

    def test_challenge(self) -> None:
        """RFC 5034 section 4: "+" and a space; the space of an empty one may be missing."""
        for line, text in (
            (b"+ ", b""),
            (b"+", b""),
            (b"+ YQ==", b"YQ=="),
            (b"+YQ==", None),
            (b"+OK", None),
            (b"YQ==", None),
        ):
            self.assertEqual(syntax.challenge_in(line), text, line)

    def test_unstuffing(self) -> None:
        """RFC 1939 section 3: one leading dot was added, one is taken away."""
        self.assertEqual(syntax.unstuffed(b"..x"), b".x")
        self.assertEqual(syntax.unstuffed(b"x."), b"x.")


class FitTests(SynchronousTestCase):
    """What may be written in USER and PASS."""

    def test_user(self) -> None:
        """A name is one word: a space or a control would make it two, or two commands."""
        for name in (b"a b", b"a\r\nDELE 1", b"a\n", b"a\0", b"a\tb", b"a\x7f", b" a"):
            self.assertFalse(syntax.fits_user(name), name)
        for name in (b"a@b", b'"a"\\', "ß".encode()):
            self.assertTrue(syntax.fits_user(name), name)

    def test_line(self) -> None:
        """RFC 2449 section 4: 255 octets with CRLF; no octet that ends a line."""
        self.assertTrue(syntax.fits_line(b"PASS " + b"x" * 248))
        self.assertFalse(syntax.fits_line(b"PASS " + b"x" * 249))
        for octet in (b"\r", b"\n", b"\0"):
            self.assertFalse(syntax.fits_line(b"PASS a" + octet + b"b"))
        self.assertTrue(syntax.fits_line(b"PASS  \t\xff\x7f "))
