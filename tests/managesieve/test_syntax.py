"""The grammar of RFC 5804, as far as it is needed before a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.managesieve import syntax
from mailroute.managesieve.syntax import Reply
from mailroute.wire.framing import CommandFraming, ReceiveBuffer
from mailroute.wire.strings import BadSyntax, Command, LiteralHead


def framed(octets: bytes) -> Command:
    """One whole line with its literals, as the framing gathers it."""
    buffer = ReceiveBuffer()
    buffer.feed(octets + b"\r\n")
    framing = CommandFraming(buffer)
    while isinstance(unit := framing.next(100_000), LiteralHead):
        framing.accept(unit)
    assert isinstance(unit, Command), octets
    assert len(buffer) == 0, octets
    return unit


class CommandTests(SynchronousTestCase):
    """What a client says."""

    def test_verbs(self) -> None:
        """In any case of letters; what follows is left for the arguments."""
        for text, verb in (
            (b"NOOP", "NOOP"),
            (b'noop "x"', "NOOP"),
            (b"LogOut ", "LOGOUT"),
            (b"", ""),
            (b" NOOP", ""),
            (b"\xffNOOP", ""),
            (b'"NOOP"', ""),
        ):
            command = framed(text)
            self.assertEqual(syntax.verb_of(command), verb, text)
        command = framed(b'AUTHENTICATE "PLAIN"')
        syntax.verb_of(command)
        command.space()
        self.assertEqual(command.string(), b"PLAIN")

    def test_authenticate(self) -> None:
        """Seen before the command is complete, and only where it is the whole verb."""
        for beginning in (b"AUTHENTICATE", b"authenticate ", b'Authenticate "PLAIN" {9+}'):
            self.assertTrue(syntax.is_authenticate(beginning), beginning)
        for beginning in (b"", b"AUTHENTICAT", b"AUTHENTICATES", b" AUTHENTICATE", b"NOOP"):
            self.assertFalse(syntax.is_authenticate(beginning), beginning)

    def test_only_string(self) -> None:
        """A challenge or response is one string, quoted or a literal, and nothing else."""
        for text, value in (
            (b'""', b""),
            (b'"YQ=="', b"YQ=="),
            (b'"a\\"b\\\\"', b'a"b\\'),
            (b"{4+}\r\nYQ==", b"YQ=="),
            (b"{4}\r\nYQ==", b"YQ=="),
            (b"{0+}\r\n", b""),
        ):
            self.assertEqual(syntax.only_string(framed(text)), value, text)
        for text in (b"", b"YQ==", b'"a" ', b'"a" "b"', b'"a', b'"a\\x"', b"{1+}\r\na "):
            with self.assertRaises(BadSyntax, msg=text):
                syntax.only_string(framed(text))


class ReplyTests(SynchronousTestCase):
    """What a backend says."""

    def test_capabilities(self) -> None:
        """A name and perhaps a value; the name's case does not count (section 1.7)."""
        for text, name, value in (
            (b'"STARTTLS"', b"STARTTLS", b""),
            (b'"sasl" "PLAIN LOGIN"', b"SASL", b"PLAIN LOGIN"),
            (b'"SASL" ""', b"SASL", b""),
            (b"{4}\r\nSASL {5}\r\nPLAIN", b"SASL", b"PLAIN"),
        ):
            line = framed(text)
            self.assertTrue(syntax.is_string(line))
            self.assertEqual(syntax.capability(line), (name, value))
        for text in (b'"SASL" PLAIN', b'"SASL"  "PLAIN"', b'"SASL" "a" "b"', b'"SASL'):
            with self.assertRaises(BadSyntax, msg=text):
                syntax.capability(framed(text))

    def test_replies(self) -> None:
        """A status, perhaps a response code in parentheses, perhaps text (section 4)."""
        for text, expected in (
            (b"OK", Reply("OK")),
            (b'ok "x"', Reply("OK", text=b"x")),
            (b'NO (trylater) "x y"', Reply("NO", b"TRYLATER", text=b"x y")),
            (b"BYE (TRYLATER)", Reply("BYE", b"TRYLATER")),
            (b'OK (SASL "cnNw") "x"', Reply("OK", b"SASL", b"cnNw", b"x")),
            (b"OK (SASL {4}\r\ncnNw) {3}\r\na\r\n", Reply("OK", b"SASL", b"cnNw", b"a\r\n")),
            (b'NO (REFERRAL "sieve://x")', Reply("NO", b"REFERRAL", b"sieve://x")),
            (b'NO (QUOTA/MAXSIZE) ""', Reply("NO", b"QUOTA/MAXSIZE", text=b"")),
            (b'NO (X-ODD 5 (1 "a)" (b)) "c") "x"', Reply("NO", b"X-ODD", b"a)", b"x")),
            (b'NO "(TRYLATER)"', Reply("NO", text=b"(TRYLATER)")),
        ):
            line = framed(text)
            self.assertFalse(syntax.is_string(line))
            self.assertEqual(syntax.reply(line), expected)

    def test_no_replies(self) -> None:
        """Everything else is an error, not a guess."""
        for text in (
            b"", b"OKAY", b"BAD", b"* OK", b"+OK", b"OK ", b"OK x", b"OK (", b"OK ()", b"OK (X",
            b'OK (X "a', b"OK (X)x", b'OK(X) "a"', b'OK  "a"', b'OK "a" "b"', b'OK (X (1) "a"',
            b"220 mx ESMTP", b'OK (X) (Y) "a"', b'OK (")") "a"',
        ):  # fmt: skip
            with self.assertRaises(BadSyntax, msg=text):
                syntax.reply(framed(text))


class StringTests(SynchronousTestCase):
    """How we write strings."""

    def test_quoted(self) -> None:
        """UTF-8 of up to 1024 octets goes in quotes, its specials escaped."""
        for octets in (b"", b"abc", "ä €".encode(), b'a"b\\c', b"{3}", b"\t\x01", b"x" * 1024):
            for write in (syntax.string, syntax.client_string):
                written = write(octets)
                self.assertEqual(written[:1] + written[-1:], b'""')
                self.assertEqual(syntax.only_string(framed(written)), octets)

    def test_literals(self) -> None:
        """Everything else as a literal; only a client's is marked with "+" (section 4)."""
        for octets in (b"a\r\nb", b"a\nb", b"a\rb", b"\0", b"\xff", b"x" * 1025):
            self.assertEqual(syntax.string(octets), b"{%d}\r\n%s" % (len(octets), octets))
            self.assertEqual(syntax.client_string(octets), b"{%d+}\r\n%s" % (len(octets), octets))
            self.assertEqual(syntax.only_string(framed(syntax.string(octets))), octets)
