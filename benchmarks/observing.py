"""What one run cost, and what else the machine did meanwhile."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field

from benchmarks.accounting import machine_cpu_seconds
from benchmarks.ground import Counters
from benchmarks.processes import settle
from benchmarks.running import RunningPeer


@dataclass(frozen=True, slots=True)
class Measurement:
    """One run of one scenario with one peer."""

    figures: dict[str, float] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """Why its figures do not count."""


@dataclass(frozen=True, slots=True)
class Spent:
    """From the start of an observation to its end."""

    peer_cpu_seconds: float
    counters: Counters
    strangers_share: float
    """The part of the machine that neither peer, nor stores, nor clients used; 0 to 1."""


class Observation:
    """Begins when it is made; everything has come to rest before and after."""

    def __init__(self, running: RunningPeer) -> None:
        self._running = running
        self._groups = [running.group, running.ground.stores_group]
        settle(self._groups)
        self._counters = running.ground.counters()
        self._machine = machine_cpu_seconds()
        self._own = time.process_time() + sum(os.times()[2:4])
        self._cpu = [group.cpu_seconds() for group in self._groups]
        self._began = time.monotonic()

    def end(self) -> Spent:
        """What was spent, the tearing down of sessions included.

        Clients count as known to us once they have been waited for.
        """
        settle(self._groups)
        elapsed = time.monotonic() - self._began
        groups = self._groups
        cpu = [now.cpu_seconds() - then for now, then in zip(groups, self._cpu, strict=True)]
        own = time.process_time() + sum(os.times()[2:4]) - self._own
        strangers = machine_cpu_seconds() - self._machine - sum(cpu) - own
        capacity = elapsed * (os.cpu_count() or 1)
        counters = self._running.ground.counters() - self._counters
        return Spent(cpu[0], counters, max(0.0, min(1.0, strangers / capacity)))
