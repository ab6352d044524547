"""mailroute itself, as ``twistd`` runs it: a look-up in SQLite, the cache, a log line a session."""

from __future__ import annotations

import importlib.metadata
import json

from benchmarks.ground import LOOPBACK
from benchmarks.peers.contract import Peer, Site, counted, is_root
from benchmarks.processes import Command

_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"
_PROTOCOLS = {"imap": "imap", "pop3": "pop3", "smtp": "submission"}


def table(title: str, **pairs: object) -> str:
    """One table of TOML."""
    lines = (f"{key} = {json.dumps(value)}\n" for key, value in pairs.items())
    return f"[{title}]\n{''.join(lines)}\n"


def configuration(site: Site, workers: int, user: str | None) -> str:
    """The whole configuration file."""
    server: dict[str, object] = {"hostname": "mail.example.org", "workers": workers}
    server["auth_failure_delay"] = "0s"
    if user is not None:
        server |= {"user": user, "group": "nogroup"}
    text = table("server", **server)
    for service, port in site.ports.items():
        text += table(
            f"listener.{service}",
            protocol=_PROTOCOLS[service.removesuffix("s")],
            bind=[f"{LOOPBACK}:{port}"],
            tls="implicit" if service.endswith("s") else "plain",
            max_connections=40_000,
        )
    for store in ("store1", "store2"):
        text += table(f"destination.{store}", host=LOOPBACK, allow_plaintext_auth=True)
        for protocol, port in site.stores[store].items():
            name = f"destination.{store}.protocol.{_PROTOCOLS[protocol]}"
            text += table(name, port=port, tls="plain")
    text += table("mapping", source="sql", normalize="lowercase")
    text += table(
        "mapping.sql",
        url=f"sqlite://{site.database}",
        query="SELECT destination FROM accounts WHERE name = $1",
    )
    for protocol in _PROTOCOLS.values():
        text += table(f"capabilities.{protocol}", allow_plain_auth_without_tls=True)
    certificate = {"cert": str(site.certificate), "key": str(site.key), "default": True}
    return text + table("tls.certificate.main", **certificate)


class Mailroute(Peer):
    """mailroute with one worker or more, and a table of some size."""

    def __init__(self, python: str, workers: int = 1, accounts: int = Peer.accounts) -> None:
        self.python = python
        self.workers = workers
        self.accounts = accounts
        self.name = "mailroute"
        if workers != 1:
            self.name += f"-{workers}"
        if accounts != Peer.accounts:
            self.name += f"-{accounts}"
        self.note = f"{counted(workers, 'worker')}, {accounts:,} accounts in SQLite, cache and log"

    def missing(self) -> str | None:
        """See Peer."""
        return None

    def version(self) -> str:
        """See Peer."""
        try:
            return importlib.metadata.version("mailroute")
        except importlib.metadata.PackageNotFoundError:
            return "from the sources"

    def prepare(self, site: Site) -> list[Command]:
        """See Peer."""
        user = "nobody" if is_root() else None
        path = site.write("mailroute.toml", configuration(site, self.workers, user))
        log = site.folder / "log"
        options = ["--nodaemon", "--pidfile=", f"--logfile={log}"]
        return [[self.python, "-c", _TWISTD, *options, "mailroute", "--config", path]]
