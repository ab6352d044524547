"""Reads the URL of a database: which engine, where, as whom.

``postgres://`` or ``postgresql://``
    libpq's own form, with several hosts, ``sslmode`` and its other options; a socket's folder
    is written percent-encoded as the host or as ``?host=/run/postgresql``.
``mysql://user:password@host:port/database``
    options ``socket=/path``, ``ssl=`` (``disabled``; ``preferred``, the default: encrypted if
    the server can, not verified; ``required``: encrypted, not verified; ``verify_ca``;
    ``verify``: certificate and name), ``ssl_ca``, ``ssl_cert``, ``ssl_key``.  ``ssl-mode`` and
    the like are the same options, ``verify_identity`` is ``verify``.
``sqlite:///absolute/path``, ``sqlite:relative/path``

No complaint quotes the URL: it holds the password.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn

from mailroute.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class SqliteTarget:
    """A database file, as an absolute path."""

    path: str


@dataclass(frozen=True, slots=True)
class MysqlTarget:
    """A MySQL or MariaDB server; with ``socket``, host and port are unused."""

    host: str
    port: int
    user: str
    password: str = field(repr=False)
    database: str
    socket: str | None = None
    ssl: str = "preferred"
    """disabled, preferred, required, verify_ca or verify."""
    ssl_files: tuple[tuple[str, str], ...] = ()
    """Paths by the names ca, cert and key."""


@dataclass(frozen=True, slots=True)
class PostgresHost:
    """One server of several: ``name`` may be a socket's folder, ``address`` is ``hostaddr``."""

    name: str
    address: str
    port: str

    def __str__(self) -> str:
        """For messages."""
        is_named = self.name not in ("", self.address)
        address = f"({self.address})" if is_named and self.address else self.address
        port = f"port {self.port}" if self.port else ""
        words = [word for word in (self.name if is_named else "", address, port) if word]
        return " ".join(words) or "the default socket"


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """PostgreSQL servers and libpq's other parameters (the password among them)."""

    hosts: tuple[PostgresHost, ...]
    parameters: dict[str, str] = field(repr=False)


Target = SqliteTarget | MysqlTarget | PostgresTarget

_PLACE = "mapping.sql.url"
_SSL_MODES = ("disabled", "preferred", "required", "verify_ca", "verify")
_MYSQL_OPTIONS = {"socket", "ssl", "ssl_ca", "ssl_cert", "ssl_key"}
_MYSQL_ALIASES = {"unix_socket": "socket", "ssl_mode": "ssl", "sslmode": "ssl"}
_PARTS = re.compile(r"\w+://([^/?]*)([^?]*)(.*)", re.DOTALL)
_ENCODED = "signs as @ : / ? in a password are percent-encoded"
_UNKNOWN_OPTION = re.compile(r'invalid URI query parameter: "(\w+)"')


def parse_url(url: str) -> Target:
    """Read the URL.  Raises ConfigurationError."""
    scheme = url.partition(":")[0].lower()
    if scheme in ("postgres", "postgresql"):
        return _postgres(url)
    if scheme == "mysql":
        return _mysql(url)
    if scheme == "sqlite":
        return _sqlite(url)
    raise _complaint("it has to begin with postgres://, mysql:// or sqlite:")


def read_dsn(driver: str, dsn: str, place: str) -> Target:
    """Read what a driver called sqlite3, postgres or mysql is given.

    That is a file, libpq's parameters or URL, and a URL.  Raises ConfigurationError that names
    ``place``.
    """
    if driver == "sqlite3":
        return SqliteTarget(str(Path(dsn).absolute()))
    try:
        return _postgres(dsn) if driver == "postgres" else _mysql(dsn)
    except ConfigurationError as error:
        raise at_place(error, place) from None


def at_place(error: ConfigurationError, place: str) -> ConfigurationError:
    """The same complaints, of a URL that stands at ``place`` instead of in the mapping."""
    return ConfigurationError([one.replace(_PLACE, place, 1) for one in error.complaints])


def _complaint(text: str) -> ConfigurationError:
    return ConfigurationError([f"{_PLACE}: {text}"])


def _sqlite(url: str) -> SqliteTarget:
    path = url.partition(":")[2].removeprefix("//")
    path, _, options = path.partition("?")
    if set(options.split("&")) - {"", "mode=ro", "mode=rw", "mode=rwc"}:
        raise _complaint("an SQLite URL takes no options: lookups are read-only in any case")
    path = unquote(path)
    if not path or path == ":memory:" or "\0" in path:
        raise _complaint("write sqlite:///absolute/path or sqlite:relative/path")
    # Made absolute at once: a daemon changes its folder later.
    return SqliteTarget(str(Path(path).absolute()))


def _refuse_raw_signs(url: str) -> None:
    """Raises ConfigurationError where a password would be taken for a host, port or database.

    A piece of it would stand in messages then.
    """
    found = _PARTS.match(url)
    authority, path, options = found.groups() if found else ("", "", "")
    is_cut = ":" in authority and "@" not in authority and "@" in options
    if authority.count("@") > 1 or "@" in path or is_cut:
        raise _complaint(f"where its password ends cannot be told: {_ENCODED}")


def _mysql(url: str) -> MysqlTarget:
    _refuse_raw_signs(url)
    try:
        parts = urlsplit(url)
        if parts.scheme != "mysql":
            raise ValueError
        port = parts.port or 3306
    except ValueError:
        raise _complaint(f"this is no MySQL URL; {_ENCODED}") from None
    options = _mysql_options(parts)
    database = unquote(parts.path.removeprefix("/"))
    host = unquote(parts.hostname or "localhost")
    mode = options.get("ssl", "disabled" if "socket" in options else "preferred")
    if mode not in _SSL_MODES:
        raise _complaint(f"ssl is one of {', '.join(_SSL_MODES)}")
    if not database or "," in host:
        raise _complaint("write mysql://user:password@host:port/database, with one host")
    return MysqlTarget(
        host=host,
        port=port,
        user=unquote(parts.username or ""),
        password=unquote(parts.password or ""),
        database=database,
        socket=options.get("socket"),
        ssl=mode,
        ssl_files=_ssl_files(options),
    )


def _ssl_files(options: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    named = ((name, options.get(f"ssl_{name}")) for name in ("ca", "cert", "key"))
    return tuple((name, path) for name, path in named if path is not None)


def _mysql_options(parts: SplitResult) -> dict[str, str]:
    options = {}
    for written, value in parse_qsl(parts.query, keep_blank_values=True):
        name = written.lower().replace("-", "_")
        name = _MYSQL_ALIASES.get(name, name)
        if name == "charset":
            # Accepted for other programs' URLs; ours is always utf8mb4.
            continue
        if name not in _MYSQL_OPTIONS:
            raise _complaint(f"unknown option {written!r} in a MySQL URL")
        options[name] = value
    if "ssl" in options:
        mode = options["ssl"].lower().replace("-", "_")
        options["ssl"] = "verify" if mode == "verify_identity" else mode
    return options


def _postgres(url: str) -> PostgresTarget:
    _refuse_raw_signs(url)
    try:
        parameters = {name: str(value) for name, value in parse_dsn(url).items()}
    except psycopg2.ProgrammingError as error:
        unknown = _UNKNOWN_OPTION.search(str(error))
        if unknown:
            raise _complaint(f"unknown option '{unknown.group(1)}' in a PostgreSQL URL") from None
        raise _complaint(f"this is no PostgreSQL URL; {_ENCODED}") from None
    if "service" in parameters:
        raise _complaint("'service' is not supported: write the host into the URL")
    names = parameters.pop("host", "").split(",")
    addresses = parameters.pop("hostaddr", "").split(",")
    ports = parameters.pop("port", "").split(",")
    count = max(len(names), len(addresses))
    if len(ports) == 1:
        # libpq: one port is the port of every host.
        ports *= count
    names += [""] * (count - len(names))
    addresses += [""] * (count - len(addresses))
    if len(ports) != count:
        raise _complaint("there are not as many ports as hosts")
    if not all(port == "" or port.isdecimal() for port in ports):
        raise _complaint(f"a port is no number; {_ENCODED}")
    hosts = map(PostgresHost, names, addresses, ports)
    return PostgresTarget(tuple(hosts), parameters)
