"""Workers: the logins a second of one and of two."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.loads import Load
from benchmarks.observing import Measurement, Observation
from benchmarks.running import RunningPeer
from benchmarks.scenarios.logins import check_logins
from benchmarks.throttle import Throttle

_SHARE = 0.25


@dataclass(frozen=True, slots=True)
class Scaling:
    """Logins of remembered accounts, each process of the peer on a quarter of a processor."""

    name: str
    title: str
    count: int = 10_000
    accounts: int = 2000

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return 64

    def service(self) -> str:
        """See Scenario."""
        return "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario.  Raises NoThrottle too."""
        count = int(self.count * effort)
        options = {"at-once": 64, "accounts": self.accounts}
        # Every worker gets to know every account: it has a cache of its own.
        warm = Load("login", "imap", False, options | {"count": self.accounts * 5})
        load = Load("login", "imap", False, options | {"count": count})
        problems = running.run(warm).complaints()
        free = running.run(load)
        observation = Observation(running)
        with Throttle(running.group, _SHARE):
            outcome = running.run(load)
        spent = observation.end()
        problems += free.complaints() + check_logins(outcome, spent, count)
        figures = {
            "per_second": outcome.done / outcome.seconds,
            "free_per_second": free.done / free.seconds,
            "cpu_us": spent.peer_cpu_seconds / count * 1e6,
            "strangers_percent": 100 * spent.strangers_share,
        }
        return Measurement(figures, problems)
