"""The messages of an account in memory, with an IMAP view and a POP3 view.

Method names in camelCase are those of ``twisted.mail.imap4.IMailbox`` and
``twisted.mail.pop3.IMailbox``.  A session that is open elsewhere is told of new messages, but
not of removed ones: enough for a demo with one reader at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from email.utils import formatdate
from io import BytesIO
from typing import BinaryIO, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.mail import imap4, pop3
from zope.interface import implementer

from mailroute.demo.message import StoredMessage


class _Listener(Protocol):
    def newMessages(self, exists: int | None, recent: int | None) -> object: ...


@implementer(imap4.IMailbox)
class Mailbox:
    """A mailbox; ``seconds`` is the time of day, in seconds since 1970."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        self.messages: list[StoredMessage] = []
        self._seconds = seconds
        self._validity = int(seconds())
        self._next_uid = 1
        self._flags = ["\\Seen", "\\Answered", "\\Flagged", "\\Deleted", "\\Draft"]
        self._listeners: list[_Listener] = []

    def deliver(self, raw: bytes, flags: Iterable[str] = (), date: str | None = None) -> int:
        """Store a message and tell open sessions; return its UID."""
        uid = self._next_uid
        self._next_uid += 1
        arrival = date or formatdate(self._seconds())
        self.messages.append(StoredMessage(raw, uid, flags, arrival))
        for listener in self._listeners:
            listener.newMessages(len(self.messages), None)
        return uid

    def remove(self, unwanted: Iterable[StoredMessage]) -> list[int]:
        """Remove messages; return their numbers, the last first, as EXPUNGE has to tell them."""
        gone = set(map(id, unwanted))
        numbers = [n for n, message in enumerate(self.messages, 1) if id(message) in gone]
        self.messages = [message for message in self.messages if id(message) not in gone]
        return numbers[::-1]

    def getFlags(self) -> list[str]:
        """Return the flags that messages may have here."""
        return self._flags

    def getHierarchicalDelimiter(self) -> str:
        """Return what separates the parts of a mailbox's name."""
        return "/"

    def getUIDValidity(self) -> int:
        """Return a number that changes when UIDs are assigned anew."""
        return self._validity

    def getUIDNext(self) -> int:
        """Return the UID of the next message."""
        return self._next_uid

    def getUID(self, message: int) -> int:
        """Return the UID of the message with this number."""
        return self.messages[message - 1].uid

    def getMessageCount(self) -> int:
        """Return how many messages there are."""
        return len(self.messages)

    def getRecentCount(self) -> int:
        """Return how many messages are recent: none is ever marked so."""
        return 0

    def getUnseenCount(self) -> int:
        """Return how many messages have not been seen."""
        return sum("\\Seen" not in message.flags for message in self.messages)

    def isWriteable(self) -> bool:
        """Whether the mailbox can be changed."""
        return True

    def destroy(self) -> None:
        """Forget everything, before the mailbox is deleted."""
        self.messages = []
        self._flags = [*self._flags, "\\Noselect"]

    def requestStatus(self, names: Iterable[str]) -> dict[str, int]:
        """Answer STATUS."""
        status: dict[str, int] = imap4.statusRequestHelper(self, names)
        return status

    def addListener(self, listener: _Listener) -> None:
        """Tell this session of new messages."""
        self._listeners.append(listener)

    def removeListener(self, listener: _Listener) -> None:
        """Tell it no longer."""
        self._listeners.remove(listener)

    def addMessage(
        self, message: BinaryIO, flags: Iterable[str] = (), date: bytes | str | None = None
    ) -> Deferred[int]:
        """Store what a client appends (then the date is bytes) or copies (text)."""
        arrival = date.decode("ascii", "replace") if isinstance(date, bytes) else date
        return succeed(self.deliver(message.read(), flags, arrival))

    def expunge(self) -> list[int]:
        """Remove what is marked as deleted."""
        return self.remove([m for m in self.messages if "\\Deleted" in m.flags])

    def fetch(self, messages: imap4.MessageSet, uid: bool) -> list[tuple[int, StoredMessage]]:
        """Return the numbered messages of a set of numbers or UIDs; unknown ones are left out."""
        messages.last = self._next_uid - 1 if uid else len(self.messages)
        return [
            (number, message)
            for number, message in enumerate(self.messages, 1)
            if (message.uid if uid else number) in messages
        ]

    def store(
        self, messages: imap4.MessageSet, flags: Iterable[str], mode: int, uid: bool
    ) -> dict[int, list[str]]:
        """Set (0), add (1) or remove (-1) flags; return the flags by message number."""
        result = {}
        for number, message in self.fetch(messages, uid):
            if mode == 0:
                message.flags = set(flags)
            elif mode > 0:
                message.flags.update(flags)
            else:
                message.flags.difference_update(flags)
            result[number] = message.getFlags()
        return result


@implementer(pop3.IMailbox)
class Maildrop:
    """A mailbox as one POP3 session sees it: as it was at the login (RFC 1939 section 4)."""

    def __init__(self, mailbox: Mailbox) -> None:
        self._mailbox = mailbox
        self._messages = list(mailbox.messages)
        self._deleted: set[int] = set()

    def listMessages(self, i: int | None = None) -> int | list[int]:
        """Return the size of one message, or of all; 0 for a deleted one."""
        if i is None:
            return [self._size(index) for index in range(len(self._messages))]
        self._check(i)
        return self._size(i)

    def getMessage(self, i: int) -> BytesIO:
        """Return a message with LF line ends, which the server turns into CRLF."""
        self._check(i)
        return BytesIO(self._messages[i].raw.replace(b"\r\n", b"\n"))

    def getUidl(self, i: int) -> bytes:
        """Return a name for the message that stays the same."""
        self._check(i)
        return b"%d.%d" % (self._mailbox.getUIDValidity(), self._messages[i].uid)

    def deleteMessage(self, i: int) -> None:
        """Mark a message as deleted."""
        self._check(i)
        self._deleted.add(i)

    def undeleteMessages(self) -> None:
        """Take all marks back."""
        self._deleted.clear()

    def sync(self) -> None:
        """Remove the marked messages: only QUIT does so."""
        self._mailbox.remove([self._messages[i] for i in self._deleted])
        self._deleted.clear()

    def _size(self, i: int) -> int:
        return 0 if i in self._deleted else self._messages[i].getSize()

    def _check(self, i: int) -> None:
        if not 0 <= i < len(self._messages):
            raise ValueError("no such message")
