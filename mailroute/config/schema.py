"""What a key and a section are, and how a TOML table is read by a table of keys.

The keys are data, so that the documentation and the reader have one source: everything the
reader accepts is a ``Key`` of a ``Section``, with its default as the file would write it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mailroute.config.document import Document, Surroundings, dotted
from mailroute.config.positions import KeyPath

Parser = Callable[[object, Surroundings], Any]
"""Turns what TOML gave into a value; raises ValueError that says what is wanted instead."""

NOT_YET = "not supported yet; leave it out"


class _Required:
    """The default of a key that has none."""


REQUIRED = _Required()


@dataclass(frozen=True, slots=True)
class Key:
    """One key: where it stands, what it takes, what it means."""

    name: str
    parse: Parser
    default: object
    """As the file would write it; REQUIRED: there is none; None: unset."""
    doc: str
    """One line for the documentation."""
    field: str = ""
    """The model's name for the value, where it differs (a unit, a plural)."""
    alias: str | None = None
    """Another name under which the key is accepted."""
    built: bool = True
    """False: only a value equal to the default is accepted."""

    @property
    def attribute(self) -> str:
        return self.field or self.name


@dataclass(frozen=True, slots=True)
class Section:
    """One table of the file; a ``*`` in ``path`` stands for a name that the file chooses."""

    path: str
    doc: str
    keys: tuple[Key, ...]
    tables: tuple[str, ...] = ()
    """Names of the tables inside that have a section of their own."""
    http_only: tuple[str, ...] = ()
    """Keys that concern HTTP alone: accepted, ignored, named in one warning."""

    def read(self, raw: object, path: KeyPath, document: Document) -> dict[str, Any] | None:
        """Return the values by model field, or None where a required one is missing or bad.

        Every fault is complained of.  A bad optional value is replaced by its default, so
        that the checks behind this one can still find their own faults.
        """
        table = as_table(raw, path, document)
        self._name_strangers(table, path, document)
        values: dict[str, Any] = {}
        complete = isinstance(raw, dict)
        for key in self.keys:
            value = self._value(key, table, path, document)
            if value is REQUIRED:
                complete = False
            elif key.built:
                values[key.attribute] = value
        return values if complete else None

    def _value(
        self, key: Key, table: Mapping[str, object], path: KeyPath, document: Document
    ) -> Any:
        name = _name_used(key, table, path, document)
        default = key.default
        if default is not None and default is not REQUIRED:
            default = key.parse(default, document.surroundings)
        if name is None:
            if default is REQUIRED:
                document.complain((*path, key.name), "missing: this key is required")
            return default
        try:
            value = key.parse(table[name], document.surroundings)
        except ValueError as error:
            document.complain((*path, name), str(error))
            return default
        if not key.built and value != default:
            document.complain((*path, name), NOT_YET)
        return value

    def _name_strangers(
        self, table: Mapping[str, object], path: KeyPath, document: Document
    ) -> None:
        known = [key.name for key in self.keys]
        known += [key.alias for key in self.keys if key.alias is not None]
        known += self.tables
        for name in table:
            if name in self.http_only:
                document.ignore_as_http((*path, name))
            elif name not in known:
                complain_unknown((*path, name), known, document)


def complain_unknown(path: KeyPath, known: list[str], document: Document) -> None:
    """Complain of a key that nobody knows, with the nearest one that exists."""
    nearest = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"; did you mean {dotted((*path[:-1], nearest[0]))}?" if nearest else ""
    document.complain(path, f"unknown key{hint}")


def as_table(raw: object, path: KeyPath, document: Document) -> Mapping[str, object]:
    """Return ``raw`` if it is a TOML table, else complain and return an empty one."""
    if isinstance(raw, dict):
        return raw
    document.complain(path, "must be a table")
    return {}


def named_tables(
    raw: object, path: KeyPath, document: Document
) -> Iterator[tuple[str, KeyPath, Mapping[str, object]]]:
    """Walk through ``[path.NAME]``: the name, its path, its table."""
    for name, table in as_table(raw, path, document).items():
        if not name:
            document.complain((*path, name), "the name must not be empty")
        elif isinstance(table, dict):
            yield name, (*path, name), table
        else:
            document.complain((*path, name), "must be a table")


def _name_used(
    key: Key, table: Mapping[str, object], path: KeyPath, document: Document
) -> str | None:
    """Return the name under which the file gives this key, or None."""
    if key.alias is not None and key.alias in table:
        if key.name in table:
            document.complain((*path, key.alias), f"the same as {key.name}: give only one")
        return key.alias
    return key.name if key.name in table else None
