"""From the configuration of listeners to what listens: the rest is ``composition``'s."""

from __future__ import annotations

from dataclasses import replace

from mailroute import composition
from mailroute.config import model
from mailroute.destination_composition import make_destinations
from mailroute.errors import ConfigurationError
from mailroute.fixed_route import FixedRoute
from mailroute.net.header_peer import Headers, Proxies
from mailroute.net.listener import Terms
from mailroute.net.networks import Networks
from mailroute.net.own_places import OwnPlaces
from mailroute.net.server_tls import ServerTLS
from mailroute.net.transport import Clock
from mailroute.protocols import PASS_THROUGH, SERVED, MakeServer
from mailroute.route import TLSMode
from mailroute.session import Surroundings


def make_terms(
    configuration: model.Configuration,
    listener: model.Listener,
    tls: ServerTLS | None,
    make_server: MakeServer | None = None,
) -> Terms:
    """What a listener serves, and to whom; ``tls``: our certificates, if there are any.

    ``make_server`` replaces what follows from the configuration alone.
    """
    return Terms(
        protocol=listener.protocol,
        tls_mode=TLSMode(listener.tls),
        tls=tls and tls.side(listener.protocol, listener.client_ca),
        make_dialogue=composition.server_dialogue_maker(configuration, listener, make_server),
        full=SERVED[listener.protocol].full,
        max_connections=listener.max_connections,
        preauth_seconds=listener.preauth_timeout_seconds,
        is_verbose=configuration.server.log_level == "debug",
        proxies=make_proxies(listener),
    )


def make_proxies(listener: model.Listener) -> Proxies | None:
    """Who is in front of this listener, if anybody may be."""
    if not listener.proxy_trusted:
        return None
    return Proxies(Headers(listener.proxy_protocol), Networks(listener.proxy_trusted))


def surroundings_for(
    configuration: model.Configuration, listener: model.Listener, around: Surroundings
) -> Surroundings:
    """What the sessions of this listener share: those of mail transfer are all for one place."""
    if listener.protocol not in PASS_THROUGH:
        return around
    name = configuration.routing.smtp_passthrough_destination or ""
    destination = make_destinations(configuration).get(name)
    if destination is None:
        raise ConfigurationError([f"routing.smtp_passthrough_destination: there is no {name!r}"])
    backend = destination.endpoints[listener.protocol]
    return replace(around, routes=FixedRoute(destination.name, backend))


def own_places(configuration: model.Configuration, clock: Clock) -> OwnPlaces:
    """Where we listen, as far as the configuration says: sockets of systemd's are not known."""
    binds = [bind for listener in configuration.listeners for bind in listener.binds]
    return OwnPlaces(((bind.address, bind.port) for bind in binds if bind.kind == "tcp"), clock)
