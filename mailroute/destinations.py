"""What a looked-up value means: a declared destination, one of a pattern, or an address.

A declared name goes first, then the patterns in their order, then, where a destination serves
addresses, Postfix's and everybody's ways to write one.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache

from mailroute.patterns import is_pattern, label_of
from mailroute.route import Backend

LABEL = "{1}"
"""Stands in a pattern's hosts for what its ``*`` was."""

SPEAK_SMTP = frozenset({"submission", "smtp", "lmtp"})
"""The protocols for which the port of a transport is meant."""

_REMEMBERED = 4096
_HOST_NAME = re.compile(r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_.-]*[A-Za-z0-9_.])?")
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_PLACE = re.compile(
    r"(?P<transport>smtp:)?(?:\[(?P<literal>[^\[\]]+)\]|(?P<host>[^\[\]:]+))(?::(?P<port>[0-9]{1,5}))?"
)


@dataclass(frozen=True, slots=True)
class Destination:
    """A backend by its name in the configuration, for each protocol that it serves."""

    name: str
    endpoints: Mapping[str, Backend]
    hide_auth_errors: bool = False
    allow_row_tls_name: bool = False
    """Whether a row's ``tls_name`` may say what name the certificate must have."""
    username: str | None = None
    """The name to log in with, in place of the client's."""
    password: str | None = field(default=None, repr=False)
    """The password to log in with, in place of the client's."""
    master_user: str | None = None
    """Whose password that is, where it is not the account's own."""
    replaces_unchecked: bool = False
    """Whether it also replaces passwords that nobody has checked."""


@dataclass(frozen=True, slots=True)
class Place:
    """An address: a host, and a port if it has one."""

    host: str
    port: int | None = None
    transport: bool = False
    """Whether it is written as Postfix's transport ``smtp:``, whose port is one of SMTP."""


def is_host(value: str) -> bool:
    """Whether a value is a host name or an IP address."""
    if _HOST_NAME.fullmatch(value):
        return True
    # ipaddress takes anything at all for a scope's name.
    if not _ADDRESS.fullmatch(value):
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def parse_place(value: str) -> Place | None:
    """Read ``host``, ``host:port``, ``[host]:port`` or ``smtp:[host]:port``; None: no address.

    An IPv6 address has brackets if a port follows; without one it may stand alone.
    """
    match = _PLACE.fullmatch(value)
    if match is None:
        return Place(value) if ":" in value and is_host(value) else None
    host = match["literal"] or match["host"]
    if match["literal"]:
        # Postfix writes [ipv6:...] in some places.
        host = re.sub(r"\A[Ii][Pp][Vv]6:", "", host)
    port = None if match["port"] is None else int(match["port"])
    if not is_host(host) or (port is not None and not 1 <= port <= 65535):
        return None
    return Place(host, port, match["transport"] is not None)


class Destinations:
    """The declared destinations, and what follows from them."""

    def __init__(
        self, declared: Mapping[str, Destination], address_destination: str | None = None
    ) -> None:
        """``address_destination`` is the name of the one that serves addresses."""
        self._exact = {name: d for name, d in declared.items() if not is_pattern(name)}
        self._patterns = {name: d for name, d in declared.items() if is_pattern(name)}
        self._names = tuple(declared)
        # Many accounts share a value; the bound is for those that do not.
        self._derive = lru_cache(_REMEMBERED)(self._derived)
        self._for_addresses: Destination | None = None
        if address_destination is not None:
            self._for_addresses = self.get(address_destination)

    def __iter__(self) -> Iterator[str]:
        """The declared names and patterns."""
        return iter(self._names)

    def __contains__(self, value: object) -> bool:
        return isinstance(value, str) and self.get(value) is not None

    def get(self, value: str) -> Destination | None:
        """Return the destination that a looked-up value means."""
        return self._exact.get(value) or self._derive(value)

    def _derived(self, value: str) -> Destination | None:
        for pattern, destination in self._patterns.items():
            label = label_of(pattern, value)
            if label is not None:
                return _of_label(value, label, destination)
        place = None if self._for_addresses is None else parse_place(value)
        if place is None or self._for_addresses is None:
            return None
        return _of_place(place, self._for_addresses)


def _of_label(name: str, label: str, destination: Destination) -> Destination:
    """The destination for one label of a pattern."""

    def filled(backend: Backend) -> Backend:
        server_name = backend.trust.server_name
        if server_name is not None:
            server_name = server_name.replace(LABEL, label)
        return replace(
            backend,
            hosts=tuple(host.replace(LABEL, label) for host in backend.hosts),
            trust=replace(backend.trust, server_name=server_name),
        )

    endpoints = {protocol: filled(b) for protocol, b in destination.endpoints.items()}
    return replace(destination, name=name, endpoints=endpoints)


def _of_place(place: Place, destination: Destination) -> Destination:
    """The destination at another address: who is trusted there stays the same."""
    endpoints = {
        protocol: redirected(backend, place.host)
        for protocol, backend in destination.endpoints.items()
    }
    for protocol, backend in endpoints.items():
        if place.port is not None and (not place.transport or protocol in SPEAK_SMTP):
            endpoints[protocol] = replace(backend, port=place.port)
    return replace(destination, endpoints=endpoints)


def redirected(backend: Backend, host: str) -> Backend:
    """The backend at another host, which has to prove that it is the configured one."""
    trust = replace(backend.trust, server_name=backend.trust.server_name or backend.hosts[0])
    return replace(backend, hosts=(host,), trust=trust)
