"""IMAP's grammar before a login."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.imap import syntax
from mailroute.wire.strings import BadSyntax, Command


class StartTests(SynchronousTestCase):
    """Tag and verb (RFC 9051 section 9)."""

    def test_tags(self) -> None:
        """A tag keeps its case and may hold a "]"; "+" and the specials are for others."""
        for tag in (b"a", b"A1", b"a]b", b"~!@#$^&-_=[]|;:',.<>/?", b"x" * 256):
            self.assertEqual(syntax.start_of(tag + b" NOOP"), syntax.Start(tag, "NOOP"))
        for tag in (b"", b"+", b"a+", b"*", b"a(", b"a{", b'a"', b"a\\", b"a%", b"a\x7f", b"a\r",
                    b"a\xff", b"\0", b"x" * 257):  # fmt: skip
            self.assertEqual(syntax.start_of(tag + b" NOOP").tag, b"", tag)

    def test_verbs(self) -> None:
        """In any case of letters; ends at the first octet that is no letter, digit or dot."""
        for text, verb in (
            (b"a nOOp", "NOOP"),
            (b"a LOGIN{3}", "LOGIN"),
            (b"a NOOP\0", "NOOP"),
            (b"a X.Y-Z", "X.Y"),
            (b"a  NOOP", ""),
            (b"a", ""),
            (b"", ""),
            ("a LOG\u0131N".encode(), "LOG"),
            (b"a \xff\xfe", ""),
        ):
            self.assertEqual(syntax.start_of(text).verb, verb, text)

    def test_arguments(self) -> None:
        """They begin behind the verb."""
        command = syntax.arguments_of(Command(b"a LOGIN alice x", []))
        command.space()
        self.assertEqual(command.astring(), b"alice")


class IdTests(SynchronousTestCase):
    """The arguments of ID (RFC 2971 section 3.3)."""

    def check(self, text: bytes, *literals: bytes) -> tuple[tuple[bytes, bytes | None], ...]:
        return syntax.id_fields(Command(text, list(literals)))

    def test_good(self) -> None:
        """NIL, nothing in parentheses, pairs of which the value may be NIL."""
        for text in (b" NIL", b" nil", b" ()"):
            self.assertEqual(self.check(text), ())
        self.assertEqual(self.check(b' ("a" "b")'), ((b"a", b"b"),))
        pairs = ((b"a", None), (b"c", None), (b"NIL", b"NIL"))
        self.assertEqual(self.check(b' ("a" NIL "c" nil "NIL" "NIL")'), pairs)
        self.assertEqual(self.check(b" ({1} {2+})", b"a", b"bc"), ((b"a", b"bc"),))

    def test_bounds(self) -> None:
        """30 pairs of 30 and 1024 octets (RFC 2971 section 3.3)."""
        pair = b'"%s" "%s"' % (b"n" * 30, b"v" * 1024)
        self.assertEqual(len(self.check(b" (" + b" ".join([pair] * 30) + b")")), 30)
        for text in (
            b" ".join([pair] * 31),
            b'"%s" "v"' % (b"n" * 31),
            b'"n" "%s"' % (b"v" * 1025),
        ):
            self.assertRaises(BadSyntax, self.check, b" (" + text + b")")

    def test_bad(self) -> None:
        """Everything else."""
        for text in (b"", b" ", b" x", b" (", b' ("a")', b' ("a" "b"', b' ("a" "b") x',
                     b" (NIL NIL)",
                     b' ("a"  "b")', b' ("a""b")', b" NILx", b" {1}", b' "a"'):  # fmt: skip
            self.assertRaises(BadSyntax, self.check, text)


class TaggedTests(SynchronousTestCase):
    """A backend's final replies."""

    def test_ours(self) -> None:
        """Status in any case, code and words kept."""
        found = syntax.tagged(b"mr1 no [LIMIT x] Too many", b"mr1")
        assert found is not None
        self.assertEqual((found.status, found.words), ("NO", b"[LIMIT x] Too many"))
        self.assertEqual(found.code, b"LIMIT")
        found = syntax.tagged(b"mr1 OK", b"mr1")
        assert found is not None
        self.assertEqual((found.status, found.words, found.code), ("OK", b"", b""))

    def test_code_stands_first(self) -> None:
        """A bracket further back is text, which a user may have put there."""
        for words in (b"no such user [UNAVAILABLE]", b" [LIMIT]", b"[]", b"[LIMIT"):
            self.assertEqual(syntax.Tagged("NO", words).code, b"", words)

    def test_others(self) -> None:
        """Other tags and other lines are not ours; a tag's case counts."""
        for line in (b"mr2 OK", b"MR1 OK", b"mr1", b"mr1 OKAY", b"mr1  OK", b"* OK", b"mr1 BYE",
                     b"",                     b" mr1 OK", b"mr11 OK"):  # fmt: skip
            self.assertIsNone(syntax.tagged(line, b"mr1"), line)


class CapabilityTests(SynchronousTestCase):
    """Lists of capabilities."""

    def test_places(self) -> None:
        """An untagged line, or the code of a status response (RFC 9051 section 7.1)."""
        expected = frozenset({b"IMAP4REV1", b"AUTH=PLAIN"})
        for line in (
            b"* CAPABILITY IMAP4rev1 auth=plain",
            b"* capability  IMAP4rev1  AUTH=PLAIN ",
            b"* OK [CAPABILITY IMAP4rev1 AUTH=PLAIN] ready",
            b"* ok [capability IMAP4rev1 AUTH=PLAIN]",
        ):
            self.assertEqual(syntax.capabilities_in(line), expected, line)

    def test_elsewhere(self) -> None:
        """Text that looks like a list is none: nobody's name can switch LOGIN off."""
        for line in (
            b"* OK hello [CAPABILITY LOGINDISABLED]",
            b"* OK [ALERT] [CAPABILITY LOGINDISABLED]",
            b"* NO",
            b"* LIST (x) [CAPABILITY Y]",
            b"* CAPABILITY",
            b"[CAPABILITY X]",
            b"",
        ):
            self.assertIsNone(syntax.capabilities_in(line), line)

    def test_brackets_cost_little(self) -> None:
        """A reply of brackets is looked at once (it took minutes, when it was searched)."""
        for line in (b"* OK " + b"[" * 60000, b"* OK [" + b"x " * 30000, b"[" * 60000):
            self.assertIsNone(syntax.capabilities_in(line))

    def test_unauthenticate(self) -> None:
        """It is left out wherever it stands, and nothing that only begins so."""
        for text, left in (
            (b"* CAPABILITY A UNAUTHENTICATE B", b"* CAPABILITY A B"),
            (b"[CAPABILITY A Unauthenticate] Hi", b"[CAPABILITY A] Hi"),
            (b"* CAPABILITY UNAUTHENTICATED XUNAUTHENTICATE", None),
        ):
            self.assertEqual(syntax.without_unauthenticate(text), left or text)


class StatusTests(SynchronousTestCase):
    """Lines that end in text for humans."""

    def test_status(self) -> None:
        """In those a ``{5}`` at the end announces nothing."""
        for line in (
            b"* OK x {5}",
            b"* bye",
            b"mr1 NO {5}",
            b"* PREAUTH x",
            b"+ go {5}",
            b"mr1 BAD",
        ):
            self.assertTrue(syntax.is_status(line), line)
        for line in (b"* LIST {5}", b"* CAPABILITY OK", b"* OKAY {5}", b"OK {5}", b"* ID {3}", b""):
            self.assertFalse(syntax.is_status(line), line)
