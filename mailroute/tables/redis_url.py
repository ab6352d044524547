"""Reads the URL of a Redis server.

``redis://user:password@host:port/number``, ``rediss://`` for TLS (option ``ssl_ca_certs=/path``
for authorities other than the platform's), ``unix:///path?db=number``.  User, password, port and
number may be left out.  No complaint quotes the URL: it holds the password.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from mailroute.errors import ConfigurationError

_OPTIONS = {"redis": {"db"}, "rediss": {"db", "ssl_ca_certs"}, "unix": {"db"}}


@dataclass(frozen=True, slots=True)
class RedisTarget:
    """A server; with ``socket``, host and port are unused."""

    host: str = "localhost"
    port: int = 6379
    socket: str | None = None
    database: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    tls: bool = False
    ca_file: str | None = None

    @property
    def place(self) -> str:
        """Where it is, for messages."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return self.socket or f"{host}:{self.port}"


def parse_redis_url(url: str, place: str) -> RedisTarget:
    """Read the URL.  Raises ConfigurationError that names ``place``."""
    try:
        return _target(urlsplit(url))
    except _Fault as fault:
        raise ConfigurationError([f"{place}: {fault}"]) from None
    except ValueError:
        text = "this is no Redis URL; signs as @ : / in a password are percent-encoded"
        raise ConfigurationError([f"{place}: {text}"]) from None


class _Fault(Exception):
    """What is wrong, without the URL."""


def _target(parts: SplitResult) -> RedisTarget:
    if parts.scheme not in _OPTIONS:
        raise _Fault("it has to begin with redis://, rediss:// or unix://")
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    for name in options.keys() - _OPTIONS[parts.scheme]:
        raise _Fault(f"unknown option {name!r} in a {parts.scheme} URL")
    number = options.get("db", "")
    path = unquote(parts.path)
    if parts.scheme != "unix":
        number = number or path.strip("/")
        path = ""
    elif not path.startswith("/"):
        raise _Fault("write unix:///path/of/the/socket")
    if number and not (number.isascii() and number.isdigit() and len(number) < 10):
        raise _Fault("the database is a number, as in redis://host/0")
    return RedisTarget(
        host=unquote(parts.hostname or "localhost"),
        port=parts.port or 6379,
        socket=path or None,
        database=int(number) if number else None,
        user=unquote(parts.username) if parts.username else None,
        password=unquote(parts.password) if parts.password else None,
        tls=parts.scheme == "rediss",
        ca_file=options.get("ssl_ca_certs"),
    )
