"""Memory: of sessions that are idle, and after many that have ended."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass

from benchmarks.loads import Load
from benchmarks.observing import Measurement
from benchmarks.processes import settle
from benchmarks.running import RunningPeer

_IN_FLIGHT = 256


def _rest(running: RunningPeer) -> int:
    """What the peer holds once it has come to rest, in KiB."""
    settle([running.group, running.ground.stores_group])
    time.sleep(0.3)
    return running.group.memory_kib()


@dataclass(frozen=True, slots=True)
class Idle:
    """Sessions that are logged in and wait; in steps, each on top of the one before."""

    name: str
    title: str
    tls: bool = False
    steps: tuple[int, ...] = (1000, 5000)

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return max(self.steps)

    def service(self) -> str:
        """See Scenario."""
        return "imaps" if self.tls else "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario; the numbers of sessions stay what they are."""
        warm = {"count": 320, "at-once": 32, "accounts": 320}
        problems = running.run(Load("login", "imap", self.tls, warm)).complaints()
        empty = _rest(running)
        figures = {"mib_empty": empty / 1024}
        with contextlib.ExitStack() as stack:
            loads, held = [], 0
            for step in self.steps:
                load = stack.enter_context(running.begin(self._load(held, step)))
                problems += load.ready().complaints()
                loads.append(load)
                held = step
                figures[f"kib_at_{step}"] = (_rest(running) - empty) / step
                figures[f"mib_at_{step}"] = running.group.memory_kib() / 1024
            idle_from = running.group.cpu_seconds()
            time.sleep(1)
            figures["idle_cpu_ms"] = (running.group.cpu_seconds() - idle_from) * 1e3
            ended = [load.finish() for load in loads]
        problems += [words for outcome in ended for words in outcome.complaints()]
        pinged = sum(outcome.pinged for outcome in ended)
        if pinged != held:
            problems.append(f"{pinged} of {held} sessions answered in the end")
        return Measurement(figures, problems)

    def _load(self, first: int, last: int) -> Load:
        options = {"count": last - first, "at-once": 64, "rate": 3000, "patience": 60}
        options |= {"accounts": last - first, "first": first}
        return Load("hold", "imap", self.tls, options)


@dataclass(frozen=True, slots=True)
class Longevity:
    """Logins and logouts in batches; the memory after each.

    256 sessions in flight: with fewer, nginx waits for delayed acknowledgements over TLS.  The
    first batch fills caches and the allocator's pools; growth is counted from its end on.
    """

    name: str
    title: str
    tls: bool = False
    count: int = 100_000
    batches: int = 10

    @property
    def sessions(self) -> int:
        """See Scenario."""
        return _IN_FLIGHT

    def service(self) -> str:
        """See Scenario."""
        return "imaps" if self.tls else "imap"

    def measure(self, running: RunningPeer, effort: float) -> Measurement:
        """See Scenario."""
        size = int(self.count * effort) // self.batches
        options = {"count": size, "at-once": _IN_FLIGHT, "accounts": min(size, 10_000)}
        problems: list[str] = []
        curve = []
        for _ in range(self.batches):
            outcome = running.run(Load("login", "imap", self.tls, options))
            problems += outcome.complaints()
            if outcome.done != size:
                problems.append(f"{outcome.done} of {size} sessions ended well")
            curve.append(_rest(running) / 1024)
        figures = {f"mib_after_{size * (batch + 1)}": mib for batch, mib in enumerate(curve)}
        figures["mib_first"] = curve[0]
        figures["mib_last"] = curve[-1]
        figures["mib_growth"] = curve[-1] - curve[0]
        return Measurement(figures, problems)
