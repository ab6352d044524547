"""Fairness: how long a small exchange takes while another session downloads a lot."""

from __future__ import annotations

import time
from dataclasses import dataclass

from benchmarks.loads import Load
from benchmarks.observing import Measurement
from benchmarks.running import RunningPeer

_PACE_MS = 2
_START_SECONDS = 0.1
_LEAST_EXCHANGES = 100


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
        size = int(self.octets * effort)
        download = Load("fetch", "imap", self.tls, {"octets": size, "patience": 60})
        options = {"first": 1, "rounds": 10_000_000, "pace": _PACE_MS}
        alone = running.run(Load("chat", "imap", self.tls, options | {"seconds": 1}))
        chat = Load("chat", "imap", self.tls, options | {"until-eof": True})
        with running.begin(download) as downloading:
            time.sleep(_START_SECONDS)
            with running.begin(chat) as chatting:
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
