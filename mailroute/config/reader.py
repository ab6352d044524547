"""``read``: the configuration file as a checked ``Configuration``, or every complaint at once."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from mailroute.config import (
    capabilities,
    checks,
    destinations,
    listeners,
    mapping,
    routes,
    server,
    tables,
    tls,
    values,
)
from mailroute.config.document import Document, Surroundings
from mailroute.config.model import Configuration
from mailroute.config.positions import lines_of_keys
from mailroute.config.schema import Key, Section
from mailroute.errors import ConfigurationError

ROOT = Section(
    "",
    "The whole file.",
    (
        Key("limits", values.anything, {}, "Limits by address and user.", built=False),
        Key("admin", values.anything, {}, "The management interface.", built=False),
        Key("serve", values.anything, {}, "What else is served.", built=False),
    ),
    tables=(
        *("server", "listener", "destination", "routing", "mapping", "table", "tls"),
        *("capabilities", "oauth"),
    ),
    http_only=("http",),
)

OAUTH_SECTION = Section(
    "oauth",
    "What is read from tokens.",
    (
        Key(
            "jwt_username_claim",
            values.name,
            None,
            "Claim that names the account where neither a= nor user= does.",
        ),
    ),
)

SECTIONS: tuple[Section, ...] = (
    server.SECTION,
    listeners.SECTION,
    destinations.SECTION,
    destinations.ENDPOINT_SECTION,
    routes.SECTION,
    mapping.SECTION,
    mapping.SQL_SECTION,
    mapping.FILE_SECTION,
    mapping.REDIS_SECTION,
    mapping.TABLE_SECTION,
    *tables.SECTIONS.values(),
    tls.CERTIFICATE_SECTION,
    tls.PROTOCOLS_SECTION,
    *capabilities.SECTIONS.values(),
    OAUTH_SECTION,
)
"""Every section with keys, in the order in which a reader of the documentation wants them."""


def read(path: str, *, environment: Mapping[str, str], text: str | None = None) -> Configuration:
    """Read and check the configuration file at ``path``.

    ``environment`` holds the variables that secrets may refer to; ``text`` is what the file
    held at a moment that matters.  Raises ConfigurationError with all complaints, each a
    sentence with file, line and key.
    """
    path = os.path.abspath(path)
    if text is None:
        text = load(path)
    try:
        tree = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        # The message has the line, never the text of it.
        raise ConfigurationError([f"{path}: not valid TOML: {error}"]) from None
    surroundings = Surroundings(os.path.dirname(path), environment)
    document = Document(path, lines_of_keys(text), surroundings)
    oauth = OAUTH_SECTION.read(tree.get("oauth", {}), ("oauth",), document)
    configuration = _read_tree(tree, document)
    if document.complaints or configuration is None:
        raise ConfigurationError(document.complaints)
    return replace(configuration, **(oauth or {}))


def load(path: str) -> str:
    """The text of the file; raises ConfigurationError."""
    try:
        with open(path, "rb") as file:
            octets = file.read()
    except OSError as error:
        raise ConfigurationError([f"{path}: cannot read it: {error.strerror}"]) from None
    try:
        return octets.decode("utf-8")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise ConfigurationError([f"{path}:{line}: not UTF-8 text"]) from None


def _read_tree(tree: dict[str, Any], document: Document) -> Configuration | None:
    ROOT.read(tree, (), document)
    process = server.read_server(tree.get("server", {}), document)
    places = listeners.read_listeners(tree.get("listener", {}), document)
    backends = destinations.read_destinations(tree.get("destination", {}), document)
    routing = routes.read_routing(tree.get("routing", {}), document)
    lookup = mapping.read_mapping(tree.get("mapping", {}), document)
    named = tables.read_tables(tree.get("table", {}), document)
    certificates, protocols = tls.read_tls(tree.get("tls", {}), document)
    offers = capabilities.read_capabilities(tree.get("capabilities", {}), document)
    checks.check_listeners(places, _names_certificate(tree), offers, document)
    checks.check_offers(places, offers, backends, document)
    checks.check_routing(routing, lookup, backends.keys(), document)
    checks.check_mapping_table(lookup, _names(tree, "table"), document)
    checks.check_protocols(places, backends, routing, document)
    if process is None or routing is None or lookup is None or protocols is None:
        return None
    return Configuration(
        path=document.path,
        server=process,
        listeners=places,
        destinations=backends,
        routing=routing,
        mapping=lookup,
        certificates=certificates,
        tls_protocols=protocols,
        capabilities=offers,
        warnings=document.warnings,
        tables=named,
    )


def _names(tree: Mapping[str, Any], section: str) -> frozenset[str]:
    """The names in a section, be they of tables with faults of their own."""
    given = tree.get(section)
    return frozenset(given) if isinstance(given, dict) else frozenset()


def _names_certificate(tree: Mapping[str, Any]) -> bool:
    """Whether there is a certificate, be it one with faults of its own."""
    settings = tree.get("tls")
    return isinstance(settings, dict) and bool(settings.get("certificate"))
