"""Names out of a mechanism's message."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.sasl.mechanism import BadMessage, identity, sasl_name, text


class NameTests(SynchronousTestCase):
    """What may be a name (RFC 4422 section 3.4.1)."""

    def test_text(self) -> None:
        """UTF-8 without NUL; everything else is left to whoever looks the name up."""
        self.assertEqual(text("jörg@例え.jp".encode()), "jörg@例え.jp")
        for bad in (b"caf\xe9", b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"a\0b"):
            self.assertRaises(BadMessage, text, bad)

    def test_reason_is_ours(self) -> None:
        """The error names no octet of the message."""
        with self.assertRaises(BadMessage) as caught:
            text(b"secret\xff")
        self.assertNotIn("secret", str(caught.exception))
        self.assertIsNone(caught.exception.__cause__)

    def test_identity(self) -> None:
        """One name, and not none."""
        self.assertEqual(identity(b"alice").account, "alice")
        self.assertRaises(BadMessage, identity, b"")

    def test_sasl_name(self) -> None:
        """A comma and an equals sign are escaped, and nothing else is (RFC 5801 section 4)."""
        self.assertEqual(sasl_name(b"a=2Cb=3Dc=3D2C"), "a,b=c=2C")
        self.assertEqual(sasl_name("=3Dß".encode()), "=ß")
        for bad in (b"=", b"a=", b"a=2", b"a=2c", b"a=3d", b"a=41", b"=2C=", b"a==2C"):
            self.assertRaises(BadMessage, sasl_name, bad)
