"""``[tls]``: the certificates that clients see, and how TLS is spoken with them."""

from __future__ import annotations

from typing import Any

from mailroute.config import values
from mailroute.config.document import Document
from mailroute.config.model import Certificate, TLSProtocols
from mailroute.config.schema import REQUIRED, Key, Section, named_tables

_HERE = ("tls", "certificate")

SECTION = Section("tls", "TLS with clients.", (), tables=("certificate", "protocols"))

CERTIFICATE_SECTION = Section(
    "tls.certificate.*",
    "A certificate for clients.",
    (
        Key("cert", values.readable_file, REQUIRED, "PEM file: the certificate and its chain."),
        Key("key", values.readable_file, REQUIRED, "PEM file: the private key."),
        Key("subjects", values.list_of(values.name), [], "Server names it is for; empty: its own."),
        Key("default", values.boolean, False, "Shown to clients that name no known server."),
    ),
)

PROTOCOLS_SECTION = Section(
    "tls.protocols",
    "How TLS is spoken with clients.",
    (
        Key("min_version", values.choice("1.2", "1.3"), "1.2", "Oldest TLS version."),
        Key(
            "ignore_client_order",
            values.boolean,
            False,
            "Whether our order of cipher suites goes before the client's.",
        ),
        Key(
            "disable_cipher_suites",
            values.list_of(values.name),
            [],
            "Cipher suites that are not offered, by OpenSSL's or the IANA's name.",
        ),
    ),
)


def read_tls(
    raw: object, document: Document
) -> tuple[tuple[Certificate, ...], TLSProtocols | None]:
    """Read ``[tls]``: certificates and protocol settings."""
    SECTION.read(raw, ("tls",), document)
    tables: dict[str, Any] = raw if isinstance(raw, dict) else {}
    certificates = _read_certificates(tables.get("certificate", {}), document)
    place = ("tls", "protocols")
    settings = PROTOCOLS_SECTION.read(tables.get("protocols", {}), place, document)
    return certificates, None if settings is None else TLSProtocols(**settings)


def _read_certificates(raw: object, document: Document) -> tuple[Certificate, ...]:
    settings_by_name = {}
    for name, path, table in named_tables(raw, _HERE, document):
        settings = CERTIFICATE_SECTION.read(table, path, document)
        if settings is not None:
            settings_by_name[name] = settings
    if len(settings_by_name) == 1:
        # The only certificate is the default one whether it says so or not.
        next(iter(settings_by_name.values()))["default"] = True
    defaults = [name for name, settings in settings_by_name.items() if settings["default"]]
    if settings_by_name and not defaults:
        document.complain(_HERE, "one of the certificates must have default = true")
    for name in defaults[1:]:
        document.complain(
            (*_HERE, name, "default"), f"{defaults[0]} is the default already: only one can be"
        )
    return tuple(Certificate(name=name, **s) for name, s in settings_by_name.items())
