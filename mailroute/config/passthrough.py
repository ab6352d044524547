"""What pass-through listeners, for mail transfer, demand of the rest of the file."""

from __future__ import annotations

from collections.abc import Mapping

from mailroute.config.destinations import declared_for
from mailroute.config.document import Document
from mailroute.config.listeners import PASS_THROUGH
from mailroute.config.model import Destination, Listener, Routing


def check_pass_through(
    listeners: tuple[Listener, ...],
    destinations: Mapping[str, Destination],
    routing: Routing | None,
    document: Document,
) -> None:
    """Each such listener has a destination, and no STARTTLS stands in a stream unseen."""
    _check_endpoints(destinations, document)
    named = routing.smtp_passthrough_destination if routing is not None else None
    declared = declared_for(named or "", destinations)
    target = destinations.get(declared or "")
    place = ("routing", "smtp_passthrough_destination")
    if named is not None and target is None:
        known = ", ".join(sorted(destinations)) or "none"
        document.complain(place, f"there is no destination {named!r}; declared: {known}")
    for listener in listeners:
        if listener.protocol not in PASS_THROUGH:
            continue
        if listener.tls == "starttls":
            document.complain(
                ("listener", listener.name, "tls"),
                f"{listener.protocol} is passed through unread: STARTTLS would be the backend's;"
                " use plain or implicit",
            )
        if named is None:
            document.complain(
                ("listener", listener.name, "protocol"),
                f"{listener.protocol} is passed through: set routing.smtp_passthrough_destination",
            )
        elif target is not None and listener.protocol not in target.endpoints:
            document.complain(place, f"{named!r} does not serve {listener.protocol}")


def _check_endpoints(destinations: Mapping[str, Destination], document: Document) -> None:
    for name, destination in destinations.items():
        for protocol in PASS_THROUGH & destination.endpoints.keys():
            endpoint = destination.endpoints[protocol]
            place = ("destination", name, "protocol", protocol)
            if endpoint.tls == "starttls":
                document.complain(
                    (*place, "tls"),
                    f"{protocol} is passed through unread: STARTTLS is the client's affair;"
                    " use plain or implicit",
                )
            if endpoint.forwarding == "xclient":
                document.warn(
                    (*place, "forwarding"),
                    f"{protocol} is passed through unread: nobody can say XCLIENT in it; only"
                    " a PROXY header tells of the client",
                )
