"""Atoms, quoted strings and literals, read and written."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.wire.strings import (
    BadSyntax,
    Command,
    LiteralHead,
    literal_head,
    quotable,
    quoted,
)

bounded = settings(max_examples=80, deadline=None, derandomize=True)


class LiteralHeadTests(SynchronousTestCase):
    """Announcements at the end of a line (RFC 9051 section 4.3, RFC 7888)."""

    def test_announcements(self) -> None:
        """The number, and whether the sender waits."""
        for line, size, synchronizing in (
            (b"a LOGIN {3}", 3, True),
            (b"a LOGIN {3+}", 3, False),
            (b"{0}", 0, True),
            (b"a {9} {12+}", 12, False),
            (b"{{1}", 1, True),
            (b"{007}", 7, True),
        ):
            self.assertEqual(literal_head(line), LiteralHead(size, synchronizing), line)

    def test_text(self) -> None:
        """What is no announcement, or not at the end, is text."""
        for line in (b"", b"{}", b"{+}", b"{-1}", b"{3", b"3}", b"{3}x", b"{3} ", b"{3++}", b"{a}",
                     b"{3}}", b"{\xb2}", b'"{3}"'):  # fmt: skip
            self.assertIsNone(literal_head(line), line)

    def test_number_of_any_length(self) -> None:
        """A number beyond counting announces too: its octets must never be read as commands."""
        for digits in (b"9" * 19, b"1" * 5000):
            head = literal_head(b"a LOGIN {" + digits + b"+}")
            assert head is not None
            self.assertGreaterEqual(head.size, 10**18)
        self.assertEqual(literal_head(b"{" + b"0" * 5000 + b"3}"), LiteralHead(3, True))


class ReadingTests(SynchronousTestCase):
    """The walk over a whole command."""

    def test_atoms(self) -> None:
        """ASTRING-CHARs: a "]" is one, most specials and 8-bit octets are not.

        The list-wildcards are none either, but Dovecot takes them in LOGIN, where Python's imaplib
        writes the name without quotes.
        """
        command = Command(b"p]a$s#w~ord!% rest", [])
        self.assertEqual(command.astring(), b"p]a$s#w~ord!%")
        self.assertEqual(Command(b"*joe%admin", []).astring(), b"*joe%admin")
        for special in b'(){"\\ \x00\x1f\x7f\x80\xff':
            command = Command(b"ab" + bytes([special]), [])
            self.assertEqual(command.atom(), b"ab", special)
            self.assertFalse(command.at_end())
            self.assertRaises(BadSyntax, Command(bytes([special]), []).atom)

    def test_quoted(self) -> None:
        """Two escapes and no others; no line end, no NUL; 8-bit octets are welcome (RFC 9051)."""
        self.assertEqual(Command(rb'"a\"b\\c {3} d"', []).string(), rb'a"b\c {3} d')
        self.assertEqual(Command(b'""', []).string(), b"")
        self.assertEqual(Command('"ß"'.encode(), []).string(), "ß".encode())
        for bad in (b'"abc', b'"a\\n"', b'"a\r"', b'"a\n"', b'"a\0"', b'"abc\\"'):
            self.assertRaises(BadSyntax, Command(bad, []).string)

    def test_literal(self) -> None:
        """Each announcement stands for the next literal, whose size it must name."""
        command = Command(b"{3} {0+}", [b'"\r\n', b""])
        self.assertEqual(command.astring(), b'"\r\n')
        command.space()
        self.assertEqual(command.astring(), b"")
        command.end()

    def test_literal_out_of_place(self) -> None:
        """An announcement in the middle of a line announced nothing."""
        for text, literals in (
            (b"{3}", []),
            (b"{3}", [b"ab"]),
            (b"{3", [b"abc"]),
            (b"{abc{3}", [b"abc"]),
        ):
            self.assertRaises(BadSyntax, Command(text, literals).string)

    def test_space_and_end(self) -> None:
        """One space stands between arguments, and nothing behind the last."""
        self.assertRaises(BadSyntax, Command(b"", []).space)
        self.assertRaises(BadSyntax, Command(b"x", []).space)
        self.assertRaises(BadSyntax, Command(b" ", []).end)
        command = Command(b" ", [])
        command.space()
        command.end()

    def test_secret_is_not_shown(self) -> None:
        """A command may hold a password: its repr shows no octet of it."""
        command = Command(b"a LOGIN alice hunter2", [b"hunter2"], b"a LOGIN alice hunter2")
        self.assertNotIn("hunter2", repr(command))
        self.assertNotIn("alice", repr(command))


class WritingTests(SynchronousTestCase):
    """What may be written between quotes."""

    def test_unquotable(self) -> None:
        """A line end or NUL between quotes would be an injection: it is never written."""
        for octet in b"\x00\r\n\x80\xff":
            self.assertRaises(ValueError, quoted, b"ab" + bytes([octet]))

    def test_quotable_is_the_cautious_half(self) -> None:
        """Controls, quotes, backslashes and 8-bit octets go as literals, for any server's sake."""
        for octet in range(256):
            expected = 0x20 <= octet < 0x7F and octet not in b'"\\'
            self.assertEqual(quotable(b"a" + bytes([octet]) + b"b"), expected, octet)
        self.assertTrue(quotable(b""))

    def test_round_trip(self) -> None:
        """Any value survives as a literal, and between quotes where that is possible."""

        @bounded
        @given(st.binary(max_size=60), st.booleans())
        def law(value: bytes, waits: bool) -> None:
            plus = b"" if waits else b"+"
            command = Command(b"{%d%s}" % (len(value), plus), [value])
            self.assertEqual(command.astring(), value)
            command.end()
            try:
                written = quoted(value)
            except ValueError:
                self.assertFalse(quotable(value))
                return
            command = Command(written, [])
            self.assertEqual(command.astring(), value)
            command.end()

        law()

    def test_round_trip_of_text(self) -> None:
        """Every printable ASCII value can be quoted."""

        @bounded
        @given(st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40))
        def law(text: str) -> None:
            self.assertEqual(Command(quoted(text.encode()), []).string(), text.encode())

        law()
