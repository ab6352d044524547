"""What a row's columns change of a destination for one session.

A row says where to dial and in what words to log in, never whom to trust: what is no good is a
Failure, not ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from mailroute.credentials import Supplied
from mailroute.destinations import Destination, is_host, redirected
from mailroute.errors import Failure, FailureKind
from mailroute.route import Backend, Forwarding, Route, TLSMode
from mailroute.tables.contract import Key, Row

NAME_LIMIT_OCTETS = 512

# C0, DEL, C1, and surrogates, which no UTF-8 has.
_UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
# RFC 4422 section 3.1.
_MECHANISM = re.compile("[A-Z0-9_-]{1,20}")
_NAMES_SHOWN = 10


def adapted(key: Key, row: Row, destination: Destination) -> Route:
    """Apply the row's columns for this session.  Raises Failure for one that is no good."""
    columns = {name: value for name, value in row.columns.items() if value}
    backend = destination.endpoints[key.protocol]
    if columns:
        backend = _backend(key, columns, backend)
    if destination.allow_row_tls_name and (name := columns.get("tls_name")):
        if not is_host(name):
            raise unroutable(key, f"the row's tls_name {name!r} is no host name or address")
        backend = replace(backend, trust=replace(backend.trust, server_name=name))
    return Route(
        account=key.identifier,
        destination=destination.name,
        backend=backend,
        login_name=_name(key, columns, "username") or destination.username,
        hide_auth_errors=destination.hide_auth_errors,
        supplied=_supplied(key, columns, destination),
    )


def _backend(key: Key, columns: Mapping[str, str], backend: Backend) -> Backend:
    """Where to dial, and how to speak there."""
    if host := columns.get("host"):
        if not is_host(host):
            raise unroutable(key, f"the row's host {host!r} is no host name or address")
        # The row says where to dial, never whom to trust.
        backend = redirected(backend, host)
    if port := columns.get("port"):
        if not re.fullmatch("[0-9]{1,5}", port) or not 1 <= int(port) <= 65535:
            raise unroutable(key, f"the row's port {port!r} is no port")
        backend = replace(backend, port=int(port))
    if mode := columns.get("tls"):
        backend = replace(backend, tls=_strengthened(key, mode, backend.tls))
    if word := columns.get("forwarding"):
        backend = replace(backend, forwarding=_forwarding(key, word))
    if mechanism := columns.get("mech"):
        mechanism = mechanism.upper()
        if not _MECHANISM.fullmatch(mechanism):
            raise unroutable(key, f"the row's mech {mechanism!r} is no name of a SASL mechanism")
        backend = replace(backend, mechanism=mechanism)
    return backend


def _supplied(key: Key, columns: Mapping[str, str], destination: Destination) -> Supplied | None:
    """A row's password is never one of the destination's master user, nor the other way round."""
    password, master_user = columns.get("password"), _name(key, columns, "master_user")
    if password is None:
        if destination.password is None:
            return None
        password, master_user = destination.password, master_user or destination.master_user
    if "\0" in password:
        raise unroutable(key, "the row's password has a NUL")
    return Supplied(password, master_user, destination.replaces_unchecked)


def _name(key: Key, columns: Mapping[str, str], column: str) -> str | None:
    name = columns.get(column)
    if name and (fault := fault_of_name(name)):
        raise unroutable(key, f"the row's {column} {fault}")
    return name


def _strengthened(key: Key, word: str, configured: TLSMode) -> TLSMode:
    modes = {mode.value: mode for mode in TLSMode}
    if word not in modes:
        raise unroutable(key, f"the row's tls {word!r} is none of {listed(modes)}")
    if modes[word].strength < configured.strength:
        # To ignore it would dial a port that was meant for the weaker mode.
        raise unroutable(
            key, f"the row's tls {word!r} is weaker than the configured {configured.value!r}"
        )
    return modes[word]


def _forwarding(key: Key, word: str) -> Forwarding:
    known = {forwarding.value: forwarding for forwarding in Forwarding}
    if word not in known:
        raise unroutable(key, f"the row's forwarding {word!r} is none of {listed(known)}")
    return known[word]


def fault_of_name(name: str) -> str | None:
    """What is wrong with a name that is to be looked up, logged and written; None: nothing."""
    if not name:
        return "is empty"
    if _UNUSABLE.search(name):
        return "has control characters or is not Unicode text"
    if len(name.encode("utf-8")) > NAME_LIMIT_OCTETS:
        return f"is longer than {NAME_LIMIT_OCTETS} octets"
    return None


def unroutable(key: Key, why: str) -> Failure:
    """The failure of whoever has no route."""
    return Failure(FailureKind.DESTINATION_UNKNOWN, f"{key.identifier!r} has no route: {why}")


def listed(names: Iterable[str]) -> str:
    """Names for a message, in bounded length."""
    ordered = sorted(names)
    shown = ", ".join(ordered[:_NAMES_SHOWN])
    return (shown or "none") + (", ..." if len(ordered) > _NAMES_SHOWN else "")
