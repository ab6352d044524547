"""What the sections demand of each other.  Each check complains or warns; none raises."""

from __future__ import annotations

from collections.abc import Mapping, Set

from mailroute.config.destinations import declared_for
from mailroute.config.document import Document
from mailroute.config.listeners import PASS_THROUGH
from mailroute.config.model import (
    Bind,
    Capabilities,
    Destination,
    Listener,
    LookupSettings,
    Routing,
)
from mailroute.config.passthrough import check_pass_through
from mailroute.config.tables import unknown_table


def check_listeners(
    listeners: tuple[Listener, ...],
    has_certificate: bool,
    capabilities: Mapping[str, Capabilities],
    document: Document,
) -> None:
    """TLS needs a certificate; an address can be bound once; a login must be possible."""
    _check_binds(listeners, document)
    for listener in listeners:
        place = ("listener", listener.name)
        if listener.tls != "plain" and not has_certificate:
            document.complain(
                (*place, "tls"), f"{listener.tls} needs a certificate: add [tls.certificate.NAME]"
            )
        offer = capabilities.get(listener.protocol)
        if listener.tls == "plain" and offer and not offer.allow_plain_auth_without_tls:
            document.warn(
                (*place, "tls"),
                "no password is accepted without TLS, so nobody can log in here; set "
                f"capabilities.{listener.protocol}.allow_plain_auth_without_tls if that is wanted",
            )


def check_external(
    listeners: tuple[Listener, ...],
    capabilities: Mapping[str, Capabilities],
    destinations: Mapping[str, Destination],
    document: Document,
) -> None:
    """EXTERNAL needs the authorities of certificates, TLS, and a password for the backends."""
    for listener in listeners:
        place = ("listener", listener.name, "client_ca")
        offer = capabilities.get(listener.protocol)
        is_wanted = offer is not None and "EXTERNAL" in offer.sasl
        if listener.client_ca is None:
            if is_wanted and listener.tls != "plain":
                document.warn(place, "EXTERNAL is not offered here without client_ca")
        elif listener.tls == "plain":
            document.complain(place, "certificates are shown over TLS alone, and tls is plain")
        elif not is_wanted:
            document.warn(
                place, f"no use without EXTERNAL in capabilities.{listener.protocol}.sasl"
            )
        elif all(each.password is None for each in destinations.values()):
            document.warn(
                place,
                "no destination has a password for EXTERNAL: only rows with one can be logged in",
            )


def _check_binds(listeners: tuple[Listener, ...], document: Document) -> None:
    holders: dict[Bind, str] = {}
    for listener in listeners:
        for bind in listener.binds:
            if bind.kind == "tcp" and bind.port == 0:
                # Any free port: each one is another.
                continue
            if bind in holders:
                document.complain(
                    ("listener", listener.name, "bind"),
                    f"{bind} is bound by listener {holders[bind]} already",
                )
            holders.setdefault(bind, listener.name)


def check_offers(
    listeners: tuple[Listener, ...],
    capabilities: Mapping[str, Capabilities],
    destinations: Mapping[str, Destination],
    document: Document,
) -> None:
    """What is offered is safe, and can be kept."""
    check_capabilities(capabilities, document)
    check_external(listeners, capabilities, destinations, document)


def check_capabilities(capabilities: Mapping[str, Capabilities], document: Document) -> None:
    """Passwords in the clear deserve a word."""
    for protocol, offer in capabilities.items():
        if offer.allow_plain_auth_without_tls:
            document.warn(
                ("capabilities", protocol, "allow_plain_auth_without_tls"),
                "clients may send passwords without encryption",
            )


def check_routing(
    routing: Routing | None,
    mapping: LookupSettings | None,
    declared: Set[str],
    document: Document,
) -> None:
    """The default destination exists where it is named and where it is needed."""
    default = routing.default_destination if routing is not None else None
    address = routing.address_destination if routing is not None else None
    for key, named in (("default_destination", default), ("address_destination", address)):
        if named is not None and declared_for(named, declared) is None:
            known = ", ".join(sorted(declared)) or "none"
            document.complain(
                ("routing", key), f"there is no destination {named!r}; declared: {known}"
            )
    if not declared:
        document.complain(("destination",), "there is no destination: no login could succeed")
    users = {
        ("routing", "not_found"): routing.not_found if routing is not None else "",
        ("routing", "undeclared"): routing.undeclared if routing is not None else "",
        ("mapping", "on_error"): mapping.on_error if mapping is not None else "",
    }
    for place, policy in users.items():
        if policy == "default" and default is None:
            document.complain(place, '"default" needs routing.default_destination')


def check_mapping_table(
    mapping: LookupSettings | None, names: frozenset[str], document: Document
) -> None:
    """The table that is the mapping exists."""
    if mapping is not None and mapping.table is not None and mapping.table not in names:
        document.complain(("mapping", "table", "name"), unknown_table(mapping.table, names))


def check_protocols(
    listeners: tuple[Listener, ...],
    destinations: Mapping[str, Destination],
    routing: Routing | None,
    document: Document,
) -> None:
    """Name the listeners whose clients would find no backend of their protocol."""
    check_pass_through(listeners, destinations, routing, document)
    default = routing.default_destination if routing is not None else None
    home_name = declared_for(default or "", destinations)
    for listener in listeners:
        place = ("listener", listener.name, "protocol")
        protocol = listener.protocol
        if protocol in PASS_THROUGH:
            continue
        if not any(protocol in d.endpoints for d in destinations.values()):
            document.warn(place, f"no destination serves {protocol}: every login will fail")
        elif (home := destinations.get(home_name or "")) and protocol not in home.endpoints:
            document.warn(place, f"the default destination {default!r} does not serve {protocol}")
