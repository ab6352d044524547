"""A browser or a TLS client is told from a mail client by its first octets."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.wire.foreign import foreign_protocol


class ForeignTests(SynchronousTestCase):
    """Which first octets are no mail protocol."""

    def test_http(self) -> None:
        """A request line of HTTP, of any method."""
        for start in (
            b"GET / HTTP/1.1\r\n",
            b"POST /cgi?x=1 HTTP/1.0\r\n",
            b"CONNECT mail:25 HTTP/1.1\r\n",
            b"PRI * HTTP/2.0\r\n",
            b"OPTIONS * HTTP/",
        ):
            self.assertEqual(foreign_protocol(start), "http-request", start)

    def test_tls(self) -> None:
        """The record that carries a ClientHello."""
        for minor in b"\x00\x01\x03":
            start = b"\x16\x03" + bytes([minor]) + b"\x02\x00"
            self.assertEqual(foreign_protocol(start), "tls-hello-on-plain-port")

    def test_mail(self) -> None:
        """Commands of mail, however odd, and beginnings too short to tell."""
        for start in (
            b"",
            b"\x16",
            b"\x16\x02",
            b"GET",
            b"GET / HTT",
            b"a GET / HTTP/1.1",
            b"GET NOOP\r\n",
            b"GET  HTTP/1.1",
            b"get / http/1.1",
            b"USER alice\r\n",
            b"EHLO HTTP/1.1\r\n",
            b"GET LOGIN\r\nx HTTP/",
            b"GET LOGIN alice HTTP/1.1",
        ):
            self.assertIsNone(foreign_protocol(start), start)
