"""The only list of protocols: their dialogues, their default ports and their last words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mailroute.client_dialogue import ClientDialogue
from mailroute.events import Login
from mailroute.imap import probe as imap_probe
from mailroute.imap import replies as imap_replies
from mailroute.imap.client import ImapClient
from mailroute.imap.probe import ImapProbe
from mailroute.imap.server import Greeting as ImapGreeting
from mailroute.imap.server import ImapServer
from mailroute.managesieve import probe as managesieve_probe
from mailroute.managesieve import replies as managesieve_replies
from mailroute.managesieve.client import ManageSieveClient
from mailroute.managesieve.probe import ManageSieveProbe
from mailroute.managesieve.server import Greeting as ManageSieveGreeting
from mailroute.managesieve.server import ManageSieveServer
from mailroute.offer import Policy
from mailroute.opaque import OpaqueClient, OpaqueServer
from mailroute.pop3 import probe as pop3_probe
from mailroute.pop3 import replies as pop3_replies
from mailroute.pop3.client import Pop3Client
from mailroute.pop3.probe import Pop3Probe
from mailroute.pop3.server import Greeting as Pop3Greeting
from mailroute.pop3.server import Pop3Server
from mailroute.server_dialogue import ServerDialogue
from mailroute.smtp import probe as smtp_probe
from mailroute.smtp import replies as smtp_replies
from mailroute.smtp.client import SmtpClient
from mailroute.smtp.probe import SmtpProbe
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
    """Capabilities of IMAP and POP3, submission's EHLO keywords, ManageSieve's extensions."""
    implementation: str | None = None
    """What ManageSieve calls us."""


@dataclass(frozen=True, slots=True)
class Probing:
    """How to find out what backends offer before a login, and what to make of it."""

    make: Callable[[Login, bool, bool, str], ClientDialogue]
    """As ``make_client``; it ends with Accepted, whose words are what the backend offers."""
    default: tuple[str, ...]
    """The keywords of Appearance where the operator has given none."""
    kept: Callable[[Sequence[str], Sequence[frozenset[str]]], tuple[str, ...]]
    """From our keywords and the words of every backend in upper case: what is true of all."""


@dataclass(frozen=True, slots=True)
class MailProtocol:
    """One protocol."""

    name: str
    make_server: Callable[[Appearance], MakeServer]
    make_client: Callable[[Login, bool, bool, str], ClientDialogue]
    """From the login, whether to use STARTTLS, whether it may leave now, and our host name."""
    full: bytes
    """What a client hears when there is no room for it."""
    probing: Probing | None = None
    """How to find out what a backend offers, where that is anything of ours."""


def _imap_server(looks: Appearance) -> MakeServer:
    default = ImapGreeting()
    banner = default.banner if looks.banner is None else looks.banner.encode()
    advertise = default.advertise if looks.keywords is None else looks.keywords
    greeting = ImapGreeting(banner, advertise)
    return lambda policy, secure, attempts: ImapServer(policy, secure, attempts, greeting)


def _pop3_server(looks: Appearance) -> MakeServer:
    default = Pop3Greeting()
    greeting = Pop3Greeting(
        default.banner if looks.banner is None else looks.banner.encode(),
        default.capabilities
        if looks.keywords is None
        else tuple(name.encode() for name in looks.keywords),
    )
    return lambda policy, secure, attempts: Pop3Server(policy, secure, attempts, greeting)


def _smtp_server(looks: Appearance) -> MakeServer:
    default = SmtpGreeting(looks.hostname.encode("idna"))
    greeting = SmtpGreeting(
        default.hostname,
        default.banner if looks.banner is None else looks.banner.encode(),
        default.ehlo if looks.keywords is None else looks.keywords,
    )
    return lambda policy, secure, attempts: SmtpServer(policy, secure, attempts, greeting)


def _managesieve_server(looks: Appearance) -> MakeServer:
    default = ManageSieveGreeting()
    greeting = ManageSieveGreeting(
        default.banner if looks.banner is None else looks.banner.encode(),
        looks.implementation or default.implementation,
        default.sieve if looks.keywords is None else looks.keywords,
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
            Probing(
                lambda login, starttls, secure, hostname: ImapProbe(login, starttls, secure),
                ImapGreeting().advertise,
                imap_probe.kept,
            ),
        ),
        MailProtocol(
            "pop3",
            _pop3_server,
            lambda login, starttls, secure, hostname: Pop3Client(login, starttls, secure),
            pop3_replies.FULL,
            Probing(
                lambda login, starttls, secure, hostname: Pop3Probe(login, starttls, secure),
                tuple(name.decode() for name in Pop3Greeting().capabilities),
                pop3_probe.kept,
            ),
        ),
        MailProtocol(
            "submission",
            _smtp_server,
            lambda login, starttls, secure, hostname: SmtpClient(
                login, starttls, secure, hostname.encode("idna")
            ),
            smtp_replies.FULL,
            Probing(
                lambda login, starttls, secure, hostname: SmtpProbe(
                    login, starttls, secure, hostname.encode("idna")
                ),
                SmtpGreeting(b"").ehlo,
                smtp_probe.kept,
            ),
        ),
        MailProtocol(
            "managesieve",
            _managesieve_server,
            lambda login, starttls, secure, hostname: ManageSieveClient(login, starttls, secure),
            managesieve_replies.FULL,
            Probing(
                lambda login, starttls, secure, hostname: ManageSieveProbe(login, starttls, secure),
                ManageSieveGreeting().sieve,
                managesieve_probe.kept,
            ),
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
