"""Logins: connect, log in, log out, as many a second as go through."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from benchmarks.loads import Load, Outcome
from benchmarks.observing import Measurement, Observation, Spent
from benchmarks.running import RunningPeer

_LEAST_COUNT = 400


def check_logins(outcome: Outcome, spent: Spent, expected: int) -> list[str]:
    """What is wrong with a run of logins: each must have succeeded, and at the right store."""
    problems = outcome.complaints()
    if outcome.done != expected:
        problems.append(f"{outcome.done} of {expected} sessions ended well")
    if spent.counters.logins != outcome.done:
        problems.append(f"stores saw {spent.counters.logins} logins, clients {outcome.done}")
    if spent.counters.stuck:
        problems.append(f"stores could not send {spent.counters.stuck} replies")
    return problems


@dataclass(frozen=True, slots=True)
class Logins:
    """Every account logs in ``visits`` times."""

    name: str
    title: str
    protocol: str
    count: int
    at_once: int = 32
    tls: bool = False
    resume: bool = False
    visits: int = 2
    """With 2, one login of two is an account's first: a look-up, where there are look-ups."""
    first_account: int = 0
    spread: bool = False
    """The accounts are spread over the whole table."""
    warm: bool = False
    """Each account has logged in once before."""
    beside: int = 0
    """So many other sessions are logged in and idle meanwhile."""

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return self.at_once + self.beside

    def service(self) -> str:
        """See Scenario."""
        return self.protocol + ("s" if self.tls else "")

    def _load(self, count: int, accounts: int, table: int) -> Load:
        # An odd step, so that both stores have their turn.
        stride = (table // accounts - 1) // 2 * 2 + 1 if self.spread else 1
        options = {"count": count, "at-once": self.at_once, "resume": self.resume}
        options |= {"accounts": accounts * stride, "first": self.first_account, "stride": stride}
        return Load("login", self.protocol, self.tls, options)

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario."""
        count = max(_LEAST_COUNT, int(self.count * effort))
        accounts, table = count // self.visits, running.peer.accounts
        problems: list[str] = []
        with contextlib.ExitStack() as stack:
            if self.beside:
                idle = stack.enter_context(running.begin(self._neighbours()))
                problems += idle.ready().complaints()
            if self.warm:
                problems += running.run(self._load(accounts, accounts, table)).complaints()
            observation = Observation(running)
            outcome = running.run(self._load(count, accounts, table))
            spent = observation.end()
            if self.beside:
                ended = idle.finish()
                problems += ended.complaints()
                if ended.pinged != self.beside:
                    problems.append(f"{ended.pinged} of {self.beside} idle sessions were alive")
        problems += check_logins(outcome, spent, count)
        return Measurement(self._figures(outcome, spent, count), problems)

    def _neighbours(self) -> Load:
        options = {"count": self.beside, "at-once": 64, "rate": 3000, "patience": 60}
        options |= {"accounts": self.beside, "first": 50_000}
        return Load("hold", self.protocol, self.tls, options)

    def _figures(self, outcome: Outcome, spent: Spent, count: int) -> dict[str, float]:
        return {
            "cpu_us": spent.peer_cpu_seconds / count * 1e6,
            "per_second": outcome.done / outcome.seconds,
            "p50_ms": outcome.p50_ms,
            "p99_ms": outcome.p99_ms,
            "resumed_percent": 100 * outcome.resumed / count,
            "strangers_percent": 100 * spent.strangers_share,
        }
