"""The examples of ``docs/tables.md``: files, tables and what they answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from mailroute.errors import LookupFailed
from mailroute.tables.string_table import StringTable

DOCUMENT = Path(__file__).parents[2] / "docs" / "tables.md"

_HEADING = re.compile(r"^## (.+)$", re.MULTILINE)
_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LOOKUP = re.compile(r"(?P<table>\w+): (?P<key>.*?) -> ?(?P<values>.*)")


@dataclass(frozen=True, slots=True)
class Lookup:
    """A key of a table and its answer: values, or a word in brackets."""

    table: str
    key: str
    answer: str


@dataclass(slots=True)
class Example:
    """One section of the document."""

    heading: str
    configuration: str = ""
    files: dict[str, str] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    redis: list[list[str]] = field(default_factory=list)
    lookups: list[Lookup] = field(default_factory=list)
    places: list[tuple[str, str]] = field(default_factory=list)
    """A looked-up value and where it leads."""


def examples() -> Iterator[Example]:
    """The sections that have lookups, or say where a value leads."""
    text = DOCUMENT.read_text(encoding="utf-8")
    pieces = _HEADING.split(text)[1:]
    for heading, section in zip(pieces[::2], pieces[1::2], strict=True):
        example = _read(heading, section)
        if example.lookups or example.places:
            yield example


async def answer_of(table: StringTable, key: str) -> str:
    """What a table answers, as the document writes it."""
    try:
        values = await table.get(key)
    except LookupFailed:
        return "(failed)"
    return "(absent)" if values is None else " | ".join(values)


def _read(heading: str, text: str) -> Example:
    example = Example(heading)
    for kind, name, content in _BLOCK.findall(text):
        if kind == "toml":
            example.configuration += content
        elif kind == "file":
            example.files[name] = content
        elif kind == "sqlite":
            example.databases[name] = content
        elif kind == "redis":
            example.redis += [line.split() for line in content.splitlines()]
        elif kind == "lookup":
            example.lookups += [_lookup(line) for line in content.splitlines()]
        elif kind == "places":
            lines = (line.partition(" -> ") for line in content.splitlines())
            example.places += [(value, place) for value, _, place in lines]
        else:
            raise ValueError(f"{heading}: what is a block of {kind}?")
    return example


def _lookup(line: str) -> Lookup:
    match = _LOOKUP.fullmatch(line)
    if match is None:
        raise ValueError(f"not a lookup: {line}")
    return Lookup(match["table"], match["key"], match["values"])
