"""Makes the table that ``type:name`` asks for."""

from __future__ import annotations

from functools import partial

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import aside_of
from mailroute.tables.deadline import Reactor
from mailroute.tables.postfix.combined import combined
from mailroute.tables.postfix.entries import StaticMap, TextHash, inline
from mailroute.tables.postfix.parameters import read_parameters
from mailroute.tables.postfix.regexp import RegexpMap
from mailroute.tables.postfix.sql_map import DIALECTS, Manner, make_sql_map
from mailroute.tables.string_table import StringTable

LOOKUP_SECONDS = 5.0

_INDEXED = ("hash", "btree", "lmdb", "cdb", "dbm", "sdbm")
_READ = (
    "sqlite",
    "mysql",
    "pgsql",
    "texthash",
    "inline",
    "static",
    "regexp",
    "pipemap",
    "unionmap",
)


def open_map(
    map: str,
    config_directory: str,
    reactor: Reactor,
    fold: bool = True,
    lookup_seconds: float = LOOKUP_SECONDS,
) -> StringTable:
    """Make the table ``map``, such as ``sqlite:/etc/postfix/routes.cf``; connect to nothing yet.

    ``config_directory`` holds main.cf, for parameters that are kept there.  Keys are folded to
    lower case as ``postmap -q`` does; without ``fold`` as ``postmap -q -f`` does.  A lookup in
    a database fails after ``lookup_seconds``.

    Raises ConfigurationError, which names the table and says what to do.
    """
    kind, name = _kind_and_name(map)
    manner = Manner(str.casefold if fold else str, lookup_seconds, reactor)
    inner = partial(
        open_map, config_directory=config_directory, reactor=reactor, lookup_seconds=lookup_seconds
    )
    if kind in DIALECTS:
        parameters = read_parameters(kind, name, config_directory)
        # The domain is folded already; Postfix opens these tables without folding.
        return make_sql_map(kind, parameters, partial(inner, fold=False), manner)
    if kind in ("pipemap", "unionmap"):
        return combined(kind, name, partial(inner, fold=fold), manner.fold)
    if kind == "texthash":
        return TextHash(name, manner.fold, aside_of(reactor))
    if kind == "inline":
        return inline(name, manner.fold)
    return StaticMap(name) if kind == "static" else RegexpMap(name, aside_of(reactor))


def _kind_and_name(map: str) -> tuple[str, str]:
    # proxymap shares connections among processes: here a table does that itself.
    kind, sign, name = map.removeprefix("proxy:").partition(":")
    if not sign:
        # As in Postfix, where the default type is hash.
        kind, name = "hash", kind
    if kind in _INDEXED:
        raise ConfigurationError(
            [f"{map}: indexed files of type {kind} are not read: write texthash:{name}"]
        )
    if kind not in _READ or not name:
        raise ConfigurationError(
            [f"{map}: write type:name, where the type is one of {', '.join(_READ)}"]
        )
    return kind, name
