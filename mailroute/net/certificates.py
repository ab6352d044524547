"""What is read in certificates: the names and the time of ours, and who a client is by its own."""

from __future__ import annotations

from datetime import datetime

from cryptography import x509
from cryptography.x509.oid import NameOID


def server_names(chain_file: str) -> tuple[str, ...]:
    """The host names of the first certificate in a PEM file; raises OSError, ValueError.

    The common name counts where there are no others, as it does for old clients.
    """
    certificate = _chain(chain_file)[0]
    alternatives = _alternatives(certificate)
    if alternatives is None:
        return _common_names(certificate)
    return tuple(alternatives.get_values_for_type(x509.DNSName))


def untimely(chain_file: str, now: datetime) -> list[str]:
    """Which certificates of a PEM file are not valid now, in words; raises OSError, ValueError.

    Clients refuse a chain for any of them (RFC 5280 section 6.1.3).
    """
    chain = _chain(chain_file)
    found = []
    for number, certificate in enumerate(chain, 1):
        which = f"certificate {number} of {len(chain)}"
        if now > certificate.not_valid_after_utc:
            found.append(
                f"{which} has expired: it was valid until {_shown(certificate.not_valid_after_utc)}"
            )
        elif now < certificate.not_valid_before_utc:
            found.append(f"{which} is valid from {_shown(certificate.not_valid_before_utc)} on")
    return found


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


def _chain(chain_file: str) -> list[x509.Certificate]:
    """At least one; raises OSError, ValueError."""
    with open(chain_file, "rb") as file:
        octets = file.read()
    try:
        return x509.load_pem_x509_certificates(octets)
    except x509.InvalidVersion as error:
        raise ValueError(str(error)) from None


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


def _shown(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def _common_names(certificate: x509.Certificate) -> tuple[str, ...]:
    attributes = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return tuple(str(attribute.value) for attribute in attributes)
