"""Everything that a configuration names, tried: files, keys, tables, statements, host names."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.threads import deferToThreadPool

from mailroute import composition, destination_composition
from mailroute.config.model import Configuration
from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.mapping_composition import make_mapping_store
from mailroute.net.certificates import untimely
from mailroute.net.tls import BackendContexts, is_address
from mailroute.patterns import is_pattern
from mailroute.tables.contract import Key
from mailroute.tables.named import NamedTables

NOBODY = "mailroute-check@example.invalid"
"""Whom tables are asked for: nobody has this address (RFC 2606 section 2)."""
RESOLVE_SECONDS = 15.0

T = TypeVar("T")
Resolve = Callable[[str], Awaitable[object]]
"""Finds the addresses of a host name; raises OSError, UnicodeError or TimeoutError."""


class Findings:
    """What was found so far, each thing once."""

    def __init__(self) -> None:
        self.complaints: list[str] = []
        self.warnings: list[str] = []

    def complain(self, *complaints: str) -> None:
        """The configuration is at fault."""
        self.complaints += [each for each in complaints if each not in self.complaints]

    def warn(self, *warnings: str) -> None:
        """Something is doubtful."""
        self.warnings += [each for each in warnings if each not in self.warnings]

    def attempt(self, job: Callable[[], T]) -> T | None:
        """Do something; its complaints are found, and None is returned then."""
        try:
            return job()
        except ConfigurationError as error:
            self.complain(*error.complaints)
            return None

    def tried(self, check: Callable[[], Sequence[str]]) -> bool:
        """Try something that returns warnings; tell whether it can be served."""
        warnings = self.attempt(check)
        self.warn(*(warnings or ()))
        return warnings is not None


def check_files(configuration: Configuration, findings: Findings) -> None:
    """Certificates with their keys, and what backends are trusted by."""
    findings.warn(*configuration.warnings)
    findings.attempt(lambda: composition.make_server_tls(configuration))
    findings.warn(*_untimely(configuration, datetime.now(UTC)))
    findings.warn(*destination_composition.check_sources(configuration))
    findings.complain(*destination_composition.check_trust(configuration, BackendContexts()))


def _untimely(configuration: Configuration, now: datetime) -> list[str]:
    """Our certificates that clients refuse at this time; the service would serve them."""
    found = []
    for certificate in configuration.certificates:
        place = f"tls.certificate.{certificate.name}: {certificate.cert}"
        # A file that cannot be read has been complained of.
        with contextlib.suppress(OSError, ValueError):
            found += [f"{place}: {words}" for words in untimely(certificate.cert, now)]
    return found


async def check_tables(configuration: Configuration, reactor: Any, findings: Findings) -> None:
    """Every table is opened, its statements are prepared, and it is asked for nobody.

    The start of the service only warns of a database that is away; here it is a complaint.
    """
    tables = findings.attempt(lambda: composition.make_tables(configuration, reactor))
    if tables is None:
        return
    usable = [name for name, table in tables.items() if findings.tried(table.check)]
    await tables.start()
    try:
        for name in usable:
            await _ask_table(tables, name, findings)
        await _check_mapping(configuration, reactor, tables, findings)
    finally:
        await tables.close()


async def check_names(configuration: Configuration, resolve: Resolve, findings: Findings) -> None:
    """Every destination's host has an address; a pattern's has a name only with its label."""
    places = [
        (f"destination.{name}", host)
        for name, destination in configuration.destinations.items()
        if not is_pattern(name)
        for host in destination.hosts
        if not is_address(host)
    ]
    hosts = list(dict.fromkeys(host for _, host in places))
    asked = [Deferred.fromCoroutine(_fault_of(host, resolve)) for host in hosts]
    faults = dict(zip(hosts, [await each for each in asked], strict=True))
    for place, host in places:
        if faults[host]:
            findings.complain(f"{place}: the host {host} has no address: {faults[host]}")


def resolver(reactor: Any) -> Resolve:
    """The system's resolver, in the reactor's threads."""

    async def resolve(host: str) -> object:
        asked = deferToThreadPool(
            reactor, reactor.getThreadPool(), socket.getaddrinfo, host, None, 0, socket.SOCK_STREAM
        )
        return await asked.addTimeout(RESOLVE_SECONDS, reactor)

    return resolve


async def _fault_of(host: str, resolve: Resolve) -> str:
    try:
        await resolve(host)
    except TimeoutError:
        return f"no answer within {RESOLVE_SECONDS:g} s"
    except UnicodeError:
        return "this is no host name"
    except OSError as error:
        return error.strerror or str(error)
    return ""


async def _ask_table(tables: NamedTables, name: str, findings: Findings) -> None:
    try:
        await tables[name].get(NOBODY)
    except LookupFailed as failed:
        findings.complain(f"table.{name}: it cannot be asked: {failed.reason}")


async def _check_mapping(
    configuration: Configuration, reactor: Any, tables: NamedTables, findings: Findings
) -> None:
    source = findings.attempt(lambda: composition.make_source(configuration, reactor, tables))
    if source is None or not findings.tried(source.check):
        return
    sql = configuration.mapping.sql
    if sql is not None and (sql.upsert_query or sql.delete_query or sql.list_query):
        store = findings.attempt(lambda: make_mapping_store(configuration, reactor, tables))
        if store is not None:
            findings.tried(store.check)
    await source.start()
    try:
        await source.lookup(_key(configuration))
    except LookupFailed as failed:
        findings.complain(f"mapping: it cannot be asked: {failed.reason}")
    finally:
        await source.close()


def _key(configuration: Configuration) -> Key:
    """Addresses are those of documentation (RFC 5737): a query may need some."""
    return Key(
        identifier=NOBODY,
        protocol=configuration.listeners[0].protocol,
        client_ip="192.0.2.1",
        server_ip="192.0.2.2",
        sni=configuration.server.hostname,
        extension_delimiter=configuration.routing.extension_delimiter,
    )
