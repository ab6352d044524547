"""The demo's folder: the table of routes, the certificate and mailroute's configuration file."""

from __future__ import annotations

import datetime
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from mailroute.demo.certificate import write_certificate

ADDRESS = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class FrontPorts:
    """The ports on which the demo's mailroute listens."""

    imap: int = 1143
    imaps: int = 1993
    pop3: int = 1110
    pop3s: int = 1995
    submission: int = 1587
    submissions: int = 1465


@dataclass(frozen=True, slots=True)
class Folder:
    """Where the demo's files are."""

    path: Path

    @property
    def table(self) -> Path:
        """The SQLite database with the table ``mailbox_routes``."""
        return self.path / "routes.sqlite"

    @property
    def certificate(self) -> Path:
        """The certificate, PEM."""
        return self.path / "certificate.pem"

    @property
    def key(self) -> Path:
        """The certificate's key, PEM."""
        return self.path / "key.pem"

    @property
    def configuration(self) -> Path:
        """What ``--config`` gets."""
        return self.path / "mailroute.toml"


def write_files(
    folder: Folder,
    routes: Mapping[str, str],
    destinations: Mapping[str, Mapping[str, int]],
    ports: FrontPorts,
    now: datetime.datetime,
) -> None:
    """Write everything that mailroute needs; ``now`` has a time zone.

    ``routes`` leads from account to destination, ``destinations`` from the destination's name
    to its port for each protocol.
    """
    write_certificate(folder.certificate, folder.key, now)
    with closing(sqlite3.connect(folder.table)) as database, database:
        database.execute(
            "CREATE TABLE mailbox_routes (identifier TEXT PRIMARY KEY, destination TEXT NOT NULL)"
        )
        database.executemany("INSERT INTO mailbox_routes VALUES (?, ?)", routes.items())
    text = _HEAD.format(table=folder.table, cert=folder.certificate, key=folder.key)
    text += "".join(_listeners(ports))
    for name, backend in destinations.items():
        text += _DESTINATION.format(name=name, host=ADDRESS)
        for protocol, port in backend.items():
            text += _BACKEND_PROTOCOL.format(name=name, protocol=protocol, port=port)
    folder.configuration.write_text(text, encoding="utf-8")


def _listeners(ports: FrontPorts) -> list[str]:
    rows = (
        ("imap", "imap", "starttls", ports.imap),
        ("imaps", "imap", "implicit", ports.imaps),
        ("pop3", "pop3", "starttls", ports.pop3),
        ("pop3s", "pop3", "implicit", ports.pop3s),
        ("submission", "submission", "starttls", ports.submission),
        ("submissions", "submission", "implicit", ports.submissions),
    )
    return [
        _LISTENER.format(name=name, protocol=protocol, tls=tls, host=ADDRESS, port=port)
        for name, protocol, tls, port in rows
    ]


_HEAD = """\
# Written by the demo, and removed when it ends.

[server]
hostname = "localhost"
# The demo is one process, sample servers included.
workers = 1
# Somebody waits for the demo to end.
shutdown_grace = "2s"

[mapping]
source = "sql"
# How long an answer is remembered: 600s unless set, but nobody waits for that in a demo.
positive_ttl = "1s"

[mapping.sql]
url = "sqlite://{table}"
query = "SELECT destination FROM mailbox_routes WHERE identifier = ?"
upsert_query = "REPLACE INTO mailbox_routes VALUES ($1, $2)"
delete_query = "DELETE FROM mailbox_routes WHERE identifier = $1"
list_query = "SELECT identifier, destination FROM mailbox_routes"

[tls.certificate.demo]
cert = "{cert}"
key = "{key}"
"""

_LISTENER = """
[listener.{name}]
protocol = "{protocol}"
bind = ["{host}:{port}"]
tls = "{tls}"
max_connections = 100
"""

_DESTINATION = """
[destination.{name}]
host = "{host}"
# The sample servers speak plain text; they are on this very machine.
allow_plaintext_auth = true
"""

_BACKEND_PROTOCOL = """
[destination.{name}.protocol.{protocol}]
port = {port}
tls = "plain"
"""
