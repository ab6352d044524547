"""From ``[destination.*]`` to what logins are routed to, and what is wrong there."""

from __future__ import annotations

from mailroute.config import model
from mailroute.destinations import LABEL, Destination, Destinations
from mailroute.errors import Failure
from mailroute.net.sockets import fault_of_source
from mailroute.net.tls import BackendContexts
from mailroute.route import Backend, Forwarding, TLSMode, Trust


def make_destinations(configuration: model.Configuration) -> Destinations:
    """What a looked-up value can mean."""
    return Destinations(
        declared_destinations(configuration), configuration.routing.address_destination
    )


def declared_destinations(configuration: model.Configuration) -> dict[str, Destination]:
    """The destinations and patterns by their names."""
    return {name: _destination(d) for name, d in configuration.destinations.items()}


def check_trust(configuration: model.Configuration, contexts: BackendContexts) -> list[str]:
    """Complaints about the files by which backends are trusted; ``contexts`` keep the others."""
    complaints = []
    for name, destination in configuration.destinations.items():
        try:
            # Whether a file can be read does not depend on the label of a pattern.
            contexts.side(_trust(destination), destination.hosts[0].replace(LABEL, "1"))
        except Failure as failure:
            complaints.append(f"destination.{name}: {failure.reason}")
    return complaints


def check_sources(configuration: model.Configuration) -> list[str]:
    """Warnings about addresses from which no connection can be made now.

    They may come later: an address that moves between machines is on one of them only.
    """
    warnings = []
    for name, destination in configuration.destinations.items():
        for address in destination.source_ips:
            if fault := fault_of_source(address):
                warnings.append(
                    f"destination.{name}.source_ips: {address} is no address of this machine"
                    f" ({fault}); connections from it fail until it is"
                )
    return warnings


def _destination(destination: model.Destination) -> Destination:
    trust = _trust(destination)
    endpoints = {
        protocol: Backend(
            hosts=destination.hosts,
            port=endpoint.port,
            tls=TLSMode(endpoint.tls),
            trust=trust,
            allow_plaintext_auth=destination.allow_plaintext_auth,
            forwarding=Forwarding(endpoint.forwarding),
            proxy_version=destination.proxy_version or 2,
            source_ips=destination.source_ips,
        )
        for protocol, endpoint in destination.endpoints.items()
    }
    password = destination.password
    return Destination(
        name=destination.name,
        endpoints=endpoints,
        hide_auth_errors=destination.hide_auth_errors,
        allow_row_tls_name=destination.allow_row_tls_name,
        username=destination.username,
        password=None if password is None else password.reveal(),
        master_user=destination.master_user,
        replaces_unchecked=destination.allow_unchecked_passwords,
    )


def _trust(destination: model.Destination) -> Trust:
    return Trust(
        server_name=destination.tls_server_name,
        ca_file=destination.tls_ca_file,
        pinned_sha256=destination.tls_pinned_cert_sha256,
        allow_invalid=destination.tls_allow_invalid_certs,
        client_certificate=destination.tls_client_cert,
        client_key=destination.tls_client_key,
    )
