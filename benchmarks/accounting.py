"""CPU time and memory of processes and of all that they start.

A control group of their own counts CPU time exactly, the time of processes that have ended
included.  Where none can be made (it needs root), /proc tells it in steps of 10 ms.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

_TICKS = os.sysconf("SC_CLK_TCK")
_CGROUPS = Path("/sys/fs/cgroup")
# Version 1 keeps CPU accounting in a hierarchy of its own, mounted in one of these places.
_CPUACCT = (_CGROUPS / "cpuacct", _CGROUPS / "cpu,cpuacct")
_UNIFIED = (_CGROUPS, _CGROUPS / "unified")


class Account(Protocol):
    """Who counts for some processes."""

    kind: str
    """How it counts, for the reader of the figures."""

    def join(self) -> None:
        """Called in each new process before it becomes what it is to be."""

    def cpu_seconds(self, roots: frozenset[int]) -> float:
        """User and system time of all processes so far, those that ended included."""

    def pids(self, roots: frozenset[int]) -> list[int]:
        """The living processes."""

    def close(self) -> None:
        """Forget; the processes have ended."""


class ControlGroup:
    """A control group, of version 1 (controller cpuacct) or 2."""

    def __init__(self, parent: Path, name: str, unified: bool) -> None:
        """Make it.  Raises OSError where that is not allowed."""
        self.folder = parent / name
        self.unified = unified
        self.kind = f"control group (version {2 if unified else 1})"
        self.folder.mkdir()

    def join(self) -> None:
        """See Account."""
        (self.folder / "cgroup.procs").write_text("0")

    def cpu_seconds(self, roots: frozenset[int]) -> float:
        """See Account."""
        if not self.unified:
            return int((self.folder / "cpuacct.usage").read_text()) / 1e9
        found = re.search(r"^usage_usec (\d+)", (self.folder / "cpu.stat").read_text(), re.M)
        return int(found.group(1)) / 1e6 if found else 0.0

    def pids(self, roots: frozenset[int]) -> list[int]:
        """See Account."""
        files = [self.folder / "cgroup.procs", *self.folder.glob("*/cgroup.procs")]
        return sorted(int(word) for file in files for word in file.read_text().split())

    def close(self) -> None:
        """See Account.  The kernel needs a moment after the last process."""
        for _ in range(50):
            with contextlib.suppress(OSError):
                for child in [*self.folder.glob("*/"), self.folder]:
                    child.rmdir()
                return
            time.sleep(0.05)


@dataclass(frozen=True, slots=True)
class Process:
    """A line of /proc/PID/stat."""

    parent: int
    session: int
    ticks: int
    """Its own and those of its children that it waited for."""


def parse_stat(line: str) -> Process:
    """Read /proc/PID/stat; the name in it may contain anything, parentheses too."""
    words = line[line.rindex(")") + 2 :].split()
    return Process(int(words[1]), int(words[3]), sum(int(word) for word in words[11:15]))


def _processes() -> dict[int, Process]:
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            with contextlib.suppress(OSError):
                found[int(folder.name)] = parse_stat((folder / "stat").read_text(errors="replace"))
    return found


def tree(processes: dict[int, Process], roots: frozenset[int]) -> set[int]:
    """The roots, what they started, and what stayed in their sessions when its parent ended."""
    members = {pid for pid, it in processes.items() if pid in roots or it.session in roots}
    while True:
        more = {pid for pid, it in processes.items() if it.parent in members} - members
        if not more:
            return members
        members |= more


class ProcessTree:
    """/proc: what a process counted is kept by the parent that waited for it."""

    kind = "/proc (steps of 10 ms)"

    def join(self) -> None:
        """See Account."""

    def cpu_seconds(self, roots: frozenset[int]) -> float:
        """See Account."""
        processes = _processes()
        return sum(processes[pid].ticks for pid in tree(processes, roots)) / _TICKS

    def pids(self, roots: frozenset[int]) -> list[int]:
        """See Account."""
        return sorted(tree(_processes(), roots))

    def close(self) -> None:
        """See Account."""


def open_account(name: str) -> Account:
    """The most exact account that this machine allows."""
    for parent in _CPUACCT:
        if (parent / "cpuacct.usage").exists():
            with contextlib.suppress(OSError):
                return ControlGroup(parent, name, unified=False)
    for parent in _UNIFIED:
        if (parent / "cgroup.controllers").exists():
            with contextlib.suppress(OSError):
                return ControlGroup(parent, name, unified=True)
    return ProcessTree()


def memory_kib(pids: list[int]) -> int:
    """Proportional set size of the processes together: shared pages count once."""
    total = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", text, re.M)
            total += int(found.group(1)) if found else 0
    return total


def machine_cpu_seconds() -> float:
    """CPU time that the whole machine has used, waiting and idling left out."""
    words = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _, _, irq, softirq = (int(word) for word in words[:7])
    return (user + nice + system + irq + softirq) / _TICKS


def available_memory_mib() -> int:
    """What the kernel says could still be given out."""
    found = re.search(r"^MemAvailable:\s+(\d+)", Path("/proc/meminfo").read_text(), re.M)
    return int(found.group(1)) // 1024 if found else 0
