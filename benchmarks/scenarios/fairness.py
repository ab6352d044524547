"""Fairness: how long a small exchange takes while another session downloads a lot.

The figures are to tell whom the peer serves first, not how long somebody waits for a processor.
So the peer has one for itself, if there are two, and the other ends of the download give way to
those of the small exchange.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.loads import Load
from benchmarks.observing import Measurement
from benchmarks.peers.contract import is_root
from benchmarks.running import RunningPeer

_PACE_MS = 2
_START_SECONDS = 0.1
_LEAST_EXCHANGES = 100


@contextlib.contextmanager
def apart(running: RunningPeer) -> Iterator[None]:
    """Inside, the peer has the first processor, and stores and clients have the others."""
    everything = os.sched_getaffinity(0)
    first, *others = sorted(everything)
    if not others:
        yield
        return
    pinned = {pid: {first} for pid in running.group.pids()}
    pinned |= {pid: set(others) for pid in running.ground.stores_group.pids()}
    pinned[0] = set(others)  # we, and the clients that we start
    for pid, processors in pinned.items():
        os.sched_setaffinity(pid, processors)
    try:
        yield
    finally:
        for pid in pinned:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setaffinity(pid, everything)


@contextlib.contextmanager
def giving_way(*pids: int) -> Iterator[None]:
    """Inside, these run when nobody else wants the processor; only root can take it back."""
    if not is_root():
        yield
        return
    for pid in pids:
        os.sched_setscheduler(pid, os.SCHED_IDLE, os.sched_param(0))
    try:
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.sched_setscheduler(pid, os.SCHED_OTHER, os.sched_param(0))


@dataclass(frozen=True, slots=True)
class Fairness:
    """One session downloads from store 1; another, at store 2, sends a NOOP every 2 ms."""

    name: str
    title: str
    octets: int = 10_000_000_000
    tls: bool = False

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return 2

    def service(self) -> str:
        """See Scenario."""
        return "imaps" if self.tls else "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario."""
        with apart(running):
            return self._measure(running, effort)

    def _measure(self, running: RunningPeer, effort: float) -> Measurement:
        size = int(self.octets * effort)
        download = Load("fetch", "imap", self.tls, {"octets": size, "patience": 60})
        options = {"first": 1, "rounds": 10_000_000, "pace": _PACE_MS}
        alone = running.run(Load("chat", "imap", self.tls, options | {"seconds": 1}))
        chat = Load("chat", "imap", self.tls, options | {"until-eof": True})
        with running.begin(download) as downloading:
            time.sleep(_START_SECONDS)
            store = running.ground.store_pids["store1"]
            with giving_way(downloading.pid, store), running.begin(chat) as chatting:
                while downloading.is_running():
                    time.sleep(0.01)
                beside = chatting.finish()
            ended = downloading.finish()
        problems = [words for it in (alone, beside, ended) for words in it.complaints()]
        if ended.octets != size:
            problems.append(f"{ended.octets} of {size} octets arrived")
        if beside.done < _LEAST_EXCHANGES:
            problems.append("the download was too short to say anything")
        figures = {
            "added_p99_ms": beside.p99_ms - alone.p99_ms,
            "p99_alone_ms": alone.p99_ms,
            "p50_ms": beside.p50_ms,
            "p99_ms": beside.p99_ms,
            "max_ms": beside.max_ms,
            "gb_per_second": size / 1e9 / ended.seconds,
        }
        return Measurement(figures, problems)
