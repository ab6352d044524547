"""The parameter ``hosts``: ``unix:/path``, ``inet:host:port``, ``host``, ``postgresql://...``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntEnum

from mailroute.tables.postfix.braces import SEPARATORS


class Way(IntEnum):
    """How a server is reached; the smaller one is tried first."""

    UNIX = 1
    INET = 2
    URI = 3


@dataclass(frozen=True, slots=True)
class Host:
    """One host; ``name`` is a path (empty: the usual one), a host or a URI with a password."""

    way: Way
    name: str = field(repr=False)
    port: int | None = None

    @property
    def place(self) -> str:
        """Where it is, without a password."""
        if self.way is Way.URI:
            return f"postgresql://{self.name.partition('://')[2].rpartition('@')[2]}"
        if self.way is Way.UNIX:
            return self.name or "the usual socket"
        return f"{self.name}:{self.port}" if self.port else self.name


def mysql_hosts(text: str) -> list[Host]:
    """The hosts of a MySQL table; ``localhost`` is the usual socket.  Raises ValueError."""
    hosts = []
    for written in _words(text):
        if written.startswith("unix:"):
            hosts.append(Host(Way.UNIX, written.removeprefix("unix:")))
            continue
        name, port = _name_and_port(written.removeprefix("inet:"))
        if name.lower() == "localhost":
            hosts.append(Host(Way.UNIX, "", port))
        else:
            hosts.append(Host(Way.INET, name, port))
    return hosts


def pgsql_hosts(text: str) -> list[Host]:
    """The hosts of a PostgreSQL table.  Raises ValueError."""
    hosts = []
    for written in _words(text):
        if written.startswith(("postgresql:", "postgres:")):
            hosts.append(Host(Way.URI, written))
            continue
        name = written.removeprefix("unix:").removeprefix("inet:")
        if not name or name.startswith("/"):
            hosts.append(Host(Way.UNIX, name))
        else:
            hosts.append(Host(Way.INET, *_name_and_port(name)))
    return hosts


def _words(text: str) -> Sequence[str]:
    for separator in SEPARATORS:
        text = text.replace(separator, " ")
    return text.split() or ["localhost"]


def _name_and_port(written: str) -> tuple[str, int | None]:
    name, sign, port = written.rpartition(":")
    if not sign:
        return written, None
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f"{written}: {port!r} is no port")
    return name, int(port)
