"""From the configuration to the constructors: the only place that turns its words into types."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from twisted.internet.task import deferLater

from mailroute.client_dialogue import ClientDialogue
from mailroute.config import model
from mailroute.destination_composition import make_destinations
from mailroute.errors import ConfigurationError, Failure, FailureKind
from mailroute.events import Login
from mailroute.net.connector import Connector, Dial, Limits, MakeDialogue
from mailroute.net.server_tls import Certificate, ServerTLS, ServerTLSSettings
from mailroute.net.splice import Splicer
from mailroute.net.transport import Clock
from mailroute.offer import Policy
from mailroute.protocols import PASS_THROUGH, PROTOCOLS, SERVED, Appearance, MakeServer
from mailroute.route import Announcement, Forwarding, Origin, Route, TLSMode
from mailroute.routing import Router, RoutingPolicy
from mailroute.sasl.external import External
from mailroute.sasl.registry import mechanisms
from mailroute.sasl.substitution import substituted
from mailroute.server_dialogue import ServerDialogue
from mailroute.session import Connect, Surroundings
from mailroute.table_composition import Wrap, as_it_is, make_tables, redis_settings
from mailroute.tables.aside import aside_of
from mailroute.tables.cached import CachedTable, CachePolicy
from mailroute.tables.contract import Table
from mailroute.tables.file import FileTable
from mailroute.tables.named import NamedTables
from mailroute.tables.redis import RedisTable
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import SqlSettings, SqlTable
from mailroute.tables.string_table import TableSource

__all__ = ["make_tables"]

Source = SqlTable | FileTable | TableSource


def make_source(
    configuration: model.Configuration,
    reactor: Any,
    tables: NamedTables | None = None,
    wrap: Wrap = as_it_is,
) -> Source:
    """The mapping's table; nothing is opened yet.

    ``tables`` are those of ``make_tables``, whose life is then their owner's; without them a
    mapping that is a table makes and owns it itself and what it is made of, each in its
    ``wrap``.  Raises ConfigurationError.
    """
    mapping = configuration.mapping
    if mapping.table is not None:
        named = tables
        if named is None:
            # The others serve nobody: they are asked by commands alone.
            named = make_tables(configuration, reactor, [mapping.table], wrap)
        return TableSource(named[mapping.table], named if tables is None else None)
    if mapping.redis is not None:
        settings = redis_settings(mapping.redis, mapping.table_timeout_seconds)
        redis = wrap("mapping.redis", RedisTable("mapping.redis", settings, reactor))
        return TableSource(redis, redis)
    if mapping.sql is not None:
        sql_settings = SqlSettings(
            url=mapping.sql.url.reveal(),
            query=mapping.sql.query,
            keys=mapping.sql.keys,
            pool_size=mapping.sql.pool_size,
            lookup_timeout=mapping.table_timeout_seconds,
        )
        return make_sql_table(sql_settings, reactor)
    if mapping.file is None:
        raise ConfigurationError(["mapping.source: nothing is configured"])
    return FileTable(mapping.file.path, make_destinations(configuration), aside_of(reactor))


def share_of(configuration: model.Configuration, workers: int | None = None) -> model.Configuration:
    """What one of so many workers may use of what the node may use; None: as little as can be.

    Each has one connection to the database at least.
    """
    mapping = configuration.mapping
    if mapping.sql is None:
        return configuration
    size = max(mapping.sql.pool_size // workers, 1) if workers is not None else 1
    sql = replace(mapping.sql, pool_size=size)
    return replace(configuration, mapping=replace(mapping, sql=sql))


def make_cache(configuration: model.Configuration, source: Table, reactor: Any) -> CachedTable:
    """The cache before the mapping."""
    mapping = configuration.mapping
    policy = CachePolicy(
        positive_ttl=mapping.positive_ttl_seconds,
        negative_ttl=mapping.negative_ttl_seconds,
        stale_ttl=mapping.stale_ttl_seconds,
        max_entries=mapping.cache_max_entries,
    )
    return CachedTable(source, reactor, policy)


def make_router(configuration: model.Configuration, table: CachedTable, reactor: Any) -> Router:
    """The router."""
    policy = make_policy(configuration)
    return Router(table, make_destinations(configuration), policy, reactor)


def make_policy(configuration: model.Configuration) -> RoutingPolicy:
    """The rules that the router keeps."""
    routing, mapping = configuration.routing, configuration.mapping
    return RoutingPolicy(
        default_destination=routing.default_destination,
        not_found=routing.not_found,
        undeclared=routing.undeclared,
        on_error=mapping.on_error,
        normalize=mapping.normalize,
        separators=routing.master_user_separators,
        extension_delimiter=routing.extension_delimiter,
        lookup_timeout_seconds=mapping.lookup_timeout_seconds,
    )


def make_server_tls(configuration: model.Configuration) -> ServerTLS | None:
    """Our certificates, if there are any; raises ConfigurationError for unusable ones."""
    if not configuration.certificates:
        return None
    protocols = configuration.tls_protocols
    settings = ServerTLSSettings(
        certificates=tuple(
            Certificate(c.cert, c.key, c.subjects, c.default) for c in configuration.certificates
        ),
        min_version=protocols.min_version,
        prefer_client_order=not protocols.ignore_client_order,
        disabled_ciphers=protocols.disable_cipher_suites,
    )
    try:
        tls = ServerTLS(settings)
    except Failure as failure:
        raise ConfigurationError([f"tls.certificate: {failure.reason}"]) from None
    for listener in configuration.listeners:
        try:
            # Read now, while every file may be.
            tls.side(listener.protocol, listener.client_ca)
        except Failure as failure:
            place = f"listener.{listener.name}.client_ca"
            raise ConfigurationError([f"{place}: {failure.reason}"]) from None
    return tls


def make_connector(
    configuration: model.Configuration,
    dial: Dial,
    clock: Clock,
    wrap: Callable[[MakeDialogue], MakeDialogue] | None = None,
) -> Connector:
    """What makes connections to backends; ``wrap`` stands round what makes their dialogues."""
    server = configuration.server
    make = client_dialogue_maker(server.hostname, server.proxy_ttl)
    return Connector(
        clock,
        dial,
        make if wrap is None else wrap(make),
        Limits(server.backend_timeout_seconds, server.backend_connect_retries),
    )


def make_surroundings(
    configuration: model.Configuration,
    router: Router,
    connect: Connect,
    splicer: Splicer,
    reactor: Any,
) -> Surroundings:
    """What every session shares."""

    async def pause(seconds: float) -> None:
        await deferLater(reactor, seconds)

    return Surroundings(
        routes=router,
        connect=connect,
        splice=splicer.splice,  # type: ignore[arg-type]
        seconds=reactor.seconds,
        pause=pause,
        auth_failure_delay_seconds=configuration.server.auth_failure_delay_seconds,
    )


def appearance(configuration: model.Configuration, protocol: str) -> Appearance:
    """What the operator says about how we look on this protocol."""
    capabilities = configuration.capabilities[protocol]
    return Appearance(
        configuration.server.hostname,
        capabilities.banner,
        capabilities.advertise,
        capabilities.implementation,
    )


def server_dialogue_maker(
    configuration: model.Configuration,
    listener: model.Listener,
    make_server: MakeServer | None = None,
) -> Callable[[], ServerDialogue]:
    """What makes the dialogue of each connection to this listener.

    ``make_server`` replaces what follows from the configuration alone.
    """
    if listener.protocol in PASS_THROUGH:
        opaque = PASS_THROUGH[listener.protocol].make_server(Appearance(""))
        return lambda: opaque(Policy((), starttls=False), True, 1)
    capabilities = configuration.capabilities[listener.protocol]
    wanted = [name.upper() for name in capabilities.sasl]
    policy = Policy(
        mechanisms=mechanisms(
            (name for name in wanted if name != External.name), configuration.jwt_username_claim
        ),
        starttls=listener.tls == "starttls",
        cleartext_logins=capabilities.allow_plain_auth_without_tls,
        external=External.name in wanted and listener.client_ca is not None,
    )
    looks = appearance(configuration, listener.protocol)
    make = make_server or PROTOCOLS[listener.protocol].make_server(looks)
    secure = listener.tls == "implicit"
    return lambda: make(policy, secure, listener.max_auth_attempts)


def client_dialogue_maker(
    hostname: str, proxy_ttl: int = 7
) -> Callable[[Route, Login, Origin], ClientDialogue]:
    """What makes the dialogue that logs in at a route's backend; it raises Failure.

    ``proxy_ttl``: how many proxies there may be behind us.
    """

    def make(route: Route, login: Login, origin: Origin) -> ClientDialogue:
        backend = route.backend
        has_leave = backend.tls is TLSMode.PLAIN and backend.allow_plaintext_auth
        is_as_said = (
            route.login_name is None and route.supplied is None and login.mechanism != External.name
        )
        dialogue = SERVED[origin.protocol].make_client(
            login if is_as_said else substituted(login, route.login_name, route.supplied),
            backend.tls is TLSMode.STARTTLS,
            backend.tls is TLSMode.IMPLICIT or has_leave,
            hostname,
        )
        if backend.mechanism is not None:
            dialogue.insist(backend.mechanism)
        if backend.forwarding is not Forwarding.NONE:
            announcement = Announcement(origin, _hops_left(origin, proxy_ttl))
            if backend.forwarding is Forwarding.XCLIENT:
                dialogue.announcement = announcement
        return dialogue

    return make


def _hops_left(origin: Origin, proxy_ttl: int) -> int:
    """How many proxies there may be from the backend on."""
    given = origin.introduction.hops_left
    hops = proxy_ttl if given is None else min(proxy_ttl, given - 1)
    if hops < 1:
        reason = "the login has come through as many proxies as it may: do they form a loop?"
        raise Failure(FailureKind.DESTINATION_UNKNOWN, reason)
    return hops
