"""``[table.NAME]`` as values, one class for each type."""

from __future__ import annotations

from dataclasses import dataclass

from mailroute.config.hidden import Secret


@dataclass(frozen=True, slots=True)
class PlainTable:
    """A table without settings."""

    type: str
    """identity, dummy, email_localpart, email_localpart_optional"""


@dataclass(frozen=True, slots=True)
class FileTable:
    """``type = "file"``"""

    path: str


@dataclass(frozen=True, slots=True)
class StaticTable:
    """``type = "static"``"""

    entries: tuple[tuple[str, tuple[str, ...]], ...]


@dataclass(frozen=True, slots=True)
class RegexpTable:
    """``type = "regexp"``"""

    regexp: str
    replacements: tuple[str, ...]
    full_match: bool
    case_insensitive: bool
    expand_placeholders: bool


@dataclass(frozen=True, slots=True)
class WithDomainTable:
    """``type = "email_with_domain"``"""

    domains: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ChainStep:
    """A step of a chain: the name of a table."""

    table: str
    optional: bool


@dataclass(frozen=True, slots=True)
class ChainTable:
    """``type = "chain"``; every name exists, and none leads back to the chain."""

    steps: tuple[ChainStep, ...]


@dataclass(frozen=True, slots=True)
class SqlQueryTable:
    """``type = "sql_query"``"""

    driver: str
    """sqlite3, postgres, mysql"""
    dsn: Secret
    """For sqlite3 an absolute path."""
    lookup: str
    init: tuple[str, ...]
    list: str | None
    add: str | None
    set: str | None
    delete: str | None


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """``type = "redis"``, and ``[mapping.redis]``"""

    url: Secret
    key_prefix: str
    pool_size: int


@dataclass(frozen=True, slots=True)
class PostfixTable:
    """``type = "postfix"``"""

    map: str
    """As Postfix writes it: ``type:name``."""
    config_directory: str


TableSettings = (
    PlainTable
    | FileTable
    | StaticTable
    | RegexpTable
    | WithDomainTable
    | ChainTable
    | SqlQueryTable
    | RedisSettings
    | PostfixTable
)
