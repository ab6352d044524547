"""From a login's name to its route: identity -> normalised key -> row -> Route.

The three answers of a table stay apart: found leads to a route, absent to the policy
``not_found``, failed to a temporary failure.  Everything that cannot be a route is raised as a
Failure; nothing is logged here.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from mailroute.credentials import Identity, Supplied
from mailroute.destinations import Destination, is_host, redirected
from mailroute.errors import Failure, FailureKind, LookupFailed
from mailroute.route import Forwarding, Origin, Route, TLSMode
from mailroute.tables.contract import Key, Row, Table

NAME_LIMIT_OCTETS = 512

# C0, DEL, C1, and surrogates, which no UTF-8 has.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_NAMES_SHOWN = 10

T = TypeVar("T")


class Clock(Protocol):
    """The part of a reactor that calls later."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: Any) -> Any:
        """Call after ``delay`` seconds."""


@runtime_checkable
class PeekingTable(Table, Protocol):
    """A table that remembers answers and can give them without waiting."""

    def peek(self, key: Key) -> object:
        """Return a Row, None (absent), or anything else if no answer is remembered."""


@runtime_checkable
class RevalidatingTable(Table, Protocol):
    """A table that remembers answers and can be made to ask again."""

    async def revalidate(self, key: Key) -> object:
        """Look past what is remembered.

        Return a Row, None (absent), or anything else if it is not to be asked now.  Raises
        LookupFailed.
        """


class Directory(Protocol):
    """The destinations by what names them."""

    def get(self, name: str, /) -> Destination | None:
        """Return the destination that a looked-up value means."""

    def __iter__(self) -> Iterator[str]:
        """The declared names, for messages."""


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """The rules of ``[routing]`` and ``[mapping]``, in the configuration's words."""

    default_destination: str | None = None
    not_found: str = "reject"
    """default, reject, tempfail"""
    undeclared: str = "tempfail"
    """tempfail, default"""
    on_error: str = "tempfail"
    """tempfail, default"""
    normalize: str = "none"
    """none, lowercase"""
    separators: tuple[str, ...] = ("%",)
    extension_delimiter: str = ""
    lookup_timeout_seconds: float = 5.0


def normalize(name: str, mode: str) -> str:
    """Return the key for ``name``; ``mode`` is none or lowercase (NFC, then lower case).

    Never casefold: it would make one account of ``straße`` and ``strasse``.  Raises Failure
    (NAME_UNUSABLE) for a name that could not be looked up, logged or written safely.
    """
    fault = _fault_of_name(name)
    if fault is None and mode == "lowercase":
        name = unicodedata.normalize("NFC", name).lower()
        # Both steps can make a name longer.
        fault = _fault_of_name(name)
    if fault is not None:
        raise Failure(FailureKind.NAME_UNUSABLE, f"the account's name {fault}")
    return name


def mailbox_owner(name: str, separators: tuple[str, ...]) -> str:
    """Return the part before the earliest separator: ``joe`` of the master login ``joe%admin``."""
    cuts = [place for separator in separators if (place := name.find(separator)) >= 0]
    return name[: min(cuts)] if cuts else name


class Router:
    """Finds routes.  ``destinations`` are those of the configuration, by name.

    Every step is a method of its own: whoever explains a route derives from this class and tells
    what each step was given and has returned.
    """

    def __init__(
        self,
        table: Table,
        destinations: Directory,
        policy: RoutingPolicy,
        clock: Clock,
    ) -> None:
        self._table = table
        self._peek = table.peek if isinstance(table, PeekingTable) else None
        # A table that remembers nothing always looks past it.
        self._ask_anew = table.revalidate if isinstance(table, RevalidatingTable) else table.lookup
        self._destinations = destinations
        self._policy = policy
        self._clock = clock

    async def route(self, identity: Identity, origin: Origin) -> Route:
        """Return the route of this login.  Raises Failure."""
        key = self._key(identity, origin)
        try:
            row = await self._find(key)
        except LookupFailed as failed:
            if self._policy.on_error != "default":
                raise
            return self._with_master(identity, self._default_route(key, failed.reason))
        return self._with_master(identity, self._route_of(key, row))

    async def revalidate(self, identity: Identity, origin: Origin, route: Route) -> Route | None:
        """Look past what is remembered after the backend of ``route`` said no.

        Returns a route only if it leads elsewhere, so that a login is not tried twice at the
        same place; None also where it cannot be told.
        """
        try:
            key = self._key(identity, origin)
            row = await self._in_time(self._ask_anew, key)
            if row is not None and not isinstance(row, Row):
                return None
            found = self._with_master(identity, self._route_of(key, row))
        except Failure:
            return None
        return None if _whereto(found) == _whereto(route) else found

    async def _find(self, key: Key) -> Row | None:
        if self._peek is not None:
            # What is remembered costs neither a Deferred nor a timer.
            remembered = self._peek(key)
            if remembered is None or isinstance(remembered, Row):
                return remembered
        return await self._in_time(self._table.lookup, key)

    def _key(self, identity: Identity, origin: Origin) -> Key:
        # Both names are written to the backend and the log, whichever of them is looked up.
        for name in (identity.authcid, identity.authzid):
            if name:
                normalize(name, "none")
        owner = mailbox_owner(identity.account, self._policy.separators)
        return Key(
            identifier=normalize(owner, self._policy.normalize),
            protocol=origin.protocol,
            client_ip=origin.client_ip,
            server_ip=origin.server_ip,
            sni=origin.sni,
            extension_delimiter=self._policy.extension_delimiter,
        )

    def _with_master(self, identity: Identity, route: Route) -> Route:
        """``joe%admin`` whose row says ``j.smith`` is ``j.smith%admin`` at the backend."""
        if route.login_name is None:
            return route
        owner = mailbox_owner(identity.account, self._policy.separators)
        return replace(route, login_name=route.login_name + identity.account[len(owner) :])

    async def _in_time(self, lookup: Callable[[Key], Coroutine[Any, Any, T]], key: Key) -> T:
        seconds = self._policy.lookup_timeout_seconds
        deferred: Deferred[T] = Deferred.fromCoroutine(lookup(key))
        deferred.addTimeout(seconds, cast(Any, self._clock))
        try:
            return await deferred
        except DeferredTimeoutError:
            raise LookupFailed(f"no answer within {seconds:g} s") from None

    def _route_of(self, key: Key, row: Row | None) -> Route:
        if row is None or not (row.destination or any(row.columns.values())):
            return self._route_of_absent(key)
        _check_state(key, row)
        name = row.destination or self._policy.default_destination
        if name is None:
            raise _unroutable(key, "the row names no destination, and there is no default one")
        serving = self._serving(name, key.protocol)
        if isinstance(serving, Destination):
            return _adapted(key, row, serving)
        if self._policy.undeclared == "default":
            # The row's columns were meant for another backend: they are not applied.
            return self._default_route(key, serving)
        raise _unroutable(key, serving)

    def _route_of_absent(self, key: Key) -> Route:
        why = f"{key.identifier!r} is not in the table"
        if self._policy.not_found == "default":
            return self._default_route(key, why)
        if self._policy.not_found == "reject":
            raise Failure(FailureKind.ACCOUNT_UNKNOWN, why)
        raise Failure(FailureKind.ACCOUNT_TEMPFAIL, why)

    def _default_route(self, key: Key, why: str) -> Route:
        name = self._policy.default_destination
        if name is None:
            raise _unroutable(key, f"{why}; there is no default destination")
        serving = self._serving(name, key.protocol)
        if isinstance(serving, Destination):
            return _adapted(key, Row(name), serving)
        raise _unroutable(key, f"{why}; the default destination {serving}")

    def _serving(self, name: str, protocol: str) -> Destination | str:
        """Return the destination if it serves the protocol, else what is wrong with it."""
        destination = self._destinations.get(name)
        if destination is None:
            return f"{name!r} is not declared; declared: {_listed(self._destinations)}"
        if protocol not in destination.endpoints:
            served = _listed(destination.endpoints)
            return f"{name!r} does not serve {protocol}; it serves: {served}"
        return destination


def _check_state(key: Key, row: Row) -> None:
    state = row.columns.get("state") or "active"
    if state == "deny":
        reason = row.columns.get("reason") or "its row says deny"
        raise Failure(FailureKind.ACCOUNT_DENIED, f"{key.identifier!r} may not log in: {reason}")
    if state != "active":
        raise Failure(
            FailureKind.ACCOUNT_TEMPFAIL,
            f"{key.identifier!r} has the unknown state {state!r}; known are active, deny",
        )


def _adapted(key: Key, row: Row, destination: Destination) -> Route:
    """Apply the row's columns for this session.  Raises Failure for one that is no good."""
    columns = {name: value for name, value in row.columns.items() if value}
    backend = destination.endpoints[key.protocol]
    if host := columns.get("host"):
        if not is_host(host):
            raise _unroutable(key, f"the row's host {host!r} is no host name or address")
        # The row says where to dial, never whom to trust.
        backend = redirected(backend, host)
    if port := columns.get("port"):
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise _unroutable(key, f"the row's port {port!r} is no port")
        backend = replace(backend, port=int(port))
    if mode := columns.get("tls"):
        backend = replace(backend, tls=_strengthened(key, mode, backend.tls))
    if word := columns.get("forwarding"):
        backend = replace(backend, forwarding=_forwarding(key, word))
    if destination.allow_row_tls_name and (name := columns.get("tls_name")):
        if not is_host(name):
            raise _unroutable(key, f"the row's tls_name {name!r} is no host name or address")
        backend = replace(backend, trust=replace(backend.trust, server_name=name))
    return Route(
        account=key.identifier,
        destination=destination.name,
        backend=backend,
        login_name=_name(key, columns, "username") or destination.username,
        hide_auth_errors=destination.hide_auth_errors,
        supplied=_supplied(key, columns, destination),
    )


def _supplied(key: Key, columns: Mapping[str, str], destination: Destination) -> Supplied | None:
    """A row's password is never one of the destination's master user, nor the other way round."""
    password, master_user = columns.get("password"), _name(key, columns, "master_user")
    if password is None:
        if destination.password is None:
            return None
        password, master_user = destination.password, master_user or destination.master_user
    if "\0" in password:
        raise _unroutable(key, "the row's password has a NUL")
    return Supplied(password, master_user, destination.replaces_unchecked)


def _name(key: Key, columns: Mapping[str, str], column: str) -> str | None:
    name = columns.get(column)
    if name and (fault := _fault_of_name(name)):
        raise _unroutable(key, f"the row's {column} {fault}")
    return name


def _strengthened(key: Key, word: str, configured: TLSMode) -> TLSMode:
    modes = {mode.value: mode for mode in TLSMode}
    if word not in modes:
        raise _unroutable(key, f"the row's tls {word!r} is none of {_listed(modes)}")
    if modes[word].strength < configured.strength:
        # To ignore it would dial a port that was meant for the weaker mode.
        raise _unroutable(
            key, f"the row's tls {word!r} is weaker than the configured {configured.value!r}"
        )
    return modes[word]


def _forwarding(key: Key, word: str) -> Forwarding:
    known = {forwarding.value: forwarding for forwarding in Forwarding}
    if word not in known:
        raise _unroutable(key, f"the row's forwarding {word!r} is none of {_listed(known)}")
    return known[word]


def _fault_of_name(name: str) -> str | None:
    if not name:
        return "is empty"
    if _UNUSABLE.search(name):
        return "has control characters or is not Unicode text"
    if len(name.encode("utf-8")) > NAME_LIMIT_OCTETS:
        return f"is longer than {NAME_LIMIT_OCTETS} octets"
    return None


def _whereto(route: Route) -> tuple[object, ...]:
    return route.destination, route.backend, route.login_name, route.supplied


def _unroutable(key: Key, why: str) -> Failure:
    return Failure(FailureKind.DESTINATION_UNKNOWN, f"{key.identifier!r} has no route: {why}")


def _listed(names: Iterable[str]) -> str:
    ordered = sorted(names)
    shown = ", ".join(ordered[:_NAMES_SHOWN])
    return (shown or "none") + (", ..." if len(ordered) > _NAMES_SHOWN else "")
