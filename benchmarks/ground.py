"""What all peers stand on: a private folder, compiled programs, a certificate, the mail stores."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.accounts import write_database
from benchmarks.processes import ProcessGroup, raise_open_files

LOOPBACK = "127.0.0.1"
PROTOCOLS = ("imap", "pop3", "smtp")
# Below the ports that the kernel gives to outgoing connections.
_PORTS = range(20_000, 32_000)
_NATIVE = Path(__file__).with_name("native")
_PROGRAMS = {
    "store": ("store.c",),
    "load": ("load.c", "session.c", "-lssl", "-lcrypto"),
}
_CERTIFICATE = (
    *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
    *("-nodes", "-sha256", "-days", "30", "-subj", "/CN=mail.example.org"),
    *("-addext", "subjectAltName=DNS:mail.example.org"),
)
_COUNTERS = re.compile(r"(\w+)=(\d+)")


class GroundMissing(Exception):
    """Something that every run needs is not there; the text says what to install."""


@dataclass(frozen=True, slots=True)
class Counters:
    """What the stores counted, all of them together."""

    logins: int
    sent: int
    taken: int
    spoilt: int
    stuck: int

    def __sub__(self, other: Counters) -> Counters:
        return Counters(
            self.logins - other.logins,
            self.sent - other.sent,
            self.taken - other.taken,
            self.spoilt - other.spoilt,
            self.stuck - other.stuck,
        )


class Ground:
    """A context manager: it is there inside, and gone afterwards."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-bench-"))
        self.folder.chmod(0o755)  # peers give up their privileges and read here
        self.open_files = raise_open_files()
        self.stores_group = ProcessGroup("stores")
        self.stores: dict[str, Mapping[str, int]] = {}
        self.store_pids: dict[str, int] = {}
        self._next_port = _PORTS.start + os.getpid() * 97 % (len(_PORTS) - 2000)
        self._databases: dict[int, Path] = {}

    def __enter__(self) -> Ground:
        try:
            self._compile()
            self._make_certificate()
            self._start_stores()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stores_group.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what peers need ---------------------------------------------------------------------

    @property
    def certificate(self) -> Path:
        """The chain; the key is beside it as ``key.pem``, both together in ``both.pem``."""
        return self.folder / "certificate.pem"

    @property
    def load_program(self) -> Path:
        """The clients."""
        return self.folder / "load"

    def database(self, count: int) -> Path:
        """A table of so many accounts."""
        if count not in self._databases:
            self._databases[count] = self.folder / f"accounts-{count}.db"
            write_database(self._databases[count], count)
        return self._databases[count]

    def port(self) -> int:
        """A port at which nobody listens."""
        while True:
            self._next_port += 1
            with contextlib.suppress(OSError), socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((LOOPBACK, self._next_port))
                return self._next_port

    def counters(self) -> Counters:
        """What the stores have counted so far."""
        sums: dict[str, int] = {}
        for ports in self.stores.values():
            with socket.create_connection((LOOPBACK, ports["imap"]), 10) as connection:
                connection.sendall(b"a XCOUNT\r\nb LOGOUT\r\n")
                text = b"".join(iter(lambda: connection.recv(4096), b"")).decode()
            for name, value in _COUNTERS.findall(text):
                sums[name] = sums.get(name, 0) + int(value)
        return Counters(**{name: sums.get(name, 0) for name in Counters.__dataclass_fields__})

    # -- making it ---------------------------------------------------------------------------

    def _compile(self) -> None:
        if shutil.which("gcc") is None:
            raise GroundMissing("gcc is missing: apt-get install gcc libc6-dev libssl-dev")
        for program, words in _PROGRAMS.items():
            sources = [word if word.startswith("-") else str(_NATIVE / word) for word in words]
            command = ["gcc", "-O2", "-Wall", "-Wextra", "-o", str(self.folder / program), *sources]
            made = subprocess.run(command, capture_output=True, text=True, check=False)
            if made.returncode != 0:
                hint = "apt-get install libssl-dev" if "openssl/" in made.stderr else "gcc failed"
                raise GroundMissing(f"{hint}: {made.stderr[:500]}")

    def _make_certificate(self) -> None:
        if shutil.which("openssl") is None:
            raise GroundMissing("openssl is missing: apt-get install openssl")
        key = self.folder / "key.pem"
        subprocess.run(
            [*_CERTIFICATE, "-keyout", str(key), "-out", str(self.certificate)],
            check=True,
            capture_output=True,
        )
        both = self.folder / "both.pem"
        both.touch(mode=0o600)
        both.write_text(self.certificate.read_text() + key.read_text())

    def _start_stores(self) -> None:
        for number in (0, 1, 2):
            ports: Mapping[str, int] = {protocol: self.port() for protocol in PROTOCOLS}
            self.stores[f"store{number}"] = ports
            numbers = [str(number), *(str(port) for port in ports.values())]
            started = self.stores_group.start([self.folder / "store", *numbers], self.folder)
            self.store_pids[f"store{number}"] = started.pid
        for ports in self.stores.values():
            for port in ports.values():
                await_greeting(port, tls=False, seconds=10)


def await_greeting(port: int, tls: bool, seconds: float) -> None:
    """Wait until a server listens; one without TLS must greet.  Raises TimeoutError."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with (
            contextlib.suppress(OSError),
            socket.create_connection((LOOPBACK, port), 5) as connection,
        ):
            if tls or connection.recv(512):
                return
        time.sleep(0.05)
    raise TimeoutError(f"nobody answers at port {port} after {seconds:.0f} s")
