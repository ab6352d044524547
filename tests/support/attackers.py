"""Our dialogues and sessions as an attacker meets them, and what an honest client would say."""

from __future__ import annotations

import base64
from collections.abc import Iterable

from mailroute.client_dialogue import ClientDialogue
from mailroute.events import Accepted, Event, Login, Rejected
from mailroute.protocols import PROTOCOLS, Appearance
from mailroute.sasl.plain import password_login
from mailroute.server_dialogue import ServerDialogue
from tests.support.house import GREETINGS, Dialled, House, Visit
from tests.support.laws import policy

NAME, SECRET = b"alice@example.org", b"s3cr3t-0f-alice"
PLAIN = base64.b64encode(b"\0" + NAME + b"\0" + SECRET)

LOGINS = {
    "imap": b"a LOGIN alice@example.org s3cr3t-0f-alice\r\n",
    "pop3": b"USER alice@example.org\r\nPASS s3cr3t-0f-alice\r\n",
    "submission": b"EHLO me\r\nAUTH PLAIN " + PLAIN + b"\r\n",
    "managesieve": b'AUTHENTICATE "PLAIN" "' + PLAIN + b'"\r\n',
}


def server(protocol: str, secure: bool = True, cleartext: bool = False) -> ServerDialogue:
    """Our server's side, greeting said."""
    make = PROTOCOLS[protocol].make_server(Appearance("mail.example.org"))
    dialogue = make(policy(starttls=not secure, cleartext=cleartext), secure, 3)
    dialogue.start()
    return dialogue


def client(
    protocol: str, starttls: bool = False, secure: bool = True, login: Login | None = None
) -> ClientDialogue:
    """Our client's side, connected."""
    login = login or password_login(NAME, SECRET)
    dialogue = PROTOCOLS[protocol].make_client(login, starttls, secure, "mail.example.org")
    dialogue.start()
    return dialogue


def logins(events: Iterable[Event]) -> list[Login]:
    """The logins among the events."""
    return [event for event in events if isinstance(event, Login)]


def verdict(events: list[Event]) -> Rejected | Accepted | None:
    """The verdict among the events."""
    found = [event for event in events if isinstance(event, (Rejected, Accepted))]
    return found[-1] if found else None


# -- whole sessions ------------------------------------------------------------------------------

ALICE, BOB = "alice@example.org", "bob@example.org"
ROWS = {ALICE: "east", BOB: "west"}

# What the backends say to the commands that come before the login.
PRELUDES = {
    "imap": (),
    "pop3": (b"+OK\r\nUSER\r\nSASL PLAIN\r\n.\r\n",),
    "submission": (b"250-east\r\n250 AUTH PLAIN\r\n",),
    "managesieve": (),
}
ACCEPTED = {
    "imap": b"mr1 OK [CAPABILITY IMAP4rev1] welcome\r\n",
    "pop3": b"+OK welcome\r\n",
    "submission": b"235 2.7.0 welcome\r\n",
    "managesieve": b'OK "welcome"\r\n',
}
REJECTED = {
    "imap": b"mr1 NO wrong\r\n",
    "pop3": b"-ERR wrong\r\n",
    "submission": b"535 5.7.8 wrong\r\n",
    "managesieve": b'NO "wrong"\r\n',
}


def plain(name: str, secret: bytes = SECRET) -> bytes:
    """The message of PLAIN, in base64."""
    return base64.b64encode(b"\0" + name.encode() + b"\0" + secret)


def login(protocol: str, name: str, secret: bytes = SECRET) -> bytes:
    """The command that logs in."""
    if protocol == "imap":
        return b"a AUTHENTICATE PLAIN " + plain(name, secret) + b"\r\n"
    if protocol == "pop3":
        return b"AUTH PLAIN " + plain(name, secret) + b"\r\n"
    if protocol == "managesieve":
        return b'AUTHENTICATE "PLAIN" "' + plain(name, secret) + b'"\r\n'
    return b"EHLO me\r\nAUTH PLAIN " + plain(name, secret) + b"\r\n"


def converse(house: House, backend: Dialled, verdict: bytes) -> bytes:
    """Speak for a backend until its verdict; returns what it was sent."""
    heard = backend.says(GREETINGS[house.protocol])
    for words in PRELUDES[house.protocol]:
        heard += backend.says(words)
    return heard + backend.says(verdict)


def join(house: House, name: str = ALICE, trailing: bytes = b"") -> tuple[Visit, Dialled]:
    """A client whose login was accepted."""
    visit = house.visit()
    visit.says(login(house.protocol, name))
    backend = house.dialled[-1]
    converse(house, backend, ACCEPTED[house.protocol] + trailing)
    return visit, backend
