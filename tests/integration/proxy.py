"""mailroute itself, as the process that an operator runs, with a folder and ports of its own."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from tests.integration import servers
from tests.integration.certificates import Issued
from tests.integration.daemon import (
    BACKEND_TIMEOUT,
    PREAUTH_TIMEOUT,
    WORKERS,
    all_serve,
    children,
)
from tests.support.ports import LOOPBACK, free_ports, poll
from tests.support.processes import START_SECONDS, ServerProcess

PROTOCOLS = ("imap", "pop3", "submission", "managesieve")
MODES = ("plain", "starttls", "implicit")
QUIET_SECONDS = 30
"""How long at most something is waited for that is under way already."""

_REPOSITORY = Path(__file__).parents[2]
# What the script ``twistd`` does, for the interpreter that runs the tests.
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"


@dataclass(frozen=True, slots=True)
class Destination:
    """``[destination.NAME]``: its endpoints are port and TLS mode by protocol."""

    name: str
    endpoints: Mapping[str, tuple[int, str]]
    hosts: tuple[str, ...] = ("localhost",)
    options: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Settings:
    """What is different from one mailroute to the next.

    ``routes`` (account to destination) becomes a mapping file; ``mapping``, the text of
    ``[mapping]`` and the tables below it, replaces that.
    """

    destinations: tuple[Destination, ...]
    routes: Mapping[str, str] = field(default_factory=dict)
    mapping: str = ""
    server: Mapping[str, object] = field(default_factory=dict)
    cleartext_logins: bool = True
    listener: Mapping[str, object] = field(default_factory=dict)
    """Further keys of every listener."""
    further: tuple[tuple[str, str], ...] = ()
    """Listeners beside those of PROTOCOLS: protocol and mode."""
    capabilities: Mapping[str, object] = field(default_factory=dict)
    """Of every protocol."""
    client_ca: str = ""
    """Of the listeners that speak TLS."""
    extra: str = ""
    """Text behind everything else."""


@dataclass(frozen=True, slots=True)
class Reading:
    """What the kernel says of the processes that serve."""

    peak_kib: int
    """The most memory that was resident since ``forget_peak``."""
    descriptors: int
    """Without pipes: those that are kept for the next bulk are nobody's."""
    threads: int


class Proxy:
    """One mailroute with a listener for each protocol in each of the three modes."""

    def __init__(self, settings: Settings) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-front-"))
        self.folder.chmod(0o755)
        places = [*itertools.product(PROTOCOLS, MODES), *settings.further]
        self.ports = dict(zip(places, free_ports(len(places)), strict=True))
        self.configuration = self.folder / "mailroute.toml"
        self.mapping_file = self.folder / "routes"
        self._log = self.folder / "log"
        self.write_routes(settings.routes)
        self.configuration.write_text(self._toml(settings), encoding="utf-8")
        twistd = ["-n", "--pidfile=", "mailroute", "--config", str(self.configuration)]
        self._process = ServerProcess(
            [
                # env ends by becoming the program: the process keeps its number.
                *("/usr/bin/env", "-C", str(self.folder), f"PYTHONPATH={_REPOSITORY}"),
                *(sys.executable, "-c", _TWISTD, *twistd),
            ],
            list(self.ports.values()),
            self._log,
        )
        self._workers = int(str({"workers": WORKERS, **settings.server}["workers"]))
        self.stop = self._process.stop
        self.suspend = self._process.suspend
        self.resume = self._process.resume

    def start(self) -> None:
        """Start it, and return when everybody serves.  Raises RuntimeError or TimeoutError."""
        self._process.start()
        if self._workers > 1:
            # Their sockets listen before they do.
            self.wait_until(lambda: all_serve(self.pid, self._workers, self.text()), START_SECONDS)

    @property
    def running(self) -> bool:
        """Whether it has been started and not ended."""
        return self._process.running

    @property
    def pid(self) -> int:
        """The number of the running process, or of the supervisor."""
        return self._process.family()[0]

    @property
    def servers(self) -> list[int]:
        """The numbers of the processes that serve clients."""
        return children(self.pid) or [self.pid]

    def remove(self) -> None:
        """Stop it and delete its folder."""
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def write_routes(self, routes: Mapping[str, str]) -> None:
        """Replace the mapping file, which is read at the start and by ``reload``."""
        self.mapping_file.write_text("".join(f"{who} {where}\n" for who, where in routes.items()))

    def reload(self) -> None:
        """Have the mapping file read anew and the cache expired, and wait for that."""
        before = len(self.records())
        os.kill(self.pid, signal.SIGHUP)
        self.wait_until(
            lambda: any("reloaded" in str(r.get("text")) for r in self.records()[before:])
        )

    # -- what it says --------------------------------------------------------------------

    def text(self) -> str:
        """Everything that it has written, log and complaints."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    def records(self) -> list[dict[str, Any]]:
        """The log's events, oldest first; a line under way is left out."""
        found = []
        for line in self.text().splitlines():
            if line.startswith("{"):
                with contextlib.suppress(json.JSONDecodeError):
                    found.append(json.loads(line))
        return found

    def events(self, event: str, **wanted: object) -> list[dict[str, Any]]:
        """The events of this name whose fields have these values."""
        return [
            record
            for record in self.records()
            if record.get("event") == event
            and all(record.get(name) == value for name, value in wanted.items())
        ]

    def wait_for(self, event: str, **wanted: object) -> dict[str, Any]:
        """The last such event; waits for it.  Raises TimeoutError with the log's end."""
        self.wait_until(lambda: self.events(event, **wanted))
        return self.events(event, **wanted)[-1]

    def wait_until(self, condition: Any, seconds: float = QUIET_SECONDS) -> None:
        """Wait for a condition.  Raises TimeoutError with the log's end."""
        if not poll(condition, seconds):
            raise TimeoutError(f"it did not come to that; the log: {self.text()[-3000:]}")

    def defects(self) -> list[str]:
        """The lines that tell of a defect of mailroute itself."""
        marks = ("Traceback", "Unhandled", "internal-error", '"level": "critical"')
        return [line for line in self.text().splitlines() if any(m in line for m in marks)]

    # -- what the kernel says ------------------------------------------------------------

    def reading(self) -> Reading:
        """Memory, descriptors and threads at this moment, of all processes that serve."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.servers]
        statuses = [dict(line.split(":", 1) for line in text.splitlines()) for text in texts]
        return Reading(
            peak_kib=sum(int(status["VmHWM"].split()[0]) for status in statuses),
            descriptors=len(self._descriptors()),
            threads=sum(int(status["Threads"]) for status in statuses),
        )

    def _descriptors(self) -> list[str]:
        """What the descriptors are open for, pipes left out; one closed meanwhile as well."""
        found = []
        for pid in self.servers:
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found.append(str(link.readlink()))
        return [name for name in found if not name.startswith("pipe:")]

    def forget_peak(self) -> Reading:
        """Let the peak of memory begin anew at what is resident now, and tell that."""
        for pid in self.servers:
            Path(f"/proc/{pid}/clear_refs").write_text("5")
        return self.reading()

    # -- its configuration ---------------------------------------------------------------

    def _toml(self, settings: Settings) -> str:
        front = front_certificate()
        server = {
            "hostname": "front.example.org",
            "workers": WORKERS,
            "shutdown_grace": "1s",
            "auth_failure_delay": "50ms",
            "backend_timeout": BACKEND_TIMEOUT,
            "log_format": "json",
            **settings.server,
        }
        mapping = settings.mapping or (
            '[mapping]\nsource = "file"\n' + table("mapping.file", {"path": str(self.mapping_file)})
        )
        certificate = {"cert": str(front.cert), "key": str(front.key), "default": True}
        parts = [table("server", server), mapping, table("tls.certificate.front", certificate)]
        for (protocol, mode), port in self.ports.items():
            listener = {"protocol": protocol, "bind": [f"{LOOPBACK}:{port}"], "tls": mode}
            listener |= {"preauth_timeout": PREAUTH_TIMEOUT, **settings.listener}
            if settings.client_ca and mode != "plain":
                listener["client_ca"] = settings.client_ca
            parts.append(table(f"listener.{protocol}-{mode}", listener))
        for protocol in PROTOCOLS:
            allowed = {"allow_plain_auth_without_tls": settings.cleartext_logins}
            parts.append(table(f"capabilities.{protocol}", {**allowed, **settings.capabilities}))
        parts += map(_destination, settings.destinations)
        return "\n".join([*parts, settings.extra])


def table(name: str, pairs: Mapping[str, object]) -> str:
    """One table of TOML; a string, number or list is written as in JSON."""
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in pairs.items())


def _destination(destination: Destination) -> str:
    name = f"destination.{json.dumps(destination.name)}"
    text = table(name, {"hosts": list(destination.hosts), **destination.options})
    for protocol, (port, mode) in destination.endpoints.items():
        text += table(f"{name}.protocol.{protocol}", {"port": port, "tls": mode})
    return text


@cache
def front_certificate() -> Issued:
    """The certificate that every mailroute of the tests shows to clients."""
    return servers.authority().issue("front")
