"""From the configuration's tables to the tables themselves."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any

from mailroute.config import model, table_model
from mailroute.errors import ConfigurationError
from mailroute.tables.aside import aside_of
from mailroute.tables.chain import ChainTable, Step
from mailroute.tables.colon_file import ColonFileTable
from mailroute.tables.dummy import DummyTable
from mailroute.tables.email_localpart import LocalPartTable, OptionalLocalPartTable
from mailroute.tables.email_with_domain import WithDomainTable
from mailroute.tables.identity import IdentityTable
from mailroute.tables.named import NamedTables
from mailroute.tables.postfix.opening import open_map
from mailroute.tables.redis import RedisSettings, RedisTable
from mailroute.tables.regexp import RegexpSettings, RegexpTable
from mailroute.tables.sql_query import SqlQueryTable
from mailroute.tables.sql_statements import SqlStatements
from mailroute.tables.sql_store import StoreSettings
from mailroute.tables.sql_url import at_place, read_dsn
from mailroute.tables.static import StaticTable
from mailroute.tables.stores import make_store
from mailroute.tables.string_table import StringTable

_PLAIN: dict[str, Callable[[], StringTable]] = {
    "identity": IdentityTable,
    "dummy": DummyTable,
    "email_localpart": LocalPartTable,
    "email_localpart_optional": OptionalLocalPartTable,
}

Wrap = Callable[[str, StringTable], StringTable]
"""Is given a table and its place in the configuration; returns what is asked in its stead."""


def as_it_is(place: str, table: StringTable) -> StringTable:
    """The table itself."""
    return table


def make_tables(
    configuration: model.Configuration,
    reactor: Any,
    names: Collection[str] | None = None,
    wrap: Wrap = as_it_is,
) -> NamedTables:
    """All tables, or those of these names and what they are made of; nothing is opened yet.

    Each is in its ``wrap``.  ``check()`` them before the reactor runs, ``await start()`` them in
    the process that serves, ``await close()`` them at the end.  Raises ConfigurationError with
    every complaint.
    """
    making = _Making(configuration, reactor, wrap)
    for name in configuration.tables if names is None else names:
        making.table(name)
    if making.complaints:
        raise ConfigurationError(making.complaints)
    return NamedTables(making.made)


def check_tables(configuration: model.Configuration, reactor: Any) -> list[str]:
    """Complaints about tables that cannot be made, also about those that no login asks."""
    try:
        make_tables(configuration, reactor)
    except ConfigurationError as error:
        return error.complaints
    return []


def redis_settings(settings: table_model.RedisSettings, seconds: float) -> RedisSettings:
    """What a table of Redis needs; a lookup may take ``seconds``."""
    return RedisSettings(settings.url.reveal(), settings.key_prefix, settings.pool_size, seconds)


class _Making:
    """Tables being made, each once: chains share what they name."""

    def __init__(self, configuration: model.Configuration, reactor: Any, wrap: Wrap) -> None:
        self._wrap = wrap
        self._tables = configuration.tables
        self._seconds = configuration.mapping.table_timeout_seconds
        self._reactor = reactor
        self.made: dict[str, StringTable] = {}
        self.complaints: list[str] = []

    def table(self, name: str) -> StringTable:
        """The table of this name, made if it is not yet."""
        if name not in self.made:
            try:
                made = self._make(name, self._tables[name])
                self.made[name] = self._wrap(f"table.{name}", made)
            except ConfigurationError as error:
                self.complaints += error.complaints
            except ValueError as error:
                self.complaints.append(f"table.{name}: {error}")
            # What could not be made is complained of once.
            self.made.setdefault(name, DummyTable())
        return self.made[name]

    def _make(self, name: str, settings: table_model.TableSettings) -> StringTable:
        match settings:
            case table_model.PlainTable():
                return _PLAIN[settings.type]()
            case table_model.FileTable():
                return ColonFileTable(settings.path, self._reactor, aside_of(self._reactor))
            case table_model.StaticTable():
                return StaticTable(settings.entries)
            case table_model.RegexpTable():
                return RegexpTable(_regexp(settings))
            case table_model.WithDomainTable():
                return WithDomainTable(settings.domains)
            case table_model.ChainTable():
                steps = [Step(self.table(step.table), step.optional) for step in settings.steps]
                return ChainTable(steps)
            case table_model.SqlQueryTable():
                return self._sql_query(f"table.{name}", settings)
            case table_model.RedisSettings():
                place = f"table.{name}"
                return RedisTable(place, redis_settings(settings, self._seconds), self._reactor)
            case table_model.PostfixTable():
                return self._postfix(f"table.{name}", settings)

    def _sql_query(self, place: str, settings: table_model.SqlQueryTable) -> StringTable:
        statements = SqlStatements(
            settings.lookup,
            settings.init,
            list=settings.list,
            add=settings.add,
            set=settings.set,
            delete=settings.delete,
        )
        target = read_dsn(settings.driver, settings.dsn.reveal(), f"{place}.dsn")
        how = StoreSettings(lookup_seconds=self._seconds, writable=statements.writable)
        try:
            store = make_store(target, how, self._reactor)
        except ConfigurationError as error:
            raise at_place(error, f"{place}.dsn") from None
        return SqlQueryTable(place, statements, store, self._reactor, self._seconds)

    def _postfix(self, place: str, settings: table_model.PostfixTable) -> StringTable:
        where = settings.config_directory
        try:
            return open_map(settings.map, where, self._reactor, lookup_seconds=self._seconds)
        except ConfigurationError as error:
            words = [f"{place}.map: {complaint}" for complaint in error.complaints]
            raise ConfigurationError(words) from None


def _regexp(settings: table_model.RegexpTable) -> RegexpSettings:
    return RegexpSettings(
        settings.regexp,
        settings.replacements,
        settings.full_match,
        settings.case_insensitive,
        settings.expand_placeholders,
    )
