"""One stored message, in the form in which ``twisted.mail``'s IMAP server asks for it.

Method names in camelCase are those of the interfaces of ``twisted.mail.imap4``.
"""

from __future__ import annotations

import email
import email.message
from collections.abc import Iterable
from email.policy import compat32
from io import BytesIO

from twisted.mail import imap4
from zope.interface import implementer

_ON_THE_WIRE = compat32.clone(linesep="\r\n")


@implementer(imap4.IMessagePart)
class Part:
    """A message or one part of it; ``raw`` has CRLF line ends."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self._tree = email.message_from_bytes(raw)

    def getHeaders(self, negate: bool, *names: bytes | str) -> dict[str, str]:
        """Return the named header fields, or with ``negate`` all the others.

        The keys are in lower case; of a repeated field the first one counts.
        """
        wanted = {n.decode("ascii") if isinstance(n, bytes) else n for n in names}
        wanted = {name.lower() for name in wanted}
        fields: dict[str, str] = {}
        for name, value in self._tree.items():
            if (name.lower() in wanted) != bool(negate):
                # The server can write ASCII only.
                text = str(value).encode("ascii", "replace").decode("ascii")
                fields.setdefault(name.lower(), text)
        return fields

    def getBodyFile(self) -> BytesIO:
        """Return everything behind the header."""
        return BytesIO(self.raw.partition(b"\r\n\r\n")[2])

    def getSize(self) -> int:
        """Return the size in octets, header included."""
        return len(self.raw)

    def isMultipart(self) -> bool:
        """Whether there are parts to ask for."""
        return self._tree.is_multipart()

    def getSubPart(self, part: int) -> Part:
        """Return one part, counted from 0.

        Raises TypeError if there are none, IndexError if there are fewer.
        """
        parts = self._tree.get_payload()
        if not isinstance(parts, list):
            raise TypeError("the message has no parts")
        found = parts[part]
        if not isinstance(found, email.message.Message):
            raise TypeError("the part is no message")
        return Part(found.as_bytes(policy=_ON_THE_WIRE))


@implementer(imap4.IMessage, imap4.IMessageFile)
class StoredMessage(Part):
    """A message in a mailbox, with its UID, its flags and the date of its arrival."""

    def __init__(self, raw: bytes, uid: int, flags: Iterable[str], date: str) -> None:
        super().__init__(raw)
        self.uid = uid
        self.flags = set(flags)
        self.date = date

    def getUID(self) -> int:
        """Return the UID."""
        return self.uid

    def getFlags(self) -> list[str]:
        """Return the flags in a stable order."""
        return sorted(self.flags)

    def getInternalDate(self) -> str:
        """Return the date of arrival as RFC 5322 writes it."""
        return self.date

    def open(self) -> BytesIO:
        """Return the whole message."""
        return BytesIO(self.raw)
