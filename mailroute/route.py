"""Where a login goes: frozen values that travel from routing to the connector."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from enum import Enum

from mailroute.credentials import Supplied
from mailroute.events import TLSInfo


class TLSMode(Enum):
    """How a connection is encrypted; the values are the configuration's words."""

    PLAIN = "plain"
    STARTTLS = "starttls"
    IMPLICIT = "implicit"

    @property
    def strength(self) -> int:
        """Orders the modes, so that a row can strengthen one but never weaken it."""
        return (TLSMode.PLAIN, TLSMode.STARTTLS, TLSMode.IMPLICIT).index(self)


class Forwarding(Enum):
    """How a backend is told who the client is; the values are the configuration's words."""

    NONE = "none"
    PROXY = "proxy"
    """A PROXY header before everything else."""
    XCLIENT = "xclient"
    """The protocol's own way, where the backend offers it: XCLIENT, or ID in IMAP."""


@dataclass(frozen=True, slots=True)
class Trust:
    """What proves that a backend is the right one, and what proves us to it."""

    server_name: str | None = None
    """The name in the certificate; None: the host that the configuration names."""
    ca_file: str | None = None
    """PEM file with the authorities to trust; None: the platform's."""
    pinned_sha256: bytes | None = None
    """SHA-256 of the leaf certificate (DER); replaces authorities and name."""
    allow_invalid: bool = False
    client_certificate: str | None = None
    client_key: str | None = None


@dataclass(frozen=True, slots=True)
class Backend:
    """One destination for one protocol: the addresses to try, in order, and how to speak there."""

    hosts: tuple[str, ...]
    port: int
    tls: TLSMode
    trust: Trust = Trust()
    allow_plaintext_auth: bool = False
    """Whether credentials may leave without TLS."""
    forwarding: Forwarding = Forwarding.NONE
    proxy_version: int = 2
    """1 or 2: of the PROXY header."""
    source_ips: tuple[str, ...] = ()
    """Addresses of ours to connect from, in turn; none: the kernel's choice."""
    mechanism: str | None = None
    """The only mechanism in which to log in; None: whichever fits."""


@dataclass(frozen=True, slots=True)
class Route:
    """The answer to "where does this account live?" for one session."""

    account: str
    """The normalised key under which the row was found."""
    destination: str
    """The configuration's name for the backend, for logs and counters."""
    backend: Backend
    login_name: str | None = None
    """The name to log in with, where it replaces the client's."""
    hide_auth_errors: bool = False
    supplied: Supplied | None = None
    """The password to log in with, where there is one to replace the client's."""


@dataclass(frozen=True, slots=True)
class Introduction:
    """What a client said of itself before its login; none of it is to be believed."""

    fields: tuple[tuple[bytes, bytes | None], ...] = ()
    """Of IMAP's ID, in their order."""
    name: bytes = b""
    """Of SMTP's EHLO."""
    hops_left: int | None = None
    """How many proxies the client, a proxy itself, allows behind it."""


NO_INTRODUCTION = Introduction()

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def ip_of(text: str) -> IPAddress | None:
    """The IP address as others understand it; None where the text is none.

    The interface of a link-local address, behind "%", is known on this machine alone; IPv4 that
    came as a part of IPv6 is IPv4.
    """
    try:
        address = ipaddress.ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session comes from: what lookups, logs and backends may be told of the client."""

    session_id: str
    protocol: str
    client_ip: str
    client_port: int
    server_ip: str
    server_port: int
    sni: str = ""
    is_trusted: bool = False
    """Whether the client is itself a proxy whose word about its clients is believed."""
    tls: TLSInfo | None = None
    """How the client's connection is encrypted; known for backends that are told anything."""
    introduction: Introduction = NO_INTRODUCTION
    """The same."""


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a backend is told of a session in its protocol's own way."""

    origin: Origin
    hops_left: int
    """How many proxies there may be from here on, the backend included."""
