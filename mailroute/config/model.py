"""The configuration as values.  Durations are seconds, paths absolute, secrets hidden.

The words (``imap``, ``starttls``, ``reject``) are the configuration's own; ``service`` turns
them into the types of the rooms that it builds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from mailroute.config.hidden import Secret
from mailroute.config.table_model import RedisSettings, TableSettings

__all__ = ["Secret"]

TIMEOUT_MARGIN_SECONDS = 0.1
TIMEOUT_MARGIN_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class Server:
    """``[server]``"""

    hostname: str
    workers: int
    user: str | None
    group: str | None
    shutdown_grace_seconds: float
    bridge_idle_seconds: float
    backend_timeout_seconds: float
    backend_connect_retries: int
    auth_failure_delay_seconds: float
    log_level: str
    """debug, info, warn, error, critical"""
    log_format: str
    """text, json"""
    proxy_ttl: int = 7


@dataclass(frozen=True, slots=True)
class Bind:
    """One place to listen at."""

    kind: str
    """tcp, unix, systemd"""
    address: str
    """The IP address without brackets, the path of the socket, or the name systemd gave it."""
    port: int = 0
    """For tcp; 0: any free port."""

    def __str__(self) -> str:
        if self.kind != "tcp":
            return f"{self.kind}:{self.address}"
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Listener:
    """``[listener.NAME]``"""

    name: str
    protocol: str
    """imap, pop3, submission, managesieve"""
    binds: tuple[Bind, ...]
    tls: str
    """implicit, starttls, plain"""
    max_connections: int
    preauth_timeout_seconds: float
    max_auth_attempts: int
    proxy_protocol: str = "off"
    """off, optional, required"""
    proxy_trusted: tuple[str, ...] = ()
    """IP networks; not empty unless ``proxy_protocol`` is off."""
    client_ca: str | None = None
    """Path of the PEM file with the authorities of clients' certificates."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``[destination.NAME.protocol.PROTO]``"""

    port: int
    tls: str
    """implicit, starttls, plain"""
    forwarding: str | None = "none"
    """none, proxy, xclient; None only until the destination's own word is known"""


@dataclass(frozen=True, slots=True)
class Destination:
    """``[destination.NAME]``"""

    name: str
    hosts: tuple[str, ...]
    """Host names or IP addresses without brackets, in the order of trying."""
    tls_server_name: str | None
    tls_ca_file: str | None
    tls_pinned_cert_sha256: bytes | None
    """32 octets"""
    tls_allow_invalid_certs: bool
    tls_client_cert: str | None
    tls_client_key: str | None
    allow_plaintext_auth: bool
    allow_row_tls_name: bool
    hide_auth_errors: bool
    endpoints: Mapping[str, Endpoint]
    """By protocol."""
    username: str | None = None
    password: Secret | None = None
    master_user: str | None = None
    allow_unchecked_passwords: bool = False
    proxy_version: int = 0
    """1 or 2: of the PROXY header; 0: nothing was said of one."""
    source_ips: tuple[str, ...] = ()
    """IP addresses without brackets or scopes."""


@dataclass(frozen=True, slots=True)
class Routing:
    """``[routing]``"""

    default_destination: str | None
    master_user_separators: tuple[str, ...]
    not_found: str
    """default, reject, tempfail; already decided where the file leaves it out"""
    undeclared: str
    """tempfail, default"""
    extension_delimiter: str
    address_destination: str | None = None
    smtp_passthrough_destination: str | None = None


@dataclass(frozen=True, slots=True)
class SqlMapping:
    """``[mapping.sql]``"""

    url: Secret
    """Relative SQLite paths are already absolute: ``sqlite:///...``."""
    query: str
    pool_size: int
    keys: tuple[str, ...]
    upsert_query: str | None = None
    delete_query: str | None = None
    list_query: str | None = None


@dataclass(frozen=True, slots=True)
class FileMapping:
    """``[mapping.file]``"""

    path: str


@dataclass(frozen=True, slots=True)
class LookupSettings:
    """``[mapping]``; exactly one of ``sql file redis table`` is set, as ``source`` says."""

    source: str
    """sql, file, redis, table"""
    normalize: str
    """none, lowercase"""
    positive_ttl_seconds: float
    negative_ttl_seconds: float
    stale_ttl_seconds: float
    cache_max_entries: int
    lookup_timeout_seconds: float
    on_error: str
    """tempfail, default"""
    sql: SqlMapping | None
    file: FileMapping | None
    redis: RedisSettings | None = None
    table: str | None = None
    """The name of a table."""

    @property
    def table_timeout_seconds(self) -> float:
        """What a table gives itself for a lookup.

        A little less than whoever waits for it: the table knows what it waited for, and can say so.
        """
        margin = min(TIMEOUT_MARGIN_SECONDS, self.lookup_timeout_seconds * TIMEOUT_MARGIN_SHARE)
        return self.lookup_timeout_seconds - margin


@dataclass(frozen=True, slots=True)
class Certificate:
    """``[tls.certificate.NAME]``"""

    name: str
    cert: str
    """Path of the PEM file with the chain."""
    key: str
    """Path of the PEM file with the private key."""
    subjects: tuple[str, ...]
    default: bool
    """True for exactly one certificate, if there is any."""


@dataclass(frozen=True, slots=True)
class TLSProtocols:
    """``[tls.protocols]``"""

    min_version: str
    """1.2, 1.3"""
    ignore_client_order: bool
    disable_cipher_suites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """``[capabilities.PROTO]``"""

    sasl: tuple[str, ...]
    allow_plain_auth_without_tls: bool
    banner: str | None
    advertise: tuple[str, ...] | None
    """IMAP capabilities (``advertise``), EHLO keywords (``ehlo``) or Sieve extensions (``sieve``);
    None for POP3, where nothing can be said of them."""
    implementation: str | None = None
    """What ManageSieve calls us."""
    learn: bool = False
    learn_interval_seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Configuration:
    """The whole file, checked."""

    path: str
    server: Server
    listeners: tuple[Listener, ...]
    """In the file's order."""
    destinations: Mapping[str, Destination]
    routing: Routing
    mapping: LookupSettings
    certificates: tuple[Certificate, ...]
    tls_protocols: TLSProtocols
    capabilities: Mapping[str, Capabilities]
    """For each of imap, pop3, submission and managesieve."""
    warnings: tuple[str, ...]
    tables: Mapping[str, TableSettings] = field(default_factory=dict)
    """By name; what chains name is among them."""
    jwt_username_claim: str | None = None
    """``[oauth]``: the claim of a token that names the account where nothing else does."""
