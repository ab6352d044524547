"""The names in a certificate: those of a server of ours, and those of a client who shows one."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID


def server_names(chain_file: str) -> tuple[str, ...]:
    """The host names of the first certificate in a PEM file; raises OSError, ValueError.

    The common name counts where there are no others, as it does for old clients.
    """
    with open(chain_file, "rb") as file:
        octets = file.read()
    try:
        certificate = x509.load_pem_x509_certificates(octets)[0]
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None
    alternatives = _alternatives(certificate)
    if alternatives is None:
        return _common_names(certificate)
    return tuple(alternatives.get_values_for_type(x509.DNSName))


def client_names(certificate: x509.Certificate, now: datetime) -> tuple[str, ...]:
    """Who a client is: the mail addresses of its certificate, else its common name.

    Whether the certificate is genuine was found out by the handshake: by the first one of a
    session that is resumed, which may go on behind the certificate's end.
    """
    try:
        if certificate.not_valid_after_utc < now:
            return ()
        alternatives = _alternatives(certificate)
        addresses = alternatives.get_values_for_type(x509.RFC822Name) if alternatives else []
        return tuple(addresses) or _common_names(certificate)[:1]
    except ValueError:
        # Signed by a trusted authority and malformed all the same: it names nobody.
        return ()


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    """Raises ValueError for a malformed certificate."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return None
    except (x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        # A certificate may hold what cryptography cannot read, and has no ValueError for.
        raise ValueError(str(error)) from None
    return extension.value


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(str(attribute.value) for attribute in attributes)
