"""TLS in memory: ends that begin with a handshake, and certificates of a private authority."""

from __future__ import annotations

import socket
import tempfile
from contextlib import suppress
from pathlib import Path
from shutil import rmtree
from typing import Any

from OpenSSL import SSL
from twisted.internet.interfaces import IHandshakeListener
from twisted.trial.unittest import SynchronousTestCase, TestCase
from zope.interface import implementer

from mailroute.net.server_tls import Certificate, ServerTLS, ServerTLSSettings
from tests.integration.certificates import Authority, Issued
from tests.support.local_reactor import Script

ROUNDS = 4
"""Flights of a handshake, and more."""


class AnyTLS:
    """A side that trusts everybody, for the ends that are not under test."""

    def __init__(self, context: SSL.Context, name: str = "") -> None:
        self._context = context
        self._name = name

    def connection(self, sock: socket.socket | None) -> SSL.Connection:
        """See TLSSide."""
        connection = SSL.Connection(self._context, sock)
        if self._name:
            connection.set_tlsext_host_name(self._name.encode("idna"))
        return connection


def trusting_client(name: str = "", method: int = SSL.TLS_CLIENT_METHOD) -> AnyTLS:
    """A client that asks for this name and believes everything."""
    return AnyTLS(SSL.Context(method), name)


def server_tls(issued: Issued, **settings: Any) -> ServerTLS:
    """Our own side towards clients, with one certificate."""
    certificate = Certificate(str(issued.cert), str(issued.key))
    return ServerTLS(ServerTLSSettings((certificate,), **settings))


def shake_hands(client: SSL.Connection, server: SSL.Connection) -> None:
    """The handshake of two connections over memory; raises SSL.Error where it fails."""
    for _ in range(ROUNDS):
        for near, far in ((client, server), (server, client)):
            with suppress(SSL.WantReadError):
                near.do_handshake()
            with suppress(SSL.WantReadError):
                far.bio_write(near.bio_read(65536))


@implementer(IHandshakeListener)
class SecureScript(Script):
    """A Script that begins with a handshake, in the role of its end of the connection."""

    def __init__(self, tls: object, greeting: bytes = b"", **kwargs: Any) -> None:
        super().__init__(b"", **kwargs)
        self._tls = tls
        self._secret_greeting = greeting
        self.handshakes = 0
        self.requested_name: str | None = None
        self.certificate_names = ""

    def connectionMade(self) -> None:
        super().connectionMade()
        self.transport.startTLS(self._tls)

    def handshakeCompleted(self) -> None:
        self.handshakes += 1
        handle = self.transport.getHandle()
        name = handle.get_servername()
        self.requested_name = name.decode() if name else None
        certificate = handle.get_peer_certificate(as_cryptography=True)
        if certificate is not None:
            self.certificate_names = certificate.subject.rfc4514_string()
        if self._secret_greeting:
            self.say(self._secret_greeting)


class Certificates:
    """An authority in a folder that lives as long as the test."""

    def __init__(self, case: SynchronousTestCase | TestCase) -> None:
        self.folder = Path(tempfile.mkdtemp())
        case.addCleanup(rmtree, self.folder)
        self.authority = Authority(self.folder)

    @property
    def ca_file(self) -> str:
        """What a trust names."""
        return str(self.authority.ca_file)

    def issue(self, label: str, *names: str | bytes, valid_days: int = 30) -> Issued:
        """See Authority."""
        return self.authority.issue(label, names or (label,), valid_days)
