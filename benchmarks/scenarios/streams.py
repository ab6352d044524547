"""Joined sessions: messages up and down, and small exchanges."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.loads import Load
from benchmarks.observing import Measurement, Observation
from benchmarks.running import RunningPeer


def is_up(work: str) -> bool:
    """Whether the messages go from the clients to the stores."""
    return work == "append"


@dataclass(frozen=True, slots=True)
class Messages:
    """Large messages; the same octets in all, however many sessions share them."""

    name: str
    title: str
    work: str
    """fetch or append."""
    octets: int
    """In all."""
    at_once: int = 4
    rounds: int = 16
    tls: bool = False

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return self.at_once

    def service(self) -> str:
        """See Scenario."""
        return "imaps" if self.tls else "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario."""
        size = int(self.octets * effort) // (self.at_once * self.rounds)
        total = size * self.at_once * self.rounds
        options = {"at-once": self.at_once, "rounds": self.rounds, "octets": size}
        options |= {"accounts": self.at_once, "patience": 60}
        load = Load(self.work, "imap", self.tls, options)
        observation = Observation(running)
        outcome = running.run(load)
        spent = observation.end()
        problems = outcome.complaints()
        counted = spent.counters.taken if is_up(self.work) else spent.counters.sent
        if not outcome.octets == counted == total:
            problems.append(f"{total} octets: clients {outcome.octets}, stores {counted}")
        if spent.counters.spoilt:
            problems.append(f"stores received {spent.counters.spoilt} spoilt pieces")
        figures = {
            "cpu_ms_gb": spent.peer_cpu_seconds * 1e3 / (total / 1e9),
            "mb_per_second": total / 1e6 / outcome.seconds,
            "strangers_percent": 100 * spent.strangers_share,
        }
        return Measurement(figures, problems)


@dataclass(frozen=True, slots=True)
class Chat:
    """NOOPs, each after the answer to the one before."""

    name: str
    title: str
    rounds: int = 6000
    at_once: int = 8
    tls: bool = False

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return self.at_once

    def service(self) -> str:
        """See Scenario."""
        return "imaps" if self.tls else "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario."""
        rounds = int(self.rounds * effort)
        count = rounds * self.at_once
        options = {"at-once": self.at_once, "rounds": rounds, "accounts": self.at_once}
        observation = Observation(running)
        outcome = running.run(Load("chat", "imap", self.tls, options))
        spent = observation.end()
        problems = outcome.complaints()
        if outcome.done != count:
            problems.append(f"{outcome.done} of {count} exchanges")
        figures = {
            "cpu_us": spent.peer_cpu_seconds / count * 1e6,
            "per_second": count / outcome.seconds,
            "p50_ms": outcome.p50_ms,
            "p99_ms": outcome.p99_ms,
            "strangers_percent": 100 * spent.strangers_share,
        }
        return Measurement(figures, problems)
