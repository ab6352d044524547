"""Processes that are measured together, and ended by those who started them."""

from __future__ import annotations

import contextlib
import itertools
import os
import resource
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import FrameType

from benchmarks.accounting import Account, memory_kib, open_account

_NUMBERS = itertools.count(1)
_TERM_SECONDS = 8.0
_KILL_SECONDS = 4.0

Command = Sequence[str | Path]


def raise_open_files(wanted: int = 200_000) -> int:
    """Raise our limit of open files, which all that we start inherits.  Returns it."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for limit in (max(wanted, hard), hard):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def end_on_sigterm() -> None:
    """Make SIGTERM an orderly end: what was started is stopped on the way out."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)


class ProcessGroup:
    """Some processes and all that they start."""

    def __init__(self, name: str) -> None:
        self._account: Account = open_account(f"bench-{os.getpid()}-{next(_NUMBERS)}-{name}")
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def account(self) -> Account:
        """Who counts."""
        return self._account

    def start(
        self,
        command: Command,
        folder: Path,
        open_files: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> subprocess.Popen[bytes]:
        """Start a command in a folder; what it prints goes to the file ``output`` there."""
        with (folder / "output").open("ab") as output:
            started = subprocess.Popen(
                [str(word) for word in command],
                cwd=folder,
                env={**os.environ, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=self._entrance(open_files),
            )
        self._started.append(started)
        return started

    def _entrance(self, open_files: int | None) -> Callable[[], None]:
        def enter() -> None:
            self._account.join()
            if open_files is not None:
                _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
                resource.setrlimit(resource.RLIMIT_NOFILE, (open_files, hard))

        return enter

    def _roots(self) -> frozenset[int]:
        return frozenset(started.pid for started in self._started)

    def ended(self) -> list[int]:
        """The exit statuses of those that should still be running."""
        return [status for it in self._started if (status := it.poll()) is not None]

    def pids(self) -> list[int]:
        """The living processes."""
        return self._account.pids(self._roots())

    def cpu_seconds(self) -> float:
        """User and system time so far."""
        return self._account.cpu_seconds(self._roots())

    def memory_kib(self) -> int:
        """What the processes hold together."""
        return memory_kib(self.pids())

    def stop(self) -> None:
        """End all: ask those that we started, then force whatever is left of their trees."""
        for started in self._started:
            if started.poll() is None:
                started.terminate()
        if not self._await_end(_TERM_SECONDS):
            for pid in self.pids():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._await_end(_KILL_SECONDS)
        self._account.close()

    def _await_end(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for started in self._started:
                started.poll()
            if not self.pids():
                return True
            time.sleep(0.02)
        return False


def settle(groups: Sequence[ProcessGroup], seconds: float = 3.0) -> None:
    """Wait until they use no more CPU time: they have ended what they were doing."""
    deadline = time.monotonic() + seconds
    before = sum(group.cpu_seconds() for group in groups)
    while time.monotonic() < deadline:
        time.sleep(0.1)
        now = sum(group.cpu_seconds() for group in groups)
        if now - before < 0.001:
            return
        before = now
