"""A sample mail server for a few accounts: IMAP, POP3 and submission on loopback.

It speaks plain text and keeps everything in memory: it is for the demo only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from email.message import EmailMessage
from email.policy import SMTP as ON_THE_WIRE
from typing import Any, ClassVar

from twisted.application.service import Service
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.portal import IRealm, Portal
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.protocol import ServerFactory
from twisted.mail import imap4, pop3, smtp
from zope.interface import implementer

from mailroute.demo.mailbox import Mailbox, Maildrop
from mailroute.demo.message import StoredMessage

LOOPBACK = "127.0.0.1"
_IMAP_MECHANISMS = {b"PLAIN": imap4.PLAINCredentials, b"LOGIN": imap4.LOGINCredentials}
_SMTP_MECHANISMS = {b"PLAIN": imap4.PLAINCredentials, b"LOGIN": smtp.LOGINCredentials}


class Account(imap4.MemoryAccount):
    """An account's mailboxes; INBOX is there from the start."""

    def __init__(self, name: str, seconds: Callable[[], float]) -> None:
        super().__init__(name)
        self._seconds = seconds
        self.inbox = Mailbox(seconds)
        self.addMailbox("INBOX", self.inbox)

    def _emptyMailbox(self, name: str, id: int) -> Mailbox:
        return Mailbox(self._seconds)


@implementer(smtp.IMessage)
class Arriving:
    """A message that is being received line by line."""

    def __init__(self, inbox: Mailbox) -> None:
        self._inbox = inbox
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:
        """Keep one line, which comes without its CRLF."""
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:
        """Deliver the message: it has arrived whole."""
        self._inbox.deliver(b"".join(line + b"\r\n" for line in self._lines))
        return succeed(None)

    def connectionLost(self) -> None:
        """Drop the message: it is not whole."""
        self._lines = []


@implementer(smtp.IMessageDelivery)
class Delivery:
    """Accepts every recipient and puts the message into the sender's own INBOX."""

    def __init__(self, inbox: Mailbox, host: str) -> None:
        self._inbox = inbox
        self._host = host

    def receivedHeader(
        self, helo: tuple[bytes, bytes], origin: smtp.Address, recipients: list[smtp.User]
    ) -> bytes:
        """Say which server took the message."""
        return f"Received: by {self._host} with ESMTPA; {smtp.rfc822date().decode()}".encode()

    def validateFrom(self, helo: tuple[bytes, bytes], origin: smtp.Address) -> smtp.Address:
        """Accept every sender, after a login."""
        return origin

    def validateTo(self, user: smtp.User) -> Callable[[], Arriving]:
        """Accept every recipient."""
        return lambda: Arriving(self._inbox)


def _search(field: str) -> Callable[[Any, list[bytes], int, StoredMessage], bool]:
    def search(server: Any, query: list[bytes], number: int, message: StoredMessage) -> bool:
        wanted = query.pop(0).decode("ascii", "replace").lower()
        return wanted in message.getHeaders(False, field).get(field, "").lower()

    return search


class IMAPServer(imap4.IMAP4Server):
    """Twisted's server, which would compare text with bytes when it searches these fields."""

    search_BCC = _search("bcc")
    search_CC = _search("cc")
    search_FROM = _search("from")
    search_SUBJECT = _search("subject")
    search_TO = _search("to")


@implementer(IRealm)
class Realm:
    """Hands out accounts, in the form that each protocol asks for."""

    def __init__(self, accounts: dict[bytes, Account], host: str) -> None:
        self._accounts = accounts
        self._host = host

    def requestAvatar(
        self, avatar_id: bytes, mind: object, *interfaces: object
    ) -> tuple[object, object, Callable[[], None]]:
        """Return interface, avatar and what to do at the logout (nothing).

        Raises NotImplementedError if none of the interfaces is known.
        """
        account = self._accounts[avatar_id]
        if imap4.IAccount in interfaces:
            return imap4.IAccount, account, _nothing
        if pop3.IMailbox in interfaces:
            return pop3.IMailbox, Maildrop(account.inbox), _nothing
        if smtp.IMessageDelivery in interfaces:
            return smtp.IMessageDelivery, Delivery(account.inbox, self._host), _nothing
        raise NotImplementedError("no such service in the demo")


def _nothing() -> None:
    """Nothing is to be done at the logout."""


class _Login(ServerFactory):
    """Builds the connections of one protocol; ``place`` is the host's name and the protocol's."""

    noisy = False
    challengers: ClassVar[dict[bytes, object]] = {}

    def __init__(self, build: Callable[[], Any], portal: Portal, place: tuple[str, str]) -> None:
        self._build = build
        self._portal = portal
        self._place = place

    def logPrefix(self) -> str:
        """Name the server and the protocol in the log."""
        return "sample server {}, {}".format(*self._place)

    def buildProtocol(self, addr: object) -> Any:
        """Build the protocol of one connection."""
        protocol = self._build()
        protocol.factory = self
        protocol.portal = self._portal
        protocol.host = self._place[0].encode()
        return protocol


def _pop3() -> pop3.POP3:
    protocol = pop3.POP3()
    # Without a timestamp in the greeting nobody tries APOP.
    protocol.magic = b"Ready."
    return protocol


class SampleBackend(Service):
    """A server called ``name`` that knows some users; ``ports`` is filled when it has started.

    ``reactor`` listens and tells the time; all users have the same password.
    """

    def __init__(self, reactor: Any, name: str, users: Iterable[str], password: str) -> None:
        self._reactor = reactor
        self.name: str = name
        self.host = f"{name}.example.org"
        self.ports: dict[str, int] = {}
        self._listening: list[Any] = []
        accounts: dict[bytes, Account] = {}
        # Zope's interfaces are unknown to the type checker: hence Any for those that need one.
        checker: Any = InMemoryUsernamePasswordDatabaseDontUse()
        for user in users:
            accounts[user.encode()] = account = Account(user, time.time)
            for raw in sample_messages(name, user):
                account.inbox.deliver(raw)
            checker.addUser(user.encode(), password.encode())
        realm: Any = Realm(accounts, self.host)
        self._portal = Portal(realm, [checker])

    def startService(self) -> None:
        """Listen on three free ports."""
        super().startService()
        builders = {
            "imap": lambda: IMAPServer(dict(_IMAP_MECHANISMS)),
            "pop3": _pop3,
            "submission": lambda: smtp.ESMTP(dict(_SMTP_MECHANISMS)),
        }
        for protocol, build in builders.items():
            factory = _Login(build, self._portal, (self.host, protocol))
            port = self._reactor.listenTCP(0, factory, interface=LOOPBACK)
            self._listening.append(port)
            self.ports[protocol] = port.getHost().port

    def stopService(self) -> Deferred[Any]:
        """Stop listening; the result comes when the ports are closed."""
        super().stopService()
        closing = [maybeDeferred(port.stopListening) for port in self._listening]
        self._listening = []
        return gatherResults(closing)


def sample_messages(name: str, user: str) -> list[bytes]:
    """Return three messages that say on which server they are; each is a whole message."""
    texts = (
        (f"You reached {name}", f"You reached {name}, the server on which {user} lives."),
        (f"Still on {name}", f"Every message in this mailbox is kept on {name}."),
        (f"Greetings from {name}", f"Send yourself a message: it will arrive on {name} too."),
    )
    messages = []
    for number, (subject, text) in enumerate(texts, 1):
        message = EmailMessage(policy=ON_THE_WIRE)
        message["From"] = f"postmaster@{name}.example.org"
        message["To"] = user
        message["Subject"] = subject
        message["Date"] = f"Thu, 0{number} Jan 2026 12:00:00 +0000"
        message["Message-ID"] = f"<{number}@{name}.example.org>"
        message.set_content(text + "\n")
        messages.append(message.as_bytes())
    return messages
