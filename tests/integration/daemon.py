"""mailroute as ``twistd`` runs it, in the foreground or as a daemon; its configuration is text."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support.ports import LOOPBACK, is_open, poll
from tests.support.processes import START_SECONDS, alive

PATIENCE_SECONDS = 120
"""For what is bound to happen on two noisy cores."""
STOP_SECONDS = 30
BACKEND_TIMEOUT, PREAUTH_TIMEOUT = "40s", "5m"
"""Where a test does not choose: not to be met with, however slow the machine."""
WORKERS = int(os.environ.get("MAILROUTE_TEST_WORKERS", "1"))
"""How many processes serve, where a test does not choose."""
VISITS = 12 * WORKERS if WORKERS > 1 else 1
"""So many connections that each of the processes has had some of them."""

_REPOSITORY = Path(__file__).parents[2]
# What the script ``twistd`` does, for the interpreter that runs the tests.
_TWISTD = "import sys; from twisted.scripts.twistd import run; sys.exit(run())"
# What systemd does before: sockets from descriptor 3 on, for this process alone (sd_listen_fds(3)).
_PASS = """
import fcntl, os, sys
copies = [fcntl.fcntl(int(number), fcntl.F_DUPFD, 100) for number in os.environ["PASSED"].split()]
for place, copy in enumerate(copies, 3):
    os.dup2(copy, place)
    os.close(copy)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=str(len(copies)))
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


def children(pid: int, word: str = "slot") -> list[int]:
    """The numbers of a process' children that are workers."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            # Anybody's: what others were started with need not be text.
            words = os.fsdecode((stat.parent / "cmdline").read_bytes()).split("\0")
            if int(fields[1]) == pid and fields[0] not in "ZX" and word in words:
                found.append(int(stat.parent.name))
    return sorted(found)


def all_serve(pid: int, count: int, log: str) -> bool:
    """Whether this supervisor has so many workers, and the log says of each that it serves."""
    workers = children(pid)
    return len(workers) == count and all(f"(pid {each}) serves" in log for each in workers)


class Daemon:
    """One mailroute and its folder, in which it is started."""

    def __init__(self, toml: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-daemon-"))
        self.folder.chmod(0o755)
        self.configuration = self.folder / "mailroute.toml"
        self.configuration.write_text(toml)
        self.log = self.folder / "log"
        self.pidfile = self.folder / "pid"
        self.output = self.folder / "output"
        self.groups: Sequence[int] = ()
        """Supplementary groups to start it with; root's own affair."""
        self.passed: Mapping[str, socket.socket] = {}
        """Listening sockets by name, as systemd passes them."""
        self._started: subprocess.Popen[bytes] | None = None

    # -- running -------------------------------------------------------------------------

    def run(
        self,
        options: Sequence[str] = (),
        of_mailroute: Sequence[str] = ("--config", "mailroute.toml"),
        environment: Mapping[str, str] | None = None,
        code: str = _TWISTD,
    ) -> None:
        """Run ``twistd [options] mailroute [of_mailroute]``; what it prints goes to a file."""
        command = ["-c", code, *options, "--pidfile=pid", "--logfile=log"]
        numbers = [each.fileno() for each in self.passed.values()]
        environment = dict(environment or {})
        if self.passed:
            command = ["-c", _PASS, *command]
            environment["PASSED"] = " ".join(map(str, numbers))
            environment["LISTEN_FDNAMES"] = ":".join(self.passed)
        with self.output.open("wb") as output:
            self._started = subprocess.Popen(
                [sys.executable, *command, "mailroute", *of_mailroute],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(_REPOSITORY), **environment},
                pass_fds=numbers,
                extra_groups=self.groups or None,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    def start(self, port: int, options: Sequence[str] = ("-n",)) -> None:
        """Run it and wait until everybody serves.  Raises RuntimeError or TimeoutError."""
        self.run(options)
        self.await_port(port)
        chosen = tomllib.loads(self.configuration.read_text()).get("server", {})
        count, level = chosen.get("workers", 0), chosen.get("log_level", "info")
        # Their sockets listen before they do; that they serve is told at the level info.
        if count < 2 or level not in ("debug", "info"):
            return
        if not poll(lambda: all_serve(self.pid, count, self.log_text()), START_SECONDS):
            raise TimeoutError(f"not every worker serves: {self.log_text()}")

    def await_port(self, port: int) -> None:
        """Wait until somebody listens at the port.  Raises RuntimeError with its words."""
        poll(lambda: self.has_failed() or is_open(port), START_SECONDS)
        if not is_open(port):
            raise RuntimeError(f"mailroute did not start: {self.words()}{self.log_text()}")

    def has_failed(self) -> bool:
        """Whether what was started has ended, other than by becoming a daemon."""
        return self._started is not None and self._started.poll() not in (None, 0)

    def status(self) -> int:
        """The exit status of what was started; waits for its end."""
        assert self._started is not None
        return self._started.wait(PATIENCE_SECONDS)

    @property
    def pid(self) -> int:
        """The number of the serving process, or of the supervisor."""
        return int(self.pidfile.read_text())

    @property
    def servers(self) -> list[int]:
        """The numbers of the processes that serve clients."""
        return children(self.pid) or [self.pid]

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process that heeds them."""
        os.kill(self.pid, number)

    def stop(self) -> float:
        """Send SIGTERM and wait for the end; returns the seconds that it took."""
        pid, began = self.pid, time.monotonic()
        os.kill(pid, signal.SIGTERM)
        if not poll(lambda: not alive(pid), PATIENCE_SECONDS):
            raise TimeoutError(f"mailroute goes on after SIGTERM: {self.log_text()[-2000:]}")
        return time.monotonic() - began

    def remove(self) -> None:
        """End whatever was started here, by force if need be, and delete the folder."""
        pids = [self._started.pid] if self._started is not None else []
        with contextlib.suppress(OSError, ValueError):
            pids.append(self.pid)
        for pid in pids:
            for number, seconds in ((signal.SIGTERM, STOP_SECONDS), (signal.SIGKILL, 5)):
                with contextlib.suppress(ProcessLookupError):
                    if alive(pid):
                        os.kill(pid, number)
                poll(lambda pid=pid: not alive(pid), seconds)  # type: ignore[misc]
        if self._started is not None:
            self._started.wait(STOP_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)

    # -- what it says --------------------------------------------------------------------

    def words(self) -> str:
        """What it printed."""
        return self.output.read_text(errors="replace")

    def log_text(self) -> str:
        """What it logged."""
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def defects(self) -> list[str]:
        """The tracebacks in the log, each with the line before it."""
        before, *found = self.log_text().split("Traceback (most recent call last)")
        lines = [before.rstrip().rpartition("\n")[2] for before in (before, *found)]
        return [f"{line}\n{text[:2000]}" for line, text in zip(lines, found, strict=False)]

    def await_log(self, text: str, times: int = 1) -> None:
        """Wait until the log has this text so many times.  Raises TimeoutError."""
        if not poll(lambda: self.log_text().count(text) >= times, PATIENCE_SECONDS):
            raise TimeoutError(f"{text!r} is not in the log: {self.log_text()[-3000:]}")

    def reload(self) -> None:
        """SIGHUP, and wait until it has taken effect."""
        before = self.log_text().count("reloaded:")
        self.signal(signal.SIGHUP)
        self.await_log("reloaded:", before + 1)

    # -- what the kernel says ------------------------------------------------------------

    def process_statuses(self) -> list[dict[str, list[str]]]:
        """/proc/PID/status of each process that serves: the words behind each name."""
        texts = [Path(f"/proc/{pid}/status").read_text() for pid in self.servers]
        return [
            {line.partition(":")[0]: line.partition(":")[2].split() for line in text.splitlines()}
            for text in texts
        ]

    def threads(self) -> int:
        """How many threads the process has that has most of them."""
        return max(len(os.listdir(f"/proc/{pid}/task")) for pid in self.servers)

    def descriptors(self) -> int:
        """How many are open in all processes that serve."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.servers)

    def has_open(self, path: Path) -> bool:
        """Whether one of its processes has this file open."""
        found = []
        for pid in (self.pid, *self.servers):
            for link in Path(f"/proc/{pid}/fd").iterdir():
                with contextlib.suppress(FileNotFoundError):
                    found.append(link.readlink())
        return path in found


def table(name: str, **pairs: object) -> str:
    """One table of TOML."""
    return f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in pairs.items())


def destinations(**ports: int) -> str:
    """A destination for each name, with plain IMAP at this port."""
    text = ""
    for name, port in ports.items():
        text += table(f"destination.{name}", host=LOOPBACK, allow_plaintext_auth=True)
        text += table(f"destination.{name}.protocol.imap", port=port, tls="plain")
    return text


def listener(port: int, protocol: str = "imap", **more: object) -> str:
    """A listener without TLS at which passwords are welcome, if ``capabilities`` allows it."""
    pairs: dict[str, Any] = {"protocol": protocol, "bind": [f"{LOOPBACK}:{port}"], "tls": "plain"}
    pairs["preauth_timeout"] = PREAUTH_TIMEOUT
    return table(f"listener.{protocol}-{port}", **(pairs | more))


def capabilities(*protocols: str) -> str:
    """Leave to log in without TLS."""
    return "".join(
        table(f"capabilities.{protocol}", allow_plain_auth_without_tls=True)
        for protocol in protocols
    )


def server(**pairs: object) -> str:
    """The table ``[server]`` with what tests need."""
    usual = {
        "hostname": "front.example.org",
        "workers": WORKERS,
        "auth_failure_delay": "50ms",
        "backend_timeout": BACKEND_TIMEOUT,
        "shutdown_grace": "1s",
    }
    return table("server", **(usual | pairs))


def greeted(port: int, host: str = LOOPBACK) -> tuple[socket.socket, bytes]:
    """A connection, and its greeting's first line."""
    connection = socket.create_connection((host, port), PATIENCE_SECONDS)
    return connection, read_until(connection, b"\r\n")


def read_until(connection: socket.socket, end: bytes) -> bytes:
    """Read until these octets have come, or the end of the stream."""
    data = b""
    while not data.endswith(end):
        more = connection.recv(1)
        if not more:
            break
        data += more
    return data


def read_all(connection: socket.socket) -> bytes:
    """Read until the end of the stream."""
    data = b""
    while more := connection.recv(65536):
        data += more
    return data
