"""PROXY headers, read and written: who the client of a connection really is.

The format is HAProxy's "The PROXY protocol, versions 1 & 2".  A header is the very first thing on
a connection, in the clear, before any TLS.  Twisted's parsers are private to its endpoint: they
take neither a header in pieces nor a bound, and write none.
"""

from __future__ import annotations

import ipaddress
import re
import struct
from dataclasses import dataclass

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
"""How version 2 begins; no mail client begins so."""
V1_LIMIT = 107
"""Octets of a header of version 1, its CRLF included (section 2.1)."""
V2_LIMIT = 4096
"""Octets that we take of version 2; addresses need 52, the rest are TLVs."""

_V1 = re.compile(
    rb"PROXY (?:UNKNOWN(?: [^\r\n]*)?|TCP(?P<version>[46]) (?P<source>[0-9A-Fa-f.:]+)"
    rb" (?P<destination>[0-9A-Fa-f.:]+) (?P<from>[0-9]{1,5}) (?P<to>[0-9]{1,5}))\r\n"
)
_V1_START = b"PROXY "
_HEAD = struct.Struct("!12sBBH")
_LOCAL, _PROXY = 0x20, 0x21
_OVER_TCP = {0x11: struct.Struct("!4s4sHH"), 0x21: struct.Struct("!16s16sHH")}
_WITHOUT_ADDRESS = frozenset({0x00, 0x31, 0x32})
"""Unspecified, and Unix sockets: there is no address that a mail server knows."""


class BadHeader(Exception):
    """The bytes are no PROXY header; the text says why."""


class NoHeader(BadHeader):
    """The connection begins with something else altogether."""


@dataclass(frozen=True, slots=True)
class Parties:
    """The two ends of the connection that is being told of."""

    source: tuple[str, int]
    """The client: IP address in its canonical form, and port."""
    destination: tuple[str, int]
    """Where the client connected to."""


def length_of(data: bytes) -> int | None:
    """The octets of the header at the start of ``data``; None: more bytes have to tell.

    Never waits for more than was announced.  Raises BadHeader.
    """
    if data.startswith(SIGNATURE[: len(data)]):
        if len(data) < _HEAD.size:
            return None
        length = _HEAD.size + int(_HEAD.unpack_from(data)[3])
        if length > V2_LIMIT:
            raise BadHeader(f"it announces {length} octets, more than {V2_LIMIT}")
        return length if len(data) >= length else None
    if not data.startswith(_V1_START[: len(data)]):
        raise NoHeader("the connection does not begin with one")
    end = data.find(b"\r\n", 0, V1_LIMIT)
    if end >= 0:
        return end + 2
    if len(data) >= V1_LIMIT:
        raise BadHeader(f"version 1 is longer than {V1_LIMIT} octets")
    return None


def parse(header: bytes) -> Parties | None:
    """Read a whole header; None where the connection stands for itself.

    That is version 2's LOCAL (the proxy's own health check), version 1's UNKNOWN, and a family
    without addresses.  TLVs behind the addresses are skipped.  Raises BadHeader.
    """
    return _parse_v2(header) if header.startswith(SIGNATURE) else _parse_v1(header)


def _parse_v1(header: bytes) -> Parties | None:
    match = _V1.fullmatch(header)
    if match is None:
        raise BadHeader(f"not of version 1: {header[:V1_LIMIT]!r}")
    if match["version"] is None:
        return None
    version = int(match["version"])
    try:
        source, destination = (
            ipaddress.ip_address(match[name].decode()) for name in ("source", "destination")
        )
    except ValueError as error:
        raise BadHeader(str(error)) from None
    if (source.version, destination.version) != (version, version):
        raise BadHeader(f"addresses that are not of TCP{version}")
    ports = int(match["from"]), int(match["to"])
    if max(ports) > 65535:
        raise BadHeader("a port above 65535")
    return Parties((str(source), ports[0]), (str(destination), ports[1]))


def _parse_v2(header: bytes) -> Parties | None:
    _, command, family, length = _HEAD.unpack_from(header)
    if command == _LOCAL:
        return None
    if command != _PROXY:
        raise BadHeader(f"version and command {command:#04x} are unknown")
    if family in _WITHOUT_ADDRESS:
        return None
    form = _OVER_TCP.get(family)
    if form is None:
        raise BadHeader(f"family and protocol {family:#04x} are not TCP")
    if length < form.size:
        raise BadHeader("the addresses are cut off")
    source, destination, source_port, destination_port = form.unpack_from(header, _HEAD.size)
    return Parties(
        (str(ipaddress.ip_address(source)), source_port),
        (str(ipaddress.ip_address(destination)), destination_port),
    )
