"""TLS on both legs: contexts, and what makes a backend's certificate the right one.

What a client is shown is the matter of ``server_tls``.  The backend's leg verifies the
certificate against the name in the configuration (RFC 9525, through service_identity), or
against a pin.
"""

from __future__ import annotations

import os
import socket
from dataclasses import replace
from typing import Protocol as Shape

from cryptography.x509 import DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType
from OpenSSL import SSL
from service_identity import CertificateError, VerificationError
from service_identity.pyopenssl import verify_hostname, verify_ip_address
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.python.failure import Failure as Caught

from mailroute.errors import Failure, FailureKind
from mailroute.events import TLSInfo
from mailroute.route import Trust

_NO_RENEGOTIATION = getattr(SSL, "OP_NO_RENEGOTIATION", 0x40000000)
_RELEASE_BUFFERS = 0x10
_UNREADABLE = (DuplicateExtension, InvalidVersion, UnsupportedGeneralNameType)
"""What cryptography raises for certificates that OpenSSL has accepted."""
_VERIFY_ERRORS = {
    9: "it is not valid yet",
    10: "it has expired",
    18: "it is self-signed",
    19: "its chain ends in a self-signed certificate that is not trusted",
    20: "its issuer is not trusted",
    21: "its issuer is not trusted",
    23: "it is revoked",
    26: "it is not meant for servers",
}


class TLSSide(Shape):
    """How one side of a connection begins TLS and what it demands of the other."""

    def connection(self, sock: socket.socket | None) -> SSL.Connection:
        """TLS over this socket, or over memory, about to begin the handshake."""

    def verify(self, connection: SSL.Connection) -> tuple[str, ...]:
        """Check the other side after the handshake; raises Failure.

        Returns the names by which a client has proved to be known, the most important first.
        """

    def explain(self, reason: Caught) -> str:
        """Why a handshake failed, for the log."""


def tls_info(connection: SSL.Connection) -> TLSInfo:
    """What is known of a connection after its handshake."""
    name = connection.get_servername()
    return TLSInfo(
        connection.get_protocol_version_name(),
        connection.get_cipher_name() or "",
        name.decode("ascii", "replace") if name else None,
    )


def explain_ssl_error(reason: Caught) -> str:
    """OpenSSL's own words for a failed handshake."""
    error: BaseException | None = reason.value
    entries = error.args[0] if error is not None and error.args else ()
    words = [entry[2] for entry in entries] if isinstance(entries, list) else []
    return ": ".join(["TLS handshake failed", *words])


def new_context(method: int, min_version: str) -> SSL.Context:
    """A context with what both legs share."""
    context = SSL.Context(method)
    context.set_min_proto_version(
        SSL.TLS1_3_VERSION if min_version == "1.3" else SSL.TLS1_2_VERSION
    )
    context.set_options(SSL.OP_NO_COMPRESSION | _NO_RENEGOTIATION)
    # An idle connection gives its 32 KiB of record buffers back.
    context.set_mode(_RELEASE_BUFFERS)
    return context


def load_key_pair(context: SSL.Context, chain_file: str, key_file: str) -> None:
    """Load a certificate chain and its key; raises Failure naming the file at fault."""
    for path in (chain_file, key_file):
        if not os.access(path, os.R_OK):
            raise Failure(FailureKind.INTERNAL, f"{path}: cannot be read")
    try:
        context.use_certificate_chain_file(chain_file)
    except SSL.Error:
        raise Failure(FailureKind.INTERNAL, f"{chain_file}: holds no PEM certificate") from None
    # OpenSSL would ask at a terminal: a check there succeeds, and the service does not start.
    context.set_passwd_cb(lambda *_: b"")
    try:
        context.use_privatekey_file(key_file)
        context.check_privatekey()
    except SSL.Error:
        reason = f"{key_file}: holds no PEM key, or not the one of {chain_file},"
        reason += " or one with a passphrase"
        raise Failure(FailureKind.INTERNAL, reason) from None


class BackendTLS:
    """Our side of one connection to a backend."""

    def __init__(self, context: SSL.Context, trust: Trust, name: str) -> None:
        """``name``: what the certificate must stand for; raises Failure for an impossible one."""
        self._context = context
        self._trust = trust
        self._name = name
        self._sent_name = _server_name(name)
        self.complaint = ""
        """What OpenSSL found wrong with the certificate."""

    def connection(self, sock: socket.socket | None) -> SSL.Connection:
        """See TLSSide."""
        connection = SSL.Connection(self._context, sock)
        connection.set_connect_state()
        if _verifies(self._trust):
            connection.set_verify(SSL.VERIFY_PEER, self._note_complaint)
        if self._sent_name is not None:
            connection.set_tlsext_host_name(self._sent_name)
        return connection

    def verify(self, connection: SSL.Connection) -> tuple[str, ...]:
        """The certificate is the pinned one, or stands for the configured name."""
        # As OpenSSL has it: a pin, or none at all, is for what cryptography cannot read as well.
        certificate = connection.get_peer_certificate()
        if certificate is None:
            raise Failure(FailureKind.BACKEND_UNTRUSTED, "backend sent no certificate")
        if self._trust.pinned_sha256 is not None:
            found = bytes.fromhex(certificate.digest("sha256").decode("ascii").replace(":", ""))
            if found != self._trust.pinned_sha256:
                raise Failure(FailureKind.BACKEND_UNTRUSTED, "certificate is not the pinned one")
        elif not self._trust.allow_invalid:
            self._verify_name(connection)
        return ()

    def explain(self, reason: Caught) -> str:
        """See TLSSide; a refused certificate is explained by what was wrong with it."""
        return explain_ssl_error(reason) + self.complaint

    def _note_complaint(
        self, connection: SSL.Connection, certificate: object, *verdict: int
    ) -> bool:
        """What OpenSSL calls for each certificate of the chain."""
        error, _depth, good = verdict
        if not good:
            self.complaint = ": " + _VERIFY_ERRORS.get(error, f"X509 error {error}")
        return bool(good)

    def _verify_name(self, connection: SSL.Connection) -> None:
        try:
            if is_address(self._name):
                verify_ip_address(connection, self._name)
            else:
                verify_hostname(connection, self._name)
        except _UNREADABLE:
            reason = "the names of the certificate cannot be read"
            raise Failure(FailureKind.BACKEND_UNTRUSTED, reason) from None
        except (VerificationError, CertificateError, ValueError):
            reason = f"certificate is not for {self._name}"
            raise Failure(FailureKind.BACKEND_UNTRUSTED, reason) from None


class BackendContexts:
    """One context for each kind of trust: loading authorities is expensive."""

    def __init__(self) -> None:
        self._contexts: dict[Trust, SSL.Context] = {}

    def side(self, trust: Trust, host: str) -> BackendTLS:
        """Our side of a new connection; ``host`` is the configured one.

        Raises Failure when a file of the trust cannot be used.
        """
        # Names are many where rows may give them; what a context loads does not depend on them.
        files = replace(trust, server_name=None)
        if files not in self._contexts:
            self._contexts[files] = _backend_context(files)
        return BackendTLS(self._contexts[files], trust, trust.server_name or host)

    def renew(self) -> list[str]:
        """Read all files again; returns what is wrong with those whose old content stays."""
        complaints = []
        for files in self._contexts:
            try:
                self._contexts[files] = _backend_context(files)
            except Failure as failure:
                complaints.append(failure.reason)
        return complaints


def _verifies(trust: Trust) -> bool:
    """Whether OpenSSL has to find a chain from the certificate to an authority."""
    return trust.pinned_sha256 is None and not trust.allow_invalid


def _backend_context(trust: Trust) -> SSL.Context:
    context = new_context(SSL.TLS_CLIENT_METHOD, "1.2")
    if _verifies(trust):
        load_authorities(context, trust.ca_file)
        context.set_verify(SSL.VERIFY_PEER)
    if trust.client_certificate is not None:
        load_key_pair(
            context, trust.client_certificate, trust.client_key or trust.client_certificate
        )
    return context


def load_authorities(context: SSL.Context, ca_file: str | None) -> None:
    """Trust those in a file, or the platform's; raises Failure naming the file."""
    if ca_file is None:
        context.set_default_verify_paths()
        return
    try:
        context.load_verify_locations(ca_file)
    except SSL.Error:
        reason = f"{ca_file}: holds no PEM certificates, or cannot be read"
        raise Failure(FailureKind.BACKEND_UNTRUSTED, reason) from None


def _server_name(name: str) -> bytes | None:
    """What is sent of a name: nothing for an address (RFC 6066 section 3)."""
    if is_address(name):
        return None
    try:
        return name.encode("idna")
    except UnicodeError:
        raise Failure(FailureKind.BACKEND_UNTRUSTED, f"{name!r} is no host name") from None


def is_address(name: str) -> bool:
    """Whether this is an IP literal rather than a name."""
    return isIPAddress(name) or isIPv6Address(name)
