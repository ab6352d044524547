"""``[table.NAME]``: tables to look up in, by name."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.mapping import REDIS_SECTION, warn_of_open_password
from mailroute.config.positions import KeyPath
from mailroute.config.schema import REQUIRED, Key, Section, named_tables
from mailroute.config.secrets import secret
from mailroute.config.table_model import (
    ChainStep,
    ChainTable,
    FileTable,
    PlainTable,
    PostfixTable,
    RedisSettings,
    RegexpTable,
    SqlQueryTable,
    StaticTable,
    TableSettings,
    WithDomainTable,
)

DRIVERS = ("sqlite3", "postgres", "mysql")
_PLAIN = ("identity", "dummy", "email_localpart", "email_localpart_optional")


def _entry(raw: object, surroundings: Surroundings) -> tuple[str, tuple[str, ...]]:
    if not isinstance(raw, list) or len(raw) < 2:
        raise ValueError('must be a list of a key and one or more values: ["key", "value"]')
    key, *texts = (values.text(text, surroundings) for text in raw)
    return key, tuple(texts)


def _step(raw: object, surroundings: Surroundings) -> ChainStep:
    if not isinstance(raw, dict) or not isinstance(raw.get("table"), str):
        raise ValueError('must name a table: { table = "NAME" }')
    strangers = sorted(raw.keys() - {"table", "optional"})
    if strangers:
        raise ValueError(f"has the unknown key {strangers[0]!r}: table and optional are known")
    return ChainStep(raw["table"], values.boolean(raw.get("optional", False), surroundings))


def _section(kind: str, doc: str, *keys: Key) -> Section:
    type_key = Key("type", values.choice(kind), REQUIRED, f'"{kind}".')
    return Section("table.*", doc, (type_key, *keys))


SECTIONS = {
    "file": _section(
        "file",
        "Lines `key: value`, read again when the file changes.",
        Key("file", values.path, REQUIRED, "The file.", field="path"),
    ),
    "static": _section(
        "static",
        "Entries in this file.",
        Key("entries", values.list_of(_entry), REQUIRED, 'List of ["key", "value", ...].'),
    ),
    "regexp": _section(
        "regexp",
        "A regular expression.",
        Key("regexp", values.words, REQUIRED, "The expression, in RE2's syntax."),
        Key("replacements", values.list_of(values.text), [], "Values; without one, the key."),
        Key("full_match", values.boolean, True, "Whether the whole key has to match."),
        Key("case_insensitive", values.boolean, True, "Whether upper and lower case are equal."),
        Key("expand_placeholders", values.boolean, True, "Whether $1 and ${name} are replaced."),
    ),
    **{kind: _section(kind, "A table without settings.") for kind in _PLAIN},
    "email_with_domain": _section(
        "email_with_domain",
        "Addresses made of a key and domains.",
        Key("domains", values.list_of(values.name, least=1), REQUIRED, "The domains."),
    ),
    "chain": _section(
        "chain",
        "Tables one behind the other.",
        Key("steps", values.list_of(_step), REQUIRED, 'List of { table = "NAME" }.'),
    ),
    "sql_query": _section(
        "sql_query",
        "Statements of SQL.",
        Key("driver", values.choice(*DRIVERS), REQUIRED, "sqlite3, postgres or mysql."),
        Key("dsn", secret, REQUIRED, "File of SQLite, libpq's parameters, or a URL; a secret."),
        Key("lookup", values.words, REQUIRED, "Query of one column for $1 or :key."),
        Key("init", values.list_of(values.words), [], "Statements to begin with."),
        Key("list", values.words, None, "Query of all keys, and of their values if you like."),
        Key("add", values.words, None, "Statement that adds :key and :value ($1 and $2)."),
        Key("set", values.words, None, "Statement that replaces the value of :key by :value."),
        Key("del", values.words, None, "Statement that removes :key.", field="delete"),
        Key("named_args", values.boolean, True, "Accepted: both $1 and :key always work."),
    ),
    "redis": Section(
        "table.*",
        "Keys of a Redis server.",
        (Key("type", values.choice("redis"), REQUIRED, '"redis".'), *REDIS_SECTION.keys),
    ),
    "postfix": _section(
        "postfix",
        "A lookup table of Postfix.",
        Key("map", values.text, REQUIRED, "type:name, as Postfix writes it."),
        Key("config_directory", values.path, "/etc/postfix", "Where main.cf is."),
    ),
}
"""By the word of ``type``."""


def read_tables(raw: object, document: Document) -> dict[str, TableSettings]:
    """Read ``[table.*]``, those that can be built."""
    tables: dict[str, TableSettings] = {}
    names = frozenset(raw) if isinstance(raw, dict) else frozenset()
    for name, path, table in named_tables(raw, ("table",), document):
        section = _section_of(table, path, document)
        settings = None if section is None else section.read(table, path, document)
        if settings is not None:
            for key in table.keys() & {"url", "dsn"}:
                warn_of_open_password(table[key], settings[key], (*path, key), document)
            tables[name] = _built(settings, path, document)
    _check_steps(tables, names, document)
    return tables


def _section_of(table: Mapping[str, Any], path: KeyPath, document: Document) -> Section | None:
    place = (*path, "type")
    if "type" not in table:
        document.complain(place, "missing: this key is required")
        return None
    try:
        return SECTIONS[values.choice(*SECTIONS)(table["type"], document.surroundings)]
    except ValueError as error:
        document.complain(place, str(error))
        return None


def _built(settings: dict[str, Any], path: KeyPath, document: Document) -> TableSettings:
    kind = settings.pop("type")
    if kind in _PLAIN:
        return PlainTable(kind)
    if kind == "sql_query":
        settings.pop("named_args")
        return _sql_query(settings, path, document)
    return _CLASSES[kind](**settings)


_CLASSES: Mapping[str, Callable[..., TableSettings]] = {
    "file": FileTable,
    "static": StaticTable,
    "regexp": RegexpTable,
    "email_with_domain": WithDomainTable,
    "chain": ChainTable,
    "redis": RedisSettings,
    "postfix": PostfixTable,
}


def _sql_query(settings: dict[str, Any], path: KeyPath, document: Document) -> SqlQueryTable:
    if (settings["add"] is None) != (settings["set"] is None):
        missing = "add" if settings["add"] is None else "set"
        document.warn((*path, missing), "missing: a key can be set with both add and set only")
    if settings["driver"] == "sqlite3":
        text = settings["dsn"].reveal()
        for prefix in ("sqlite://", "sqlite:", "file:"):
            text = text.removeprefix(prefix)
        folder = document.surroundings.folder
        file = os.path.normpath(os.path.join(folder, text.partition("?")[0]))
        settings["dsn"] = type(settings["dsn"])(file)
    return SqlQueryTable(**settings)


def _check_steps(
    tables: Mapping[str, TableSettings], names: frozenset[str], document: Document
) -> None:
    """Every step of a chain exists, and none leads back to the chain."""
    for name, table in tables.items():
        if not isinstance(table, ChainTable):
            continue
        place = ("table", name, "steps")
        for step in table.steps:
            if step.table not in names:
                document.complain(place, unknown_table(step.table, names))
        way = _way_back(name, tables)
        # Each ring is told of once, at the first of its names.
        if way and name == min(way):
            document.complain(place, f"the chain leads back to itself: {' -> '.join(way)}")


def unknown_table(name: str, names: frozenset[str]) -> str:
    """Word a complaint about a table that does not exist."""
    known = ", ".join(sorted(names)) or "none"
    return f"there is no table {name!r}; there are: {known}"


def _way_back(start: str, tables: Mapping[str, TableSettings]) -> list[str]:
    """The names on the way from a chain back to itself; empty if there is none."""
    seen: set[str] = set()
    waiting = [[start]]
    while waiting:
        way = waiting.pop()
        table = tables.get(way[-1])
        for step in table.steps if isinstance(table, ChainTable) else ():
            if step.table == start:
                return [*way, start]
            if step.table not in seen:
                seen.add(step.table)
                waiting.append([*way, step.table])
    return []
