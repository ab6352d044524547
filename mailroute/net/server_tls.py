"""TLS towards clients: our certificates, chosen by the name in the client's hello.

They are read as a whole, and replaced as a whole on reload.  A listener may ask clients for
certificates of their own, which prove who they are (EXTERNAL) and are never demanded.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from OpenSSL import SSL
from twisted.python.failure import Failure as Caught

from mailroute.net.certificates import client_names, server_names
from mailroute.net.tls import explain_ssl_error, load_authorities, load_key_pair, new_context


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate of ours: files in PEM, and the names in a client's hello that choose it."""

    chain_file: str
    key_file: str
    subjects: tuple[str, ...] = ()
    is_default: bool = False


@dataclass(frozen=True, slots=True)
class ServerTLSSettings:
    """What the operator says about TLS towards clients."""

    certificates: tuple[Certificate, ...]
    min_version: str = "1.2"
    prefer_client_order: bool = False
    disabled_ciphers: tuple[str, ...] = ()


class ServerTLS:
    """Our side towards clients."""

    def __init__(self, settings: ServerTLSSettings) -> None:
        """Raises Failure when a certificate cannot be used."""
        self._settings = settings
        self._shown: dict[str | None, _Shown] = {None: _Shown(settings, None)}
        """By the file with the authorities of clients' certificates."""

    def side(self, protocol: str, client_ca: str | None = None) -> ListenerTLS:
        """Our side at one listener; raises Failure for an unusable file of authorities."""
        if client_ca not in self._shown:
            self._shown[client_ca] = _Shown(self._settings, client_ca)
        return ListenerTLS(self, protocol, client_ca)

    def connection(
        self, sock: socket.socket | None, client_ca: str | None = None
    ) -> SSL.Connection:
        """See TLSSide."""
        connection = SSL.Connection(self._shown[client_ca].default, sock)
        connection.set_accept_state()
        return connection

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that is read."""
        pairs = [(each.chain_file, each.key_file) for each in self._settings.certificates]
        authorities = [path for path in self._shown if path is not None]
        return (*(path for pair in pairs for path in pair), *authorities)

    def reload(self) -> None:
        """Read all files again; raises Failure and keeps the old ones if one is broken."""
        self._shown = {client_ca: _Shown(self._settings, client_ca) for client_ca in self._shown}

    def verify(self, connection: SSL.Connection) -> tuple[str, ...]:
        """Clients are not asked for certificates."""
        return ()

    def explain(self, reason: Caught) -> str:
        """See TLSSide."""
        return explain_ssl_error(reason)


class ListenerTLS:
    """Our side towards the clients of one listener."""

    def __init__(self, tls: ServerTLS, protocol: str, client_ca: str | None) -> None:
        self._tls = tls
        self._protocol = protocol.encode()
        self._client_ca = client_ca
        self.explain = tls.explain

    def connection(self, sock: socket.socket | None) -> SSL.Connection:
        """See TLSSide."""
        connection = self._tls.connection(sock, self._client_ca)
        connection.set_app_data(self._protocol)
        return connection

    def verify(self, connection: SSL.Connection) -> tuple[str, ...]:
        """A certificate is welcome and not demanded; the handshake has verified it."""
        if self._client_ca is None:
            return ()
        certificate = connection.get_peer_certificate(as_cryptography=True)
        return () if certificate is None else client_names(certificate, datetime.now(UTC))


class _Shown:
    """Our certificates as they were read, ready to be shown."""

    def __init__(self, settings: ServerTLSSettings, client_ca: str | None) -> None:
        self._settings = settings
        self._client_ca = client_ca
        contexts = [(c, self._context(c)) for c in settings.certificates]
        self.default = next((context for c, context in contexts if c.is_default), contexts[0][1])
        self._by_name: dict[str, SSL.Context] = {}
        for certificate, context in sorted(contexts, key=lambda each: not each[0].subjects):
            # What the operator says goes before what the certificates say by themselves.
            for name in certificate.subjects or _own_names(certificate.chain_file):
                self._by_name.setdefault(name.lower(), context)

    def _context(self, certificate: Certificate) -> SSL.Context:
        settings = self._settings
        context = new_context(SSL.TLS_SERVER_METHOD, settings.min_version)
        if not settings.prefer_client_order:
            context.set_options(SSL.OP_CIPHER_SERVER_PREFERENCE)
        if settings.disabled_ciphers:
            names = ":".join("!" + name for name in settings.disabled_ciphers)
            context.set_cipher_list(f"DEFAULT:{names}".encode("ascii"))
        load_key_pair(context, certificate.chain_file, certificate.key_file)
        # Tickets resume a session; one with a certificate is resumed by its own listener alone.
        context.set_session_id(b"mailroute")
        context.set_tlsext_servername_callback(self._choose)
        context.set_alpn_select_callback(_select_protocol)
        if self._client_ca is not None:
            load_authorities(context, self._client_ca)
            context.load_client_ca(self._client_ca.encode())
            context.set_verify(SSL.VERIFY_PEER)
        return context

    def _choose(self, connection: SSL.Connection) -> None:
        name = (connection.get_servername() or b"").decode("ascii", "replace").lower()
        parent = "*." + name.partition(".")[2]
        context = self._by_name.get(name) or self._by_name.get(parent)
        if context is not None:
            connection.set_context(context)


def _own_names(chain_file: str) -> tuple[str, ...]:
    try:
        return server_names(chain_file)
    except (OSError, ValueError):
        # OpenSSL takes certificates that are no good for anything else: no name chooses them.
        return ()


def _select_protocol(connection: SSL.Connection, offered: list[bytes]) -> Any:
    """ALPN (RFC 7301): ours if the client offers it; one that offers others gets no answer."""
    ours = connection.get_app_data()
    return ours if ours in offered else SSL.NO_OVERLAPPING_PROTOCOLS
