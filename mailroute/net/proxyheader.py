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

from mailroute.events import TLSInfo
from mailroute.route import IPAddress, Origin, ip_of

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


_TLV_AUTHORITY, _TLV_UNIQUE_ID, _TLV_SSL = 0x02, 0x05, 0x20
_SSL_VERSION, _SSL_CIPHER = 0x21, 0x23
_CLIENT_USES_TLS = 0x01
_NOT_VERIFIED = 1
"""What stands for "without a certificate that was verified" (section 2.2.6)."""
_UNIQUE_ID_LIMIT = 128
_AUTHORITY_LIMIT = 255


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


# -- writing -------------------------------------------------------------------------------


def header_for(origin: Origin, version: int) -> bytes:
    """The header that tells a backend of this client; ``version``: 1 or 2.

    A client at a Unix socket has no address: the header then says that there is none to tell.
    """
    parties = _reconciled(origin)
    if version == 1:
        return _build_v1(parties)
    if parties is None:
        return _HEAD.pack(SIGNATURE, _LOCAL, 0, 0)
    source, destination = (ipaddress.ip_address(ip) for ip, _ in _ends(parties))
    family = 0x11 if source.version == 4 else 0x21
    addresses = _OVER_TCP[family].pack(
        source.packed, destination.packed, parties.source[1], parties.destination[1]
    )
    content = addresses + _tlvs_of(origin)
    return _HEAD.pack(SIGNATURE, _PROXY, family, len(content)) + content


def _build_v1(parties: Parties | None) -> bytes:
    if parties is None:
        return b"PROXY UNKNOWN\r\n"
    (source, source_port), (destination, port) = _ends(parties)
    family = "TCP6" if ":" in source else "TCP4"
    return f"PROXY {family} {source} {destination} {source_port} {port}\r\n".encode("ascii")


def _ends(parties: Parties) -> tuple[tuple[str, int], tuple[str, int]]:
    return parties.source, parties.destination


def _reconciled(origin: Origin) -> Parties | None:
    """Both ends in one family, as a header wants them; None where an end has no address.

    IPv4 that came as a part of IPv6 is IPv4 again; of two families, IPv4 becomes a part of IPv6.
    """
    source, destination = ip_of(origin.client_ip), ip_of(origin.server_ip)
    if source is None or destination is None:
        return None
    if source.version != destination.version:
        source, destination = _as_v6(source), _as_v6(destination)
    return Parties((str(source), origin.client_port), (str(destination), origin.server_port))


def _as_v6(address: IPAddress) -> IPAddress:
    if address.version == 6:
        return address
    return ipaddress.IPv6Address(b"\0" * 10 + b"\xff\xff" + address.packed)


def _tlvs_of(origin: Origin) -> bytes:
    """TLS, the name in its hello, and the id under which the log has the session."""
    tlvs = _tlv(_TLV_UNIQUE_ID, origin.session_id.encode("ascii")[:_UNIQUE_ID_LIMIT])
    if origin.tls is not None:
        tlvs += _tlv(_TLV_SSL, _ssl(origin.tls))
    name = origin.sni.encode("ascii", "ignore")
    if name and len(name) <= _AUTHORITY_LIMIT:
        tlvs += _tlv(_TLV_AUTHORITY, name)
    return tlvs


def _ssl(info: TLSInfo) -> bytes:
    parts = _tlv(_SSL_VERSION, info.version.encode("ascii", "ignore"))
    if info.cipher:
        parts += _tlv(_SSL_CIPHER, info.cipher.encode("ascii", "ignore"))
    return struct.pack("!BI", _CLIENT_USES_TLS, _NOT_VERIFIED) + parts


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value
