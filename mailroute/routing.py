"""From a login's name to its route: identity -> normalised key -> row -> Route.

The three answers of a table stay apart: found leads to a route, absent to the policy
``not_found``, failed to a temporary failure.  Everything that cannot be a route is raised as a
Failure; nothing is logged here.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeoutError

from mailroute.adaptation import adapted, fault_of_name, listed, unroutable
from mailroute.credentials import Identity
from mailroute.destinations import Destination
from mailroute.errors import Failure, FailureKind, LookupFailed
from mailroute.route import Origin, Route
from mailroute.tables.contract import Key, Row, Table

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
    fault = fault_of_name(name)
    if fault is None and mode == "lowercase":
        name = unicodedata.normalize("NFC", name).lower()
        # Both steps can make a name longer.
        fault = fault_of_name(name)
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
            raise unroutable(key, "the row names no destination, and there is no default one")
        serving = self._serving(name, key.protocol)
        if isinstance(serving, Destination):
            return adapted(key, row, serving)
        if self._policy.undeclared == "default":
            # The row's columns were meant for another backend: they are not applied.
            return self._default_route(key, serving)
        raise unroutable(key, serving)

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
            raise unroutable(key, f"{why}; there is no default destination")
        serving = self._serving(name, key.protocol)
        if isinstance(serving, Destination):
            return adapted(key, Row(name), serving)
        raise unroutable(key, f"{why}; the default destination {serving}")

    def _serving(self, name: str, protocol: str) -> Destination | str:
        """Return the destination if it serves the protocol, else what is wrong with it."""
        destination = self._destinations.get(name)
        if destination is None:
            return f"{name!r} is not declared; declared: {listed(self._destinations)}"
        if protocol not in destination.endpoints:
            served = listed(destination.endpoints)
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


def _whereto(route: Route) -> tuple[object, ...]:
    return route.destination, route.backend, route.login_name, route.supplied
