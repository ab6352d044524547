"""The order of the runs: round by round, in each every scenario with one peer after the other.

So a peer and the one it is compared with are measured a few seconds apart, and what the machine
does meanwhile meets both alike.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from subprocess import CalledProcessError

from benchmarks.accounting import available_memory_mib
from benchmarks.catalogue import Group
from benchmarks.ground import Ground
from benchmarks.loads import Load, LoadFailed
from benchmarks.peers.contract import Peer
from benchmarks.results import Results, Sample
from benchmarks.running import NotStarted, RunningPeer
from benchmarks.scenarios.contract import Scenario
from benchmarks.throttle import NoThrottle

_SPARE_FILES = 500
_SPARE_MEMORY = 0.7
_WRONG_LOGINS = 4


@dataclass(frozen=True, slots=True)
class Plan:
    """What was asked for."""

    groups: Sequence[Group]
    peers: dict[str, Peer]
    rounds: int
    effort: float


class Bench:
    """Runs a plan; the results grow as it goes."""

    def __init__(self, plan: Plan, results: Results, say: Callable[[str], None]) -> None:
        self._plan = plan
        self._results = results
        self._say = say

    def run(self, ground: Ground) -> None:
        """All rounds of all groups."""
        for group in self._plan.groups:
            peers = [self._plan.peers[name] for name in group.peers if name in self._plan.peers]
            rounds = min(self._plan.rounds, group.most_rounds)
            for number in range(1, rounds + 1):
                self._say(f"{group.name}, round {number} of {rounds}")
                if group.fresh:
                    self._fresh_round(ground, group, peers, number)
                else:
                    self._shared_round(ground, group, peers, number)

    def _shared_round(
        self, ground: Ground, group: Group, peers: Sequence[Peer], number: int
    ) -> None:
        with contextlib.ExitStack() as stack:
            started = [found for peer in peers if (found := self._start(stack, ground, peer))]
            for scenario in group.scenarios:
                for running in started:
                    self._measure(running, scenario, number)

    def _fresh_round(
        self, ground: Ground, group: Group, peers: Sequence[Peer], number: int
    ) -> None:
        for scenario in group.scenarios:
            for peer in peers:
                with contextlib.ExitStack() as stack:
                    running = self._start(stack, ground, peer)
                    if running is not None:
                        self._measure(running, scenario, number)

    def _start(self, stack: contextlib.ExitStack, ground: Ground, peer: Peer) -> RunningPeer | None:
        if peer.name in self._results.left_out:
            return None
        try:
            running = stack.enter_context(RunningPeer(ground, peer))
            faults = list(wrong_passwords(running))
        except (NotStarted, LoadFailed, OSError, CalledProcessError) as fault:
            faults = [str(fault)]
        if faults:
            self._results.left_out[peer.name] = "; ".join(faults)
            self._say(f"  {peer.name} is left out: {faults[0]}")
            return None
        return running

    def _measure(self, running: RunningPeer, scenario: Scenario, number: int) -> None:
        peer = running.peer
        reason = obstacle(running, scenario)
        if reason is not None:
            self._results.left_out[f"{scenario.name} with {peer.name}"] = reason
            return
        try:
            measured = scenario.measure(running, self._plan.effort)
            figures, problems = measured.figures, measured.problems
        except NoThrottle as fault:
            self._results.left_out[f"{scenario.name} with {peer.name}"] = str(fault)
            return
        except (LoadFailed, OSError) as fault:
            figures, problems = {}, [str(fault)]
        if running.group.ended():
            problems = [*problems, "the peer has ended"]
        self._results.samples.append(Sample(scenario.name, peer.name, number, figures, problems))
        words = ", ".join(f"{name} {value:,.2f}" for name, value in list(figures.items())[:4])
        self._say(f"  {scenario.name:18} {peer.name:18} {'; '.join(problems) or words}")


def wrong_passwords(running: RunningPeer) -> Iterator[str]:
    """What is wrong with a peer that does not refuse a wrong password."""
    for service in running.peer.services:
        tls = service.endswith("s")
        options = {"count": _WRONG_LOGINS, "at-once": _WRONG_LOGINS, "accounts": 100, "wrong": True}
        outcome = running.run(Load("login", service.removesuffix("s"), tls, options))
        for complaint in outcome.complaints():
            yield f"{service}: wrong passwords: {complaint}"


def obstacle(running: RunningPeer, scenario: Scenario) -> str | None:
    """Why this scenario cannot be measured with this peer on this machine."""
    peer = running.peer
    if scenario.service() not in peer.services:
        return f"it has no {scenario.service()}"
    wanted = 2 * scenario.sessions + _SPARE_FILES
    limit = running.ground.open_files
    if wanted > limit:
        return f"it needs {wanted} open files, and the hard limit here is {limit} (ulimit -Hn)"
    mib = int(scenario.sessions * peer.mib_per_session)
    if mib > available_memory_mib() * _SPARE_MEMORY:
        return f"it may need {mib} MiB of memory, more than is free here"
    return None
