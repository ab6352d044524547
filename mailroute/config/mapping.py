"""``[mapping]``: where accounts are looked up, and for how long an answer counts."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.hidden import Secret
from mailroute.config.model import FileMapping, LookupSettings, SqlMapping
from mailroute.config.positions import KeyPath
from mailroute.config.schema import REQUIRED, Key, Section
from mailroute.config.secrets import secret, warn_if_open
from mailroute.config.table_model import RedisSettings

SOURCES = ("sql", "file", "redis", "table")
_REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
_SCHEMES = ("postgres", "postgresql", "mysql", "sqlite")
_KEY_PART = re.compile(r"\{(user|local|domain|ext)\}")


def _database_url(raw: object, surroundings: Surroundings) -> Secret:
    """A database URL, which may hold a password; a relative SQLite path becomes absolute."""
    url = secret(raw, surroundings).reveal()
    scheme, colon, rest = url.partition(":")
    scheme = scheme.lower()
    if not colon or scheme not in _SCHEMES:
        raise ValueError("the URL must begin with postgres://, mysql:// or sqlite:")
    if scheme != "sqlite":
        if not rest.startswith("//"):
            raise ValueError(f"the URL must begin with {scheme}://")
        return Secret(url)
    file, mark, options = rest.removeprefix("//").partition("?")
    if not file:
        raise ValueError("the URL must name the database's file: sqlite:///path or sqlite:path")
    # A URL's path is percent-encoded; the folder is not, until now.
    absolute = os.path.normpath(os.path.join(quote(surroundings.folder), file))
    return Secret(f"sqlite://{absolute}{mark}{options}")


def _redis_url(raw: object, surroundings: Surroundings) -> Secret:
    """A Redis URL, which may hold a password."""
    url = secret(raw, surroundings)
    if not url.reveal().startswith(_REDIS_SCHEMES):
        raise ValueError(f"the URL must begin with {', '.join(_REDIS_SCHEMES)}")
    return url


def _usable_template(template: str) -> str | None:
    rest = _KEY_PART.sub("", template)
    if template and "{" not in rest and "}" not in rest:
        return None
    return f"{template!r} is not {{user}}, {{local}}, {{domain}}, {{ext}} or text without braces"


SQL_SECTION = Section(
    "mapping.sql",
    "Lookups in a database.",
    (
        Key("url", _database_url, REQUIRED, "postgres://, mysql:// or sqlite: URL; a secret."),
        Key("query", values.words, REQUIRED, "Query that returns the row of $1 (or ? or :key)."),
        Key("pool_size", values.whole_number(1, 1000), 16, "Connections to the database."),
        Key(
            "keys",
            values.list_of(values.checked(values.text, _usable_template), least=1),
            ["{user}"],
            "Keys tried in order: {user}, {local}, {domain}, {ext}, literal text.",
        ),
        Key("upsert_query", values.words, None, "Statement that sets $1 to the destination $2."),
        Key("delete_query", values.words, None, "Statement that removes $1."),
        Key("list_query", values.words, None, "Query of all identifiers and destinations."),
    ),
)

FILE_SECTION = Section(
    "mapping.file",
    "Lookups in a text file.",
    (Key("path", values.readable_file, REQUIRED, "File with lines `identifier destination`."),),
)

REDIS_SECTION = Section(
    "mapping.redis",
    "Lookups in a Redis server: the value of the prefix with the account behind it.",
    (
        Key("url", _redis_url, REQUIRED, "redis://host, rediss://host or unix:///path; a secret."),
        Key("key_prefix", values.text, "route:", "What stands before each key."),
        Key("pool_size", values.whole_number(1, 1000), 16, "Connections to the server."),
    ),
)

TABLE_SECTION = Section(
    "mapping.table",
    "Lookups in a table of this file.",
    (Key("name", values.text, REQUIRED, "The name of the table: [table.NAME]."),),
)

SECTION = Section(
    "mapping",
    "Where accounts are looked up.",
    (
        Key(
            "source",
            values.choice(*SOURCES),
            REQUIRED,
            "sql, file, redis or table.",
        ),
        Key(
            "normalize",
            values.choice("none", "lowercase"),
            "none",
            "lowercase: Unicode NFC, then lower case; recommended.",
        ),
        Key(
            "positive_ttl",
            values.duration,
            "600s",
            "How long a found row counts, if no SQLite file or table's file changes before.",
            field="positive_ttl_seconds",
        ),
        Key(
            "negative_ttl",
            values.duration,
            "30s",
            "How long an absence counts.",
            field="negative_ttl_seconds",
        ),
        Key(
            "stale_ttl",
            values.duration,
            "24h",
            "How long an expired row may serve while the table fails.",
            field="stale_ttl_seconds",
        ),
        Key(
            "cache_max_entries",
            values.whole_number(1, 1_000_000_000),
            1_000_000,
            "Answers that are remembered.",
        ),
        Key(
            "lookup_timeout",
            values.some_time,
            "5s",
            "Time for one lookup, waiting for a connection included.",
            field="lookup_timeout_seconds",
        ),
        Key(
            "on_error",
            values.choice("tempfail", "default"),
            "tempfail",
            "The table fails: a temporary failure, or the default destination (dangerous).",
        ),
    ),
    tables=SOURCES,
)


def read_mapping(raw: object, document: Document) -> LookupSettings | None:
    """Read ``[mapping]`` with the table that its source needs."""
    settings = SECTION.read(raw, ("mapping",), document)
    tables: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    source = tables.get("source")
    if source not in SOURCES:
        return None
    for idle in SOURCES:
        if idle != source and idle in tables:
            document.warn(("mapping", idle), f'not used: mapping.source is "{source}"')
    path = ("mapping", source)
    given = tables.get(source, {})
    inside = _INSIDE[source].read(given, path, document)
    if settings is None or inside is None:
        return None
    if "url" in inside:
        warn_of_open_password(given["url"], inside["url"], (*path, "url"), document)
    chosen: dict[str, Any] = {"sql": None, "file": None, source: _built(source, inside)}
    return LookupSettings(**settings, **chosen)


_INSIDE = {
    "sql": SQL_SECTION,
    "file": FILE_SECTION,
    "redis": REDIS_SECTION,
    "table": TABLE_SECTION,
}


def _built(source: str, inside: dict[str, Any]) -> SqlMapping | FileMapping | RedisSettings | str:
    if source == "sql":
        return SqlMapping(**inside)
    if source == "file":
        return FileMapping(**inside)
    if source == "redis":
        return RedisSettings(**inside)
    return str(inside["name"])


def warn_of_open_password(raw: object, url: Secret, path: KeyPath, document: Document) -> None:
    """Warn if everybody can read a password in a URL, or in libpq's parameters."""
    text = url.reveal()
    authority = text.partition("://")[2].rpartition("@")[0]
    has_password = ":" in authority or re.search(r"(\A|[?&\s])password\s*=.", text) is not None
    if has_password:
        warn_if_open(raw, path, document)
