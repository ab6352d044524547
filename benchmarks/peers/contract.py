"""What a peer has to say about itself."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.processes import Command

SERVICES = ("imap", "imaps", "pop3", "pop3s", "smtp", "smtps")
MAIL_SERVICES = SERVICES[:4]


@dataclass(frozen=True, slots=True)
class Site:
    """Where a peer is to live."""

    folder: Path
    """Its own, empty."""
    ports: Mapping[str, int]
    """Of its services, and of whatever else it named in ``more_ports``."""
    stores: Mapping[str, Mapping[str, int]]
    """store1 and store2, by protocol; store0 takes every account."""
    certificate: Path
    key: Path
    both: Path
    database: Path
    """SQLite: accounts (name, destination)."""

    def store_port(self, number: int, protocol: str) -> int:
        """The port of a store."""
        return self.stores[f"store{number}"][protocol]

    def write(self, name: str, text: str) -> Path:
        """A file in the peer's folder."""
        path = self.folder / name
        path.write_text(text)
        path.chmod(0o644)
        return path


def counted(number: int, noun: str) -> str:
    """1 worker, 2 workers."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def is_root() -> bool:
    """Whether we may do everything."""
    return os.geteuid() == 0


def own_name() -> str:
    """Whom a peer runs as: nobody in particular if we are root, else ourselves."""
    return "nobody" if is_root() else pwd.getpwuid(os.geteuid()).pw_name


class Peer(ABC):
    """A mail proxy and its configuration."""

    name: str
    note: str
    """How it was configured, for the reader of the figures."""
    packages: tuple[str, ...] = ()
    """Debian's, all of them needed."""
    services: tuple[str, ...] = SERVICES
    more_ports: tuple[str, ...] = ()
    routes = True
    """False: it knows no accounts and sends every session to store 0."""
    accounts = 100_000
    """The size of the table that it looks accounts up in."""
    open_files: int | None = None
    """A limit of its own."""
    mib_per_session = 0.1
    """A generous guess, so that a small machine is not brought down."""

    def missing(self) -> str | None:
        """Why it cannot run here, with what to do about it; None if it can."""
        if shutil.which("dpkg-query") is None:
            return "its configuration here is for Debian's packages, and this is no Debian"
        wanted = [package for package in self.packages if not is_installed(package)]
        return f"not installed: apt-get install {' '.join(wanted)}" if wanted else None

    @abstractmethod
    def version(self) -> str:
        """What is installed."""

    @abstractmethod
    def prepare(self, site: Site) -> list[Command]:
        """Write the configuration; returns what to start, to be kept in the foreground."""


def is_installed(package: str) -> bool:
    """Whether Debian's package is there, whole."""
    return _query(package, "${db:Status-Status}") == "installed"


def package_version(package: str) -> str:
    """The version of Debian's package."""
    return _query(package, "${Version}")


def _query(package: str, form: str) -> str:
    words = ["dpkg-query", "--show", f"--showformat={form}", package]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()
