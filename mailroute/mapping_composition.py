"""The mapping that can be changed, from the configuration."""

from __future__ import annotations

from typing import Any

from mailroute.composition import make_source
from mailroute.config import model
from mailroute.destination_composition import make_destinations
from mailroute.errors import ConfigurationError, Failure
from mailroute.routing import normalize
from mailroute.table_composition import make_tables, redis_settings
from mailroute.tables.file import FileTable
from mailroute.tables.mapping_file import FileMappingEntries
from mailroute.tables.mapping_sql import MappingStatements, SqlMappingEntries
from mailroute.tables.mapping_store import MappingRules, MappingStore
from mailroute.tables.named import NamedTables
from mailroute.tables.redis import RedisTable
from mailroute.tables.sql_query import LIST_SECONDS
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import parse_url
from mailroute.tables.stores import make_store
from mailroute.tables.string_table import TableSource

CONNECTIONS = 2
"""Whoever changes the mapping does it one by one."""


def make_mapping_store(
    configuration: model.Configuration, reactor: Any, tables: NamedTables | None = None
) -> MappingStore:
    """The mapping; nothing is opened yet.

    ``check()`` it before the reactor runs, ``await start()`` and ``await close()`` it.  What the
    mapping is, it owns; tables that are given are their owner's.  Raises ConfigurationError.
    """
    mapping = configuration.mapping
    rules = MappingRules(
        make_destinations(configuration),
        lambda identifier: _key(identifier, mapping.normalize),
        configuration.routing.extension_delimiter,
    )
    if mapping.table is not None:
        named = make_tables(configuration, reactor) if tables is None else tables
        table = named[mapping.table]
        return MappingStore(TableSource(table), table, rules, [named] if tables is None else [])
    if mapping.redis is not None:
        settings = redis_settings(mapping.redis, mapping.table_timeout_seconds)
        redis = RedisTable("mapping.redis", settings, reactor)
        return MappingStore(TableSource(redis), redis, rules, [redis])
    source = make_source(configuration, reactor)
    if mapping.sql is not None:
        rows = _sql_entries(mapping, mapping.sql, reactor)
        return MappingStore(source, rows, rules, [source, rows])
    if mapping.file is None or not isinstance(source, FileTable):
        raise ConfigurationError(["mapping.source: nothing is configured"])
    return MappingStore(source, FileMappingEntries(mapping.file.path, source.reload), rules)


def _sql_entries(
    mapping: model.LookupSettings, sql: model.SqlMapping, reactor: Any
) -> SqlMappingEntries:
    statements = MappingStatements(sql.upsert_query, sql.delete_query, sql.list_query)
    seconds = mapping.table_timeout_seconds
    # A list, or many rows written together, take longer than a lookup may.
    longest = max(seconds, LIST_SECONDS)
    how = StoreSettings(CONNECTIONS, longest, writable=bool(sql.upsert_query or sql.delete_query))
    store = make_store(parse_url(sql.url.reveal()), how, reactor)
    return SqlMappingEntries(statements, store, reactor, seconds)


def _key(identifier: str, mode: str) -> str:
    try:
        return normalize(identifier, mode)
    except Failure as failure:
        raise ValueError(failure.reason) from None
