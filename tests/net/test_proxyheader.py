"""PROXY headers: read within bounds, in whatever pieces they come."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import ip_address
from socket import AF_INET, AF_INET6, inet_pton

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.protocols.haproxy._v1parser import V1Parser
from twisted.protocols.haproxy._v2parser import V2Parser
from twisted.trial.unittest import SynchronousTestCase

from mailroute.events import TLSInfo
from mailroute.net.proxyheader import (
    SIGNATURE,
    V1_LIMIT,
    V2_LIMIT,
    BadHeader,
    NoHeader,
    Parties,
    header_for,
    length_of,
    parse,
)
from mailroute.route import Origin

V4 = Parties(("203.0.113.9", 40000), ("192.0.2.1", 993))
V6 = Parties(("2001:db8::9", 40000), ("2001:db8::1", 993))
V1 = b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 993\r\n"
ADDRESSES_V4 = struct.pack(
    "!4s4sHH", inet_pton(AF_INET, "203.0.113.9"), inet_pton(AF_INET, "192.0.2.1"), 40000, 993
)
ADDRESSES_V6 = struct.pack(
    "!16s16sHH", inet_pton(AF_INET6, "2001:db8::9"), inet_pton(AF_INET6, "2001:db8::1"), 40000, 993
)
bounded = settings(max_examples=100, deadline=None, derandomize=True)


def version2(family: int, content: bytes, command: int = 0x21) -> bytes:
    """A header of version 2."""
    return SIGNATURE + struct.pack("!BBH", command, family, len(content)) + content


def origin(client: str, server: str, sni: str = "", tls: TLSInfo | None = None) -> Origin:
    """A session between these addresses."""
    return Origin("s1d", "imap", client, 40000, server, 993, sni, tls=tls)


class LengthTests(SynchronousTestCase):
    """How much of a connection's beginning is its header."""

    def test_every_cut(self) -> None:
        """A header in pieces is waited for; what follows it does not belong to it."""
        for header in (
            V1,
            b"PROXY UNKNOWN\r\n",
            version2(0x11, ADDRESSES_V4),
            version2(0x00, b"", 0x20),
        ):
            for cut in range(1, len(header)):
                self.assertIsNone(length_of(header[:cut]), header[:cut])
            for tail in (b"", b"a", b"\x16\x03\x01", header):
                self.assertEqual(length_of(header + tail), len(header))

    def test_no_header(self) -> None:
        """Anything else is seen at the first octet that differs."""
        for data in (b"\x16\x03\x01\x02\x00", b"a NOOP\r\n", b"PRO X", b"\r\n\r\n\0\r\nQUIX"):
            self.assertRaises(NoHeader, length_of, data)

    def test_bound_of_version_1(self) -> None:
        """107 octets with the end of the line (section 2.1 of the specification)."""
        longest = b"PROXY UNKNOWN " + b"x" * (V1_LIMIT - 16) + b"\r\n"
        self.assertEqual(len(longest), 107)
        self.assertEqual(length_of(longest), 107)
        self.assertIsNone(length_of(longest[:-1]))
        for data in (b"x".join([longest[:-2], b"\r\n"]), longest[:-2] + b"xx"):
            error = self.assertRaises(BadHeader, length_of, data)
            self.assertNotIsInstance(error, NoHeader)

    def test_bound_of_version_2(self) -> None:
        """A length beyond the bound is refused by its announcement, not waited for."""
        room = V2_LIMIT - 16
        self.assertIsNone(length_of(version2(0x11, bytes(room))[:16]))
        head = version2(0x11, b"")[:14]
        error = self.assertRaises(BadHeader, length_of, head + struct.pack("!H", room + 1))
        self.assertIn("4097", str(error))
        self.assertEqual(length_of(version2(0x11, bytes(room))), V2_LIMIT)


class ParseTests(SynchronousTestCase):
    """Who the parties are."""

    def test_version_1(self) -> None:
        """Both families, addresses in their canonical form."""
        self.assertEqual(parse(V1), V4)
        text = b"PROXY TCP6 2001:DB8:0:0::9 2001:db8::0001 40000 993\r\n"
        self.assertEqual(parse(text), V6)

    def test_version_2(self) -> None:
        """Both families."""
        self.assertEqual(parse(version2(0x11, ADDRESSES_V4)), V4)
        self.assertEqual(parse(version2(0x21, ADDRESSES_V6)), V6)

    def test_tlvs_are_skipped(self) -> None:
        """Whatever stands behind the addresses, known or unknown, whole or not."""
        for tlvs in (b"\x04\0\0", b"\xea\0\x03abc", b"\x20\xff", bytes(500)):
            self.assertEqual(parse(version2(0x11, ADDRESSES_V4 + tlvs)), V4)

    def test_connection_for_itself(self) -> None:
        """LOCAL, UNKNOWN and families without an IP address: the real addresses count."""
        for header in (
            b"PROXY UNKNOWN\r\n",
            b"PROXY UNKNOWN 2001:db8::9 2001:db8::1 1 2\r\n",
            version2(0x00, b"", 0x20),
            version2(0x11, ADDRESSES_V4, 0x20),
            version2(0x99, b"junk", 0x20),
            version2(0x00, b""),
            version2(0x31, bytes(216)),
        ):
            self.assertIsNone(parse(header), header)

    def test_bad(self) -> None:
        """A header that says nonsense is none: nobody's address is guessed."""
        for header in (
            b"PROXY\r\n",
            b"PROXY \r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 40000\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 993 x\r\n",
            b"PROXY TCP4 203.0.113.9  192.0.2.1 40000 993\r\n",
            b"PROXY TCP4 203.0.113.256 192.0.2.1 40000 993\r\n",
            b"PROXY TCP4 2001:db8::9 2001:db8::1 40000 993\r\n",
            b"PROXY TCP6 203.0.113.9 192.0.2.1 40000 993\r\n",
            b"PROXY TCP6 2001:db8::9 192.0.2.1 40000 993\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 65536 993\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 +1 993\r\n",
            b"PROXY UDP4 203.0.113.9 192.0.2.1 40000 993\r\n",
            b"PROXY TCP4 203.0.113.9 192.0.2.1 40000 993\n\r\n",
            version2(0x11, ADDRESSES_V4[:-1]),
            version2(0x21, ADDRESSES_V4),
            version2(0x12, ADDRESSES_V4),
            version2(0x41, ADDRESSES_V4),
            version2(0x11, ADDRESSES_V4, 0x22),
            version2(0x11, ADDRESSES_V4, 0x11),
        ):
            self.assertRaises(BadHeader, parse, header)

    @bounded
    @given(
        st.sampled_from(
            (b"PROXY ", b"PROXY TCP4 ", b"PROXY TCP6 ::1 ", SIGNATURE, SIGNATURE + b"!")
        ),
        st.binary(max_size=200),
    )
    def test_any_bytes(self, start: bytes, rest: bytes) -> None:
        """Parties, nothing, or BadHeader; never another exception."""
        data = start + rest
        try:
            length = length_of(data)
            if length is not None:
                assert length <= len(data)
                parse(data[:length])
        except BadHeader:
            pass


class BuildTests(SynchronousTestCase):
    """What a backend is told; Twisted's own parsers, written by others, understand it."""

    def test_both_versions_and_families(self) -> None:
        """The addresses of the client and of where it connected to."""
        for source, destination, kind in (
            ("203.0.113.9", "192.0.2.1", IPv4Address),
            ("2001:db8::9", "2001:db8::1", IPv6Address),
        ):
            ends = Parties((source, 40000), (destination, 993))
            one = header_for(origin(source, destination), 1)
            info = V1Parser.parse(one.removesuffix(b"\r\n"))
            self.assertEqual(info.source, kind("TCP", source, 40000))
            self.assertEqual(info.destination, kind("TCP", destination, 993))
            self.assertEqual((length_of(one), parse(one)), (len(one), ends))
            two = header_for(origin(source, destination, "mail.example.org"), 2)
            info = V2Parser.parse(two)
            assert isinstance(info.source, kind)
            self.assertEqual((info.source.port, info.destination.port), (40000, 993))
            self.assertEqual((length_of(two), parse(two)), (len(two), ends))

    def test_text(self) -> None:
        """Version 1 as the specification's examples are."""
        self.assertEqual(header_for(origin("203.0.113.9", "192.0.2.1"), 1), V1)

    def test_families_agree(self) -> None:
        """A header has one family: IPv4 is IPv4 again, or becomes a part of IPv6."""
        for client, server, wanted in (
            ("::ffff:203.0.113.9", "::ffff:192.0.2.1", ("203.0.113.9", "192.0.2.1")),
            ("::ffff:203.0.113.9", "192.0.2.1", ("203.0.113.9", "192.0.2.1")),
            ("2001:db8::9", "192.0.2.1", ("2001:db8::9", "::ffff:192.0.2.1")),
            ("203.0.113.9", "2001:db8::1", ("::ffff:203.0.113.9", "2001:db8::1")),
            ("fe80::9%eth0", "fe80::1%eth0", ("fe80::9", "fe80::1")),
        ):
            for version in (1, 2):
                parties = parse(header_for(origin(client, server), version))
                assert parties is not None
                found = (parties.source[0], parties.destination[0])
                addresses = [str(ip_address(ip)) for ip in wanted]
                self.assertEqual([str(ip_address(ip)) for ip in found], addresses)

    def test_no_address(self) -> None:
        """A client at a Unix socket: the backend is told that there is nothing to tell."""
        unix = Origin("s1d", "imap", "unix", 0, "unix", 0)
        self.assertEqual(header_for(unix, 1), b"PROXY UNKNOWN\r\n")
        self.assertEqual(header_for(unix, 2), SIGNATURE + b"\x20\0\0\0")
        self.assertIsNone(parse(header_for(unix, 2)))

    def tlvs(self, header: bytes) -> dict[int, bytes]:
        return dict(split(header[16 + len(ADDRESSES_V4) :]))

    def test_tlvs(self) -> None:
        """The session's id; of TLS, version and cipher; the name in the client's hello."""
        self.assertEqual(
            self.tlvs(header_for(origin("203.0.113.9", "192.0.2.1"), 2)), {0x05: b"s1d"}
        )
        info = TLSInfo("TLSv1.3", "TLS_AES_256_GCM_SHA384", "mail.example.org")
        client = origin("203.0.113.9", "192.0.2.1", "mail.example.org", info)
        found = self.tlvs(header_for(client, 2))
        self.assertEqual(set(found), {0x02, 0x05, 0x20})
        self.assertEqual(found[0x02], b"mail.example.org")
        # The client uses TLS (bit 0), and has shown no certificate that was verified.
        self.assertEqual(found[0x20][:5], b"\x01\0\0\0\x01")
        inner = dict(split(found[0x20][5:]))
        self.assertEqual(inner, {0x21: b"TLSv1.3", 0x23: b"TLS_AES_256_GCM_SHA384"})

    def test_bounds(self) -> None:
        """A name that no hello can hold is left out; the longest session id is 128 octets."""
        header = header_for(origin("203.0.113.9", "192.0.2.1", "a" * 256), 2)
        self.assertEqual(set(self.tlvs(header)), {0x05})
        long = Origin("s" * 300, "imap", "203.0.113.9", 1, "192.0.2.1", 993)
        self.assertEqual(self.tlvs(header_for(long, 2)), {0x05: b"s" * 128})


def split(tlvs: bytes) -> Iterator[tuple[int, bytes]]:
    """Each TLV's type and value."""
    while tlvs:
        kind, length = struct.unpack_from("!BH", tlvs)
        yield kind, tlvs[3 : 3 + length]
        tlvs = tlvs[3 + length :]
