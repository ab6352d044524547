"""Gives each process of a peer a part of a processor of its own.

Clients and stores share the processors with the peer, so a second worker cannot show what it is
worth on a small machine.  If each worker has a quarter of a processor, the rest is enough for
everybody else, and twice the workers should do twice the work.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

from benchmarks.accounting import ControlGroup
from benchmarks.processes import ProcessGroup

_PERIOD_US = 10_000
_CPU = (Path("/sys/fs/cgroup/cpu"), Path("/sys/fs/cgroup/cpu,cpuacct"))


class NoThrottle(Exception):
    """This machine does not allow it; the text says why."""


class _Cells(Protocol):
    parent: Path

    def enable(self) -> None: ...
    def limit(self, cell: Path, quota_us: int) -> None: ...
    def disable(self) -> None: ...


class _VersionOne:
    """The controller cpu; its hierarchy may or may not be the one in which time is counted."""

    def __init__(self, group: ControlGroup) -> None:
        found = [parent for parent in _CPU if (parent / "cpu.cfs_quota_us").exists()]
        if not found:
            raise NoThrottle("the controller cpu is not mounted")
        here = group.folder.parent.resolve() == found[0].resolve()
        self.parent = group.folder if here else found[0]

    def enable(self) -> None:
        """Nothing: it is everywhere."""

    def limit(self, cell: Path, quota_us: int) -> None:
        """So much time in each period."""
        (cell / "cpu.cfs_period_us").write_text(str(_PERIOD_US))
        (cell / "cpu.cfs_quota_us").write_text(str(quota_us))

    def disable(self) -> None:
        """Nothing."""


class _VersionTwo:
    """A group may have processes or controlled children, not both: processes move first."""

    def __init__(self, group: ControlGroup) -> None:
        self.parent = group.folder
        if "cpu" not in (group.folder / "cgroup.controllers").read_text().split():
            raise NoThrottle("the controller cpu is not available")

    def enable(self) -> None:
        """Control the children."""
        (self.parent / "cgroup.subtree_control").write_text("+cpu")

    def limit(self, cell: Path, quota_us: int) -> None:
        """So much time in each period."""
        (cell / "cpu.max").write_text(f"{quota_us} {_PERIOD_US}")

    def disable(self) -> None:
        """Control the children no longer."""
        (self.parent / "cgroup.subtree_control").write_text("-cpu")


class Throttle:
    """A context manager: inside, each living process of the group has its share."""

    def __init__(self, group: ProcessGroup, share: float) -> None:
        """Raises NoThrottle."""
        account = group.account
        if not isinstance(account, ControlGroup):
            raise NoThrottle("there are no control groups for us: it needs root")
        self._cells: _Cells = _VersionTwo(account) if account.unified else _VersionOne(account)
        self._folders: list[Path] = []
        self._group = group
        self._quota_us = int(share * _PERIOD_US)

    def __enter__(self) -> Throttle:
        try:
            for pid in self._group.pids():
                folder = self._cells.parent / f"cell-{pid}"
                folder.mkdir()
                self._folders.append(folder)
                (folder / "cgroup.procs").write_text(str(pid))
            self._cells.enable()
            for folder in self._folders:
                self._cells.limit(folder, self._quota_us)
        except OSError as fault:
            self.__exit__()
            raise NoThrottle(f"the control group refuses: {fault}") from fault
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(OSError):
            self._cells.disable()
        for folder in self._folders:
            for pid in (folder / "cgroup.procs").read_text().split():
                with contextlib.suppress(OSError):
                    (self._cells.parent / "cgroup.procs").write_text(pid)
            with contextlib.suppress(OSError):
                folder.rmdir()
