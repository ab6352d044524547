"""``[mapping]``: where accounts are looked up, and for how long an answer counts."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from mailroute.config import values
from mailroute.config.document import Document, Surroundings
from mailroute.config.model import FileMapping, LookupSettings, Secret, SqlMapping
from mailroute.config.schema import NOT_YET, REQUIRED, Key, Section
from mailroute.config.secrets import is_inline, secret

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
        Key("upsert_query", values.anything, None, "Statement that sets a row.", built=False),
        Key("delete_query", values.anything, None, "Statement that removes a row.", built=False),
        Key("list_query", values.anything, None, "Query that returns all rows.", built=False),
    ),
)

FILE_SECTION = Section(
    "mapping.file",
    "Lookups in a text file.",
    (Key("path", values.readable_file, REQUIRED, "File with lines `identifier destination`."),),
)

SECTION = Section(
    "mapping",
    "Where accounts are looked up.",
    (
        Key(
            "source",
            values.choice("sql", "file", later=("redis", "table")),
            REQUIRED,
            "sql or file.",
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
            "How long a found row counts.",
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
    tables=("sql", "file", "redis", "table"),
)


def read_mapping(raw: object, document: Document) -> LookupSettings | None:
    """Read ``[mapping]`` with the table that its source needs."""
    settings = SECTION.read(raw, ("mapping",), document)
    tables: Mapping[str, Any] = raw if isinstance(raw, dict) else {}
    for later in ("redis", "table"):
        if tables.get(later):
            document.complain(("mapping", later), NOT_YET)
    source = tables.get("source")
    sql = _read_sql(tables, source == "sql", document)
    file = _read_file(tables, source == "file", document)
    if settings is None or (sql is None and file is None):
        return None
    return LookupSettings(**settings, sql=sql, file=file)


def _read_sql(tables: Mapping[str, Any], wanted: bool, document: Document) -> SqlMapping | None:
    path = ("mapping", "sql")
    if not wanted:
        _name_idle(tables, path, document)
        return None
    raw = tables.get("sql", {})
    settings = SQL_SECTION.read(raw, path, document)
    if settings is None:
        return None
    _warn_of_open_password(raw["url"], settings["url"], document)
    return SqlMapping(**settings)


def _read_file(tables: Mapping[str, Any], wanted: bool, document: Document) -> FileMapping | None:
    path = ("mapping", "file")
    if not wanted:
        _name_idle(tables, path, document)
        return None
    settings = FILE_SECTION.read(tables.get("file", {}), path, document)
    return None if settings is None else FileMapping(**settings)


def _name_idle(tables: Mapping[str, Any], path: tuple[str, str], document: Document) -> None:
    if path[1] in tables and tables.get("source") in ("sql", "file"):
        document.warn(path, f'not used: mapping.source is "{tables["source"]}"')


def _warn_of_open_password(raw: object, url: Secret, document: Document) -> None:
    text = url.reveal()
    authority = text.partition("://")[2].rpartition("@")[0]
    has_password = ":" in authority or re.search(r"[?&]password=.", text) is not None
    if not (is_inline(raw) and has_password):
        return
    try:
        mode = os.stat(document.path).st_mode
    except OSError:
        return
    if mode & stat.S_IROTH:
        document.warn(
            ("mapping", "sql", "url"),
            f"everybody on this machine can read this password: chmod o-r {document.path}",
        )
