"""A stored message, as the IMAP server asks for it."""

from __future__ import annotations

from twisted.mail import imap4
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailroute.demo.message import Part, StoredMessage

PLAIN = b"From: a@example.org\r\nSubject: one\r\nsubject: two\r\n\r\nfirst\r\n\r\nlast\r\n"
MIXED = (
    b'Content-Type: multipart/mixed; boundary="b"\r\n\r\n'
    b"--b\r\nContent-Type: text/plain\r\n\r\nleft\r\n"
    b"--b\r\nContent-Type: text/html\r\n\r\nright\r\n--b--\r\n"
)


class PartTests(SynchronousTestCase):
    """Header, body and parts."""

    def test_interfaces(self) -> None:
        """The server finds every method that it will call."""
        message = StoredMessage(PLAIN, 7, ["\\Seen"], "Thu, 01 Jan 2026 12:00:00 +0000")
        verifyObject(imap4.IMessage, message)
        verifyObject(imap4.IMessageFile, message)

    def test_named_headers(self) -> None:
        """Names are found in any case and come in lower case; of two the first one counts."""
        self.assertEqual(Part(PLAIN).getHeaders(False, b"SUBJECT"), {"subject": "one"})

    def test_other_headers(self) -> None:
        """``negate`` leaves the named ones out."""
        self.assertEqual(Part(PLAIN).getHeaders(True, "subject"), {"from": "a@example.org"})

    def test_foreign_header(self) -> None:
        """Bytes that are not ASCII do not break the answer."""
        value = Part("Subject: ä\r\n\r\n".encode()).getHeaders(False, "subject")["subject"]
        self.assertTrue(value.isascii())

    def test_body(self) -> None:
        """The body is everything behind the first empty line, unchanged."""
        self.assertEqual(Part(PLAIN).getBodyFile().read(), b"first\r\n\r\nlast\r\n")
        self.assertEqual(Part(PLAIN).getSize(), len(PLAIN))

    def test_parts(self) -> None:
        """Parts are counted from 0 and keep CRLF."""
        message = Part(MIXED)
        self.assertTrue(message.isMultipart())
        self.assertEqual(message.getSubPart(1).raw, b"Content-Type: text/html\r\n\r\nright")
        self.assertRaises(IndexError, message.getSubPart, 2)

    def test_no_parts(self) -> None:
        """A plain message has no parts to ask for."""
        self.assertFalse(Part(PLAIN).isMultipart())
        self.assertRaises(TypeError, Part(PLAIN).getSubPart, 0)

    def test_stored(self) -> None:
        """UID, flags, date and the whole text come back as they were given."""
        message = StoredMessage(PLAIN, 7, ["b", "a"], "some day")
        self.assertEqual(message.getUID(), 7)
        self.assertEqual(message.getFlags(), ["a", "b"])
        self.assertEqual(message.getInternalDate(), "some day")
        self.assertEqual(message.open().read(), PLAIN)
