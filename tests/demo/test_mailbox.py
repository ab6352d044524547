"""An account's messages through IMAP and through POP3."""

from __future__ import annotations

from io import BytesIO

from twisted.internet.task import Clock
from twisted.mail import imap4, pop3
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from mailroute.demo.mailbox import Mailbox, Maildrop


class Listener:
    """Records what a session is told."""

    def __init__(self) -> None:
        self.told: list[tuple[int | None, int | None]] = []

    def newMessages(self, exists: int | None, recent: int | None) -> None:
        """Twisted's name for: there are new messages."""
        self.told.append((exists, recent))


def message_set(text: bytes) -> imap4.MessageSet:
    """A set as the server's parser makes it."""
    parsed: imap4.MessageSet = imap4.parseIdList(text)
    return parsed


class MailboxTests(SynchronousTestCase):
    """The IMAP view."""

    def setUp(self) -> None:
        clock = Clock()
        clock.advance(1_000_000)
        self.mailbox = Mailbox(clock.seconds)
        for text in (b"one", b"two", b"three"):
            self.mailbox.deliver(text)

    def numbers(self, text: bytes, uid: bool = False) -> list[int]:
        """The message numbers that a set stands for."""
        return [number for number, _ in self.mailbox.fetch(message_set(text), uid)]

    def test_interface(self) -> None:
        """The server finds every method that it will call."""
        verifyObject(imap4.IMailbox, self.mailbox)

    def test_delivery(self) -> None:
        """UIDs rise, the arrival is dated, open sessions are told, and only they."""
        listener = Listener()
        self.mailbox.addListener(listener)
        self.assertEqual(self.mailbox.deliver(b"four"), 4)
        self.mailbox.removeListener(listener)
        self.mailbox.deliver(b"five")
        self.assertEqual(listener.told, [(4, None)])
        self.assertEqual(self.mailbox.getUIDNext(), 6)
        self.assertEqual(self.mailbox.messages[0].date, "Mon, 12 Jan 1970 13:46:40 -0000")

    def test_fetch_by_number(self) -> None:
        """Numbers, ranges and the star; what is not there is left out."""
        self.assertEqual(self.numbers(b"2"), [2])
        self.assertEqual(self.numbers(b"1:*"), [1, 2, 3])
        self.assertEqual(self.numbers(b"*"), [3])
        self.assertEqual(self.numbers(b"9"), [])

    def test_fetch_by_uid(self) -> None:
        """After an expunge UIDs stay and numbers move; ``9:*`` has the last one (RFC 3501)."""
        self.mailbox.store(message_set(b"1"), ["\\Deleted"], 1, False)
        self.assertEqual(self.mailbox.expunge(), [1])
        self.assertEqual(self.numbers(b"2", uid=True), [1])
        self.assertEqual(self.numbers(b"9:*", uid=True), [2])
        self.assertEqual(self.mailbox.getUID(1), 2)

    def test_empty_mailbox(self) -> None:
        """Nothing is found in an empty mailbox, and nothing breaks."""
        self.mailbox.destroy()
        self.assertEqual(self.numbers(b"1:*"), [])
        self.assertIn("\\Noselect", self.mailbox.getFlags())

    def test_expunge_order(self) -> None:
        """Numbers are told from the last to the first, so that each is right when it is read."""
        self.mailbox.store(message_set(b"1,3"), ["\\Deleted"], 1, False)
        self.assertEqual(self.mailbox.expunge(), [3, 1])
        self.assertEqual([message.raw for message in self.mailbox.messages], [b"two"])

    def test_flags(self) -> None:
        """Flags are set, added and removed; the result tells them by number."""
        store = self.mailbox.store
        self.assertEqual(store(message_set(b"2"), ["a"], 1, False), {2: ["a"]})
        self.assertEqual(store(message_set(b"2"), ["b"], 1, False), {2: ["a", "b"]})
        self.assertEqual(store(message_set(b"2"), ["a"], -1, False), {2: ["b"]})
        self.assertEqual(store(message_set(b"2"), ["c"], 0, False), {2: ["c"]})

    def test_status(self) -> None:
        """STATUS counts what has not been seen."""
        self.mailbox.store(message_set(b"2"), ["\\Seen"], 1, False)
        names = ["MESSAGES", "UNSEEN", "UIDNEXT", "RECENT"]
        self.assertEqual(
            self.mailbox.requestStatus(names),
            {"MESSAGES": 3, "UNSEEN": 2, "UIDNEXT": 4, "RECENT": 0},
        )

    def test_append_and_copy(self) -> None:
        """APPEND gives the date as bytes, COPY as text; both are kept."""
        for date in (b"some day", "some day"):
            uid = self.successResultOf(self.mailbox.addMessage(BytesIO(b"x"), ["f"], date))
            stored = self.mailbox.messages[-1]
            self.assertEqual((stored.uid, stored.date), (uid, "some day"))
            self.assertEqual(stored.getFlags(), ["f"])


class MaildropTests(SynchronousTestCase):
    """The POP3 view."""

    def setUp(self) -> None:
        self.mailbox = Mailbox(Clock().seconds)
        self.mailbox.deliver(b"a: b\r\n\r\none\r\n")
        self.mailbox.deliver(b"two\r\n")
        self.drop = Maildrop(self.mailbox)

    def test_interface(self) -> None:
        """The server finds every method that it will call."""
        verifyObject(pop3.IMailbox, self.drop)

    def test_reading(self) -> None:
        """Sizes count CRLF, the text comes with LF, for the server makes CRLF of it."""
        self.assertEqual(self.drop.listMessages(), [13, 5])
        self.assertEqual(self.drop.listMessages(1), 5)
        self.assertEqual(self.drop.getMessage(0).read(), b"a: b\n\none\n")

    def test_unknown_message(self) -> None:
        """A number that is not there is a ValueError, which the server words."""
        for call in (self.drop.listMessages, self.drop.getMessage, self.drop.getUidl):
            self.assertRaises(ValueError, call, 2)
        self.assertRaises(ValueError, self.drop.deleteMessage, 2)

    def test_names_stay(self) -> None:
        """UIDL is the same in the next session, after a deletion too."""
        name = self.drop.getUidl(1)
        self.drop.deleteMessage(0)
        self.drop.sync()
        self.assertEqual(Maildrop(self.mailbox).getUidl(0), name)

    def test_deleting(self) -> None:
        """Only QUIT removes a message; until then RSET brings it back (RFC 1939)."""
        self.drop.deleteMessage(0)
        self.assertEqual(self.drop.listMessages(), [0, 5])
        self.assertEqual(len(self.mailbox.messages), 2)
        self.drop.undeleteMessages()
        self.assertEqual(self.drop.listMessages(), [13, 5])

    def test_session_sees_no_changes(self) -> None:
        """What arrives later is for the next session."""
        self.mailbox.deliver(b"three\r\n")
        self.assertEqual(self.drop.listMessages(), [13, 5])
