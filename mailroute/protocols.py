"""The only list of protocols: their dialogues, their default ports and their last words."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mailroute.client_dialogue import ClientDialogue
from mailroute.events import Login
from mailroute.imap import replies as imap_replies
from mailroute.imap.client import ImapClient
from mailroute.imap.server import Greeting as ImapGreeting
from mailroute.imap.server import ImapServer
from mailroute.managesieve import replies as managesieve_replies
from mailroute.managesieve.client import ManageSieveClient
from mailroute.managesieve.server import Greeting as ManageSieveGreeting
from mailroute.managesieve.server import ManageSieveServer
from mailroute.offer import Policy
from mailroute.opaque import OpaqueClient, OpaqueServer
from mailroute.pop3 import replies as pop3_replies
from mailroute.pop3.client import Pop3Client
from mailroute.pop3.server import Greeting as Pop3Greeting
from mailroute.pop3.server import Pop3Server
from mailroute.server_dialogue import ServerDialogue
from mailroute.smtp import replies as smtp_replies
from mailroute.smtp.client import SmtpClient
from mailroute.smtp.server import Greeting as SmtpGreeting
from mailroute.smtp.server import SmtpServer

MakeServer = Callable[[Policy, bool, int], ServerDialogue]
"""From a policy, whether TLS is there already, and the number of attempts."""


@dataclass(frozen=True, slots=True)
class Appearance:
    """What an operator may say about how we look on one protocol; None: the default."""

    hostname: str
    banner: str | None = None
    keywords: tuple[str, ...] | None = None
    """IMAP's capabilities, submission's EHLO keywords, or ManageSieve's Sieve extensions."""
    implementation: str | None = None
    """What ManageSieve calls us."""


@dataclass(frozen=True, slots=True)
class MailProtocol:
    """One protocol."""

    name: str
    make_server: Callable[[Appearance], MakeServer]
    make_client: Callable[[Login, bool, bool, str], ClientDialogue]
    """From the login, whether to use STARTTLS, whether it may leave now, and our host name."""
    full: bytes
    """What a client hears when there is no room for it."""


def _imap_server(looks: Appearance) -> MakeServer:
    default = ImapGreeting()
    banner = default.banner if looks.banner is None else looks.banner.encode()
    greeting = ImapGreeting(banner, looks.keywords or default.advertise)
    return lambda policy, secure, attempts: ImapServer(policy, secure, attempts, greeting)


def _pop3_server(looks: Appearance) -> MakeServer:
    greeting = Pop3Greeting() if looks.banner is None else Pop3Greeting(looks.banner.encode())
    return lambda policy, secure, attempts: Pop3Server(policy, secure, attempts, greeting)


def _smtp_server(looks: Appearance) -> MakeServer:
    default = SmtpGreeting(looks.hostname.encode("idna"))
    greeting = SmtpGreeting(
        default.hostname,
        default.banner if looks.banner is None else looks.banner.encode(),
        looks.keywords or default.ehlo,
    )
    return lambda policy, secure, attempts: SmtpServer(policy, secure, attempts, greeting)


def _managesieve_server(looks: Appearance) -> MakeServer:
    default = ManageSieveGreeting()
    greeting = ManageSieveGreeting(
        default.banner if looks.banner is None else looks.banner.encode(),
        looks.implementation or default.implementation,
        looks.keywords or default.sieve,
    )
    return lambda policy, secure, attempts: ManageSieveServer(policy, secure, attempts, greeting)


PROTOCOLS: dict[str, MailProtocol] = {
    protocol.name: protocol
    for protocol in (
        MailProtocol(
            "imap",
            _imap_server,
            lambda login, starttls, secure, hostname: ImapClient(login, starttls, secure),
            imap_replies.FULL,
        ),
        MailProtocol(
            "pop3",
            _pop3_server,
            lambda login, starttls, secure, hostname: Pop3Client(login, starttls, secure),
            pop3_replies.FULL,
        ),
        MailProtocol(
            "submission",
            _smtp_server,
            lambda login, starttls, secure, hostname: SmtpClient(
                login, starttls, secure, hostname.encode("idna")
            ),
            smtp_replies.FULL,
        ),
        MailProtocol(
            "managesieve",
            _managesieve_server,
            lambda login, starttls, secure, hostname: ManageSieveClient(login, starttls, secure),
            managesieve_replies.FULL,
        ),
    )
}


def _passed_through(name: str) -> MailProtocol:
    refusal = smtp_replies.NO_BACKEND
    return MailProtocol(
        name,
        lambda looks: lambda policy, secure, attempts: OpaqueServer(refusal),
        lambda login, starttls, secure, hostname: OpaqueClient(login, starttls, secure),
        smtp_replies.FULL,
    )


PASS_THROUGH = {name: _passed_through(name) for name in ("smtp", "lmtp")}
"""Those that we do not speak."""
SERVED = {**PROTOCOLS, **PASS_THROUGH}
"""All that a listener may be of."""
