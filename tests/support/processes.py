"""A server process of the tests' own, with all the processes that it starts.

Only processes that were started here are ever signalled, each by its number.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.support.ports import is_open, poll

# Generous: two noisy cores share all the servers of a test run.
START_SECONDS = 60
STOP_SECONDS = 20
ORPHAN_SECONDS = 5


class ServerProcess:
    """One server in the foreground of its own session; it can be started again after a stop."""

    def __init__(self, command: Sequence[str], ports: Sequence[int], log: Path) -> None:
        self._command = command
        self._ports = ports
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process is there (suspended counts)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start, and return when every port accepts connections.

        Raises RuntimeError with the server's own words if it ends or takes too long.
        """
        if self.running:
            return
        with self._log.open("ab") as output:
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        poll(lambda: not self.running or all(map(is_open, self._ports)), START_SECONDS)
        if not (self.running and all(map(is_open, self._ports))):
            self.stop()
            words = self._log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"{self._command[0]} did not start: {words}")

    def end_with(self, number: signal.Signals) -> int:
        """Send one signal to the process alone; return its exit status.

        Raises subprocess.TimeoutExpired if it goes on for too long.
        """
        if self._process is None:
            raise RuntimeError("the server is not running")
        self._process.send_signal(number)
        return self._process.wait(STOP_SECONDS)

    def stop(self) -> None:
        """End it and its children in an orderly way, or by force if that takes too long."""
        if self._process is None:
            return
        family = self.family()
        self.resume()
        _signal([self._process.pid], signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(STOP_SECONDS)
        # Dovecot's processes outlive it as long as their clients stay.
        for number in (signal.SIGTERM, signal.SIGKILL):
            _signal([pid for pid in family if alive(pid)], number)
            poll(lambda: not any(map(alive, family)), ORPHAN_SECONDS)
        self._process.wait(STOP_SECONDS)
        self._process = None

    def suspend(self) -> None:
        """Stop all its processes from running: the server hangs, its ports stay open."""
        suspend(self.family)

    def resume(self) -> None:
        """Let a suspended server run on."""
        _signal(self.family(), signal.SIGCONT)

    def family(self) -> list[int]:
        """Return the numbers of the process and of all that descend from it."""
        if self._process is None:
            return []
        parents = _parents()
        family = [self._process.pid]
        for member in family:
            family += [pid for pid, parent in parents.items() if parent == member]
        return family


def _parents() -> dict[int, int]:
    """The parent of every process."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name in parentheses may hold anything; state and parent follow it.
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
            parents[int(stat.parent.name)] = int(fields[1])
    return parents


def alive(pid: int) -> bool:
    """Whether a process runs or is suspended; one that only waits to be reaped does not count."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


def suspend(family: Callable[[], Sequence[int]]) -> None:
    """Stop processes from running, and return when each of them stands still.

    Until then they may answer, and start others: ``family`` is asked again.  Raises RuntimeError
    if they go on.
    """

    def stands_still() -> bool:
        members = family()
        _signal(members, signal.SIGSTOP)
        return all(map(_stands_still, members))

    if not poll(stands_still, STOP_SECONDS):
        raise RuntimeError("the server goes on after SIGSTOP")


def _stands_still(pid: int) -> bool:
    """Whether no thread of the process runs."""
    states = []
    for stat in Path(f"/proc/{pid}/task").glob("*/stat"):
        with contextlib.suppress(OSError):
            states.append(stat.read_text(errors="replace").rpartition(")")[2].split()[0])
    return all(state in "TZX" for state in states)


def _signal(pids: Sequence[int], number: signal.Signals) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
