"""Perdition: a process for each session, accounts in GDBM, a daemon for each port; no SMTP."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

from benchmarks.peers.contract import MAIL_SERVICES, Peer, Site, own_name, package_version
from benchmarks.processes import Command

_PROTOCOLS = {"imap": "IMAP4", "imaps": "IMAP4S", "pop3": "POP3", "pop3s": "POP3S"}


def map_lines(site: Site, protocol: str) -> Iterator[str]:
    """The accounts in the form that makegdbm reads: name:host:port."""
    connection = sqlite3.connect(site.database)
    try:
        for name, store in connection.execute("SELECT name, destination FROM accounts"):
            yield f"{name}:127.0.0.1:{site.stores[store][protocol]}\n"
    finally:
        connection.close()


class Perdition(Peer):
    """Perdition as packaged."""

    name = "perdition"
    note = "a process for each session, GDBM map"
    packages = ("perdition",)
    services = MAIL_SERVICES
    mib_per_session = 1.0
    # Each child closes every descriptor up to the limit before it ends: the usual limit is fair.
    open_files = 1024

    def version(self) -> str:
        """See Peer."""
        return package_version("perdition")

    def prepare(self, site: Site) -> list[Command]:
        """See Peer."""
        for protocol in ("imap", "pop3"):
            path = site.folder / f"{protocol}.gdbm"
            lines = "".join(map_lines(site, protocol))
            subprocess.run(["/usr/bin/makegdbm", path], input=lines, text=True, check=True)
            path.chmod(0o644)
        # Its children write the log when they have become somebody else.
        site.folder.chmod(0o777)
        return [self._command(site, service) for service in self.services]

    def _command(self, site: Site, service: str) -> Command:
        library = next(Path("/usr/lib").glob("*/libperditiondb_gdbm.so.0"))
        words: list[str | Path] = ["/usr/sbin/perdition", "--config_file", "/dev/null"]
        words += ["--no_daemon", "--no_lookup", "--pid_file", "", "--connect_relog", "0"]
        words += ["--protocol", _PROTOCOLS[service], "--bind_address", "127.0.0.1"]
        words += ["--listen_port", str(site.ports[service]), "--username", own_name()]
        words += ["--group", "nogroup", "--log_facility", site.folder / f"{service}.log"]
        words += ["--map_library", library]
        words += ["--map_library_opt", site.folder / f"{service.removesuffix('s')}.gdbm"]
        if service.endswith("s"):
            words += ["--ssl_mode", "ssl_listen", "--ssl_cert_file", site.certificate]
            words += ["--ssl_key_file", site.key]
        return words
