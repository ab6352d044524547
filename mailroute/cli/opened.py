"""The mapping and the tables of a configuration, open for the time of one command."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from mailroute.cli.asking import Tell, opened
from mailroute.cli.story import masked
from mailroute.config.model import Configuration
from mailroute.errors import ConfigurationError
from mailroute.mapping_composition import make_mapping_store
from mailroute.table_composition import make_tables
from mailroute.tables.mapping_store import MappingStore
from mailroute.tables.string_table import Entry, StringTable, Values

MAPPING = "mapping"
"""The name of the mapping among the tables."""


@asynccontextmanager
async def opened_mapping(
    configuration: Configuration, reactor: Any, tell: Tell
) -> AsyncIterator[MappingStore]:
    """The mapping.  Raises ConfigurationError for one that cannot be served."""
    store = make_mapping_store(configuration, reactor)
    async with opened(store, tell):
        yield store


@asynccontextmanager
async def opened_table(
    configuration: Configuration, name: str, reactor: Any, tell: Tell
) -> AsyncIterator[StringTable]:
    """The table of this name, or the mapping; other tables are left alone.

    Raises ConfigurationError.
    """
    if name == MAPPING:
        async with opened_mapping(configuration, reactor, tell) as store:
            yield MappingTable(store)
        return
    if name not in configuration.tables:
        known = ", ".join([MAPPING, *configuration.tables])
        raise ConfigurationError([f"there is no [table.{name}]; what there is: {known}"])
    tables = make_tables(configuration, reactor, [name])
    async with opened(tables, tell):
        yield tables[name]


class MappingTable(StringTable):
    """The mapping as a table: the first value is the destination, others are ``column=value``.

    What may be a secret in them is masked, as explain does.
    """

    kind = MAPPING

    def __init__(self, store: MappingStore) -> None:
        self._store = store

    async def get(self, key: str) -> Values | None:
        """Look up as a login does.  Raises LookupFailed, ValueError."""
        row = await self._store.get(key)
        if row is None:
            return None
        columns = masked(row.columns)
        return row.destination or "", *(f"{name}={text}" for name, text in columns.items())

    async def set(self, key: str, values: Values) -> None:
        """Let the account live there.  Raises as MappingStore does."""
        if len(values) != 1:
            raise ValueError("an account has one destination")
        await self._store.set(key, values[0])

    async def delete(self, key: str) -> bool:
        """Forget the account.  Raises as MappingStore does."""
        return await self._store.delete(key)

    async def list(self) -> Sequence[Entry]:
        """Return every account.  Raises as MappingStore does."""
        return [(identifier, (where,)) for identifier, where in await self._store.list()]
