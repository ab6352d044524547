"""``[destination.NAME]``: the backends, by the names that tables use."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.listeners import PASS_THROUGH, PROTOCOLS, TLS_MODES
from mailroute.config.model import Destination, Endpoint
from mailroute.config.positions import KeyPath
from mailroute.config.schema import (
    REQUIRED,
    Key,
    Parser,
    Section,
    as_table,
    complain_unknown,
    named_tables,
)
from mailroute.config.secrets import secret, warn_if_open
from mailroute.patterns import is_pattern, label_of

_TLS_KEYS = (
    Key(
        "tls_server_name",
        values.host,
        None,
        "Name that the certificate must have; unset: the host.",
    ),
    Key("tls_ca_file", values.readable_file, None, "PEM file that replaces the platform's CAs."),
    Key(
        "tls_pinned_cert_sha256",
        values.sha256_fingerprint,
        None,
        "SHA-256 of the certificate, in hexadecimal; replaces CA and name checks.",
    ),
    Key("tls_allow_invalid_certs", values.boolean, False, "Accept any certificate: dangerous."),
    Key("tls_client_cert", values.readable_file, None, "PEM file: our certificate."),
    Key("tls_client_key", values.readable_file, None, "PEM file: the key of our certificate."),
    Key(
        "allow_plaintext_auth",
        values.boolean,
        False,
        "Whether credentials may be sent without TLS: dangerous.",
    ),
    Key(
        "allow_row_tls_name",
        values.boolean,
        False,
        "Whether a row's tls_name may replace the name that the certificate must have.",
    ),
)

_LOGIN_KEYS = (
    Key("username", values.words_of_one_line, None, "Name that replaces the client's."),
    Key(
        "password",
        secret,
        None,
        "Password that replaces the client's, for clients who proved who they are (EXTERNAL).",
    ),
    Key(
        "master_user",
        values.words_of_one_line,
        None,
        "Whose password this is: logs in on behalf of the account.",
    ),
    Key(
        "allow_unchecked_passwords",
        values.boolean,
        False,
        "Whether our password replaces client passwords that nobody has checked: dangerous.",
    ),
)

FORWARDINGS = ("none", "proxy", "xclient")
_VERSIONS = {"v1": 1, "v2": 2}


def _proxy_version(raw: object, surroundings: Surroundings) -> int:
    """0: no PROXY header; else its version."""
    if isinstance(raw, bool):
        return 2 if raw else 0
    if isinstance(raw, str) and raw in _VERSIONS:
        return _VERSIONS[raw]
    raise ValueError(f'must be false, true (version 2), "v2" or "v1", not {values.shown(raw)}')


_FORWARDING_KEYS = (
    Key(
        "proxy_protocol",
        _proxy_version,
        False,
        'PROXY header to the backend, which must expect one: false, true (version 2), "v1".',
        field="proxy_version",
    ),
    Key(
        "forwarding",
        values.choice(*FORWARDINGS),
        None,
        "How the client's address is told: none, proxy, xclient; unset: as proxy_protocol says.",
    ),
)

_SOURCE_KEY = Key(
    "source_ips",
    values.list_of(values.own_address),
    [],
    "Addresses of this machine to connect from, in turn; those of the backend's family count.",
)

_LATER_KEYS = (
    Key("state", values.text, "active", "active, drain or down.", built=False),
    Key("max_connections", values.anything, None, "Sessions at once.", built=False),
)

SECTION = Section(
    "destination.*",
    "A backend; the name is what lookups return.",
    (
        Key("host", values.host, None, "Host name or IP address; either this or hosts."),
        Key("hosts", values.list_of(values.host, least=1), None, "Several, tried in order."),
        *_TLS_KEYS,
        Key("hide_auth_errors", values.boolean, False, "Hide the backend's words of refusal."),
        *_LOGIN_KEYS,
        *_FORWARDING_KEYS,
        _SOURCE_KEY,
        *_LATER_KEYS,
    ),
    tables=("protocol",),
    http_only=("forwarded",),
)


def _host_of_label(raw: object, surroundings: Surroundings) -> str:
    """A host in which ``{1}`` stands for the label."""
    text = values.text(raw, surroundings)
    values.host(text.replace("{1}", "1"), surroundings)
    return text


_OF_LABELS: Mapping[str, Parser] = {
    "host": _host_of_label,
    "hosts": values.list_of(_host_of_label, least=1),
    "tls_server_name": _host_of_label,
}

PATTERN_SECTION = replace(
    SECTION,
    keys=tuple(replace(key, parse=_OF_LABELS.get(key.name, key.parse)) for key in SECTION.keys),
)

ENDPOINT_SECTION = Section(
    "destination.*.protocol.*",
    "Where the backend serves one protocol: imap, pop3, submission or managesieve.",
    (
        Key("port", values.port, REQUIRED, "Port of this protocol."),
        Key("tls", values.choice(*TLS_MODES), REQUIRED, "implicit, starttls or plain."),
        Key(
            "forwarding",
            values.choice(*FORWARDINGS),
            None,
            "How the client's address is told; unset: as the destination says.",
        ),
    ),
)


def read_destinations(raw: object, document: Document) -> dict[str, Destination]:
    """Read ``[destination.*]``, those that can be built."""
    destinations = {}
    for name, path, table in named_tables(raw, ("destination",), document):
        if name.count("*") > 1:
            document.complain(path, "a name has at most one *, which stands for one label")
            continue
        section = PATTERN_SECTION if is_pattern(name) else SECTION
        settings = section.read(table, path, document)
        endpoints = _read_endpoints(table.get("protocol", {}), (*path, "protocol"), document)
        if settings is None:
            continue
        hosts = _hosts(settings.pop("host"), settings.pop("hosts"), table, path, document)
        endpoints = _forwarding(settings.pop("forwarding"), settings["proxy_version"], endpoints)
        destination = Destination(name=name, hosts=hosts, endpoints=endpoints, **settings)
        _check_tls(destination, path, document)
        _check_login(destination, path, document)
        if destination.password is not None:
            warn_if_open(table["password"], (*path, "password"), document)
        _check_forwarding(destination, path, document)
        destinations[name] = destination
    return destinations


def declared_for(name: str, declared: Iterable[str]) -> str | None:
    """Return the declared name, or the pattern, that serves ``name``."""
    names = tuple(declared)
    if name in names:
        return None if is_pattern(name) else name
    fitting = (pattern for pattern in names if is_pattern(pattern) and label_of(pattern, name))
    return next(fitting, None)


def _hosts(
    host: str | None,
    hosts: tuple[str, ...] | None,
    table: Mapping[str, Any],
    path: KeyPath,
    document: Document,
) -> tuple[str, ...]:
    if "host" in table and "hosts" in table:
        document.complain((*path, "hosts"), "give either host or hosts, not both")
    elif "host" not in table and "hosts" not in table:
        document.complain((*path, "host"), "missing: give host or hosts")
    return hosts or ((host,) if host is not None else ())


def _read_endpoints(raw: object, path: KeyPath, document: Document) -> dict[str, Endpoint]:
    endpoints = {}
    for protocol, table in as_table(raw, path, document).items():
        place = (*path, protocol)
        if protocol == "http":
            document.ignore_as_http(place)
        elif protocol not in (*PROTOCOLS, *PASS_THROUGH):
            complain_unknown(place, [*PROTOCOLS, *PASS_THROUGH], document)
        elif (settings := ENDPOINT_SECTION.read(table, place, document)) is not None:
            endpoints[protocol] = Endpoint(**settings)
    return endpoints


def _check_login(destination: Destination, path: KeyPath, document: Document) -> None:
    if destination.master_user is not None and destination.password is None:
        document.complain((*path, "master_user"), "needs the password of this user")
    if destination.allow_unchecked_passwords:
        document.warn(
            (*path, "allow_unchecked_passwords"),
            "nobody checks the passwords of clients where our own replaces them: "
            "whoever names an account gets its mail",
        )


def _forwarding(
    word: str | None, proxy_version: int, endpoints: Mapping[str, Endpoint]
) -> dict[str, Endpoint]:
    """The endpoints, each with its own word or the destination's."""
    default = word or ("proxy" if proxy_version else "none")
    return {
        protocol: replace(endpoint, forwarding=endpoint.forwarding or default)
        for protocol, endpoint in endpoints.items()
    }


def _check_forwarding(destination: Destination, path: KeyPath, document: Document) -> None:
    if not destination.proxy_version:
        return
    if not any(endpoint.forwarding == "proxy" for endpoint in destination.endpoints.values()):
        document.warn(
            (*path, "proxy_protocol"), "no PROXY header is sent: forwarding says otherwise"
        )


def _check_tls(destination: Destination, path: KeyPath, document: Document) -> None:
    if (destination.tls_client_cert is None) != (destination.tls_client_key is None):
        document.complain(path, "tls_client_cert and tls_client_key need each other")
    if destination.tls_allow_invalid_certs:
        document.warn(
            (*path, "tls_allow_invalid_certs"),
            "any certificate is accepted: whoever is in between can read every password",
        )
    if destination.allow_plaintext_auth:
        document.warn(
            (*path, "allow_plaintext_auth"),
            "passwords may be sent to this backend without encryption",
        )
        return
    for protocol, endpoint in destination.endpoints.items():
        if endpoint.tls == "plain" and protocol in PROTOCOLS:
            document.warn(
                (*path, "protocol", protocol, "tls"),
                "no password is sent without TLS, so no login will succeed here; "
                "set allow_plaintext_auth if that is wanted",
            )
