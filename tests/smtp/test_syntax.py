"""SMTP's grammar as far as a login needs it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.smtp import syntax
from mailroute.wire.strings import BadSyntax


class CommandTests(SynchronousTestCase):
    """Lines of a client."""

    def test_split(self) -> None:
        """Verbs in any case; white space at the end is tolerated (RFC 5321 4.1.1)."""
        for line, verb, argument in (
            (b"noop", "NOOP", b""),
            (b"NoOp  \t", "NOOP", b""),
            (b"EHLO  x.example ", "EHLO", b"x.example"),
            (b"MAIL FROM:<a b@x>", "MAIL", b"FROM:<a b@x>"),
            (b"", "", b""),
            (b" NOOP", "", b"NOOP"),
            (b"NO\0OP", "NO\0OP", b""),
        ):
            self.assertEqual(syntax.command(line), syntax.Command(verb, argument), line)

    def test_argument_is_not_shown(self) -> None:
        """An argument may hold a password: it is in no repr."""
        self.assertNotIn("czNjcjN0", repr(syntax.command(b"AUTH PLAIN czNjcjN0")))

    def test_number_of_arguments(self) -> None:
        """A superfluous argument and a missing one are errors."""
        self.assertRaises(BadSyntax, syntax.command(b"RSET x").no_argument)
        self.assertRaises(BadSyntax, syntax.command(b"EHLO ").some_argument)
        syntax.command(b"RSET").no_argument()
        syntax.command(b"EHLO x").some_argument()

    def test_auth(self) -> None:
        """RFC 4954 section 4: a mechanism, and perhaps one word more."""
        self.assertEqual(syntax.auth_arguments(b"PLAIN"), ("PLAIN", None))
        self.assertEqual(syntax.auth_arguments(b"PLAIN ="), ("PLAIN", b"="))
        self.assertEqual(syntax.auth_arguments(b"scram-sha-1 eA=="), ("scram-sha-1", b"eA=="))
        for bad in (b"", b"PLAIN a b", b"PLAIN  a", b"PL@IN", b"X" * 21, b"\xdf"):
            self.assertRaises(BadSyntax, syntax.auth_arguments, bad)

    def test_chunk(self) -> None:
        """RFC 3030 section 2: a size, and perhaps LAST; anything else says no size."""
        for argument, octets in (
            (b"0", 0),
            (b"86 LAST", 86),
            (b"86 last", 86),
            (b"", None),
            (b"-1", None),
            (b"+5", None),
            (b"5 FIRST", None),
            (b"5LAST", None),
            (b"9" * 19, None),
            ("\u0665".encode(), None),
        ):
            self.assertEqual(syntax.chunk_octets(argument), octets, argument)


class ReplyTests(SynchronousTestCase):
    """Replies of a backend."""

    def test_line(self) -> None:
        """A code, a hyphen or a space, a text; the text may be missing (RFC 5321 4.2)."""
        line = syntax.ReplyLine
        for octets, parsed in (
            (b"250 OK", line(250, True, b"OK")),
            (b"250-SIZE 1", line(250, False, b"SIZE 1")),
            (b"250", line(250, True, b"")),
            (b"250 ", line(250, True, b"")),
            (b"250-", line(250, False, b"")),
            (b"334  x", line(334, True, b" x")),
            (b"250OK", None),
            (b"150 x", None),
            (b"650 x", None),
            (b"25 x", None),
            (b" 250 x", None),
            (b"* OK", None),
            (b"", None),
        ):
            self.assertEqual(syntax.reply_line(octets), parsed, octets)

    def test_whole(self) -> None:
        """Lines share a code and only the last one ends the reply; written again they are equal."""
        whole = syntax.whole_reply((b"535-5.7.8 a", b"535 5.7.8 b"))
        assert whole is not None
        self.assertEqual(whole.lines, (b"535-5.7.8 a", b"535 5.7.8 b"))
        for bad in (
            (),
            (b"535-a",),
            (b"535 a", b"535 b"),
            (b"535-a", b"535-b"),
            (b"535-a", b"536 b"),
            (b"535-a", b"b"),
            (b"Logged in",),
        ):
            self.assertIsNone(syntax.whole_reply(bad), bad)

    def test_extensions(self) -> None:
        """Keywords in any case, both forms of AUTH; the first line is the server's name."""
        found = syntax.extensions(
            syntax.Reply(
                250,
                (b"AUTH EXTERNAL", b"size 5", b"auth plain Login", b"AUTH=XOAUTH2", b"STARTtls"),
            )
        )
        self.assertTrue(found.starttls)
        self.assertEqual(found.mechanisms, {"PLAIN", "LOGIN", "XOAUTH2"})
        none = syntax.extensions(syntax.Reply(250, (b"STARTTLS", b"", b"X-AUTH PLAIN")))
        self.assertEqual(none, syntax.Extensions(False, frozenset()))
