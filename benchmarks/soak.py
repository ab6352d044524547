"""``make soak``: many minutes of mixed load on mailroute alone.

Clients of all kinds at once: logins with all protocols, with and without TLS, wrong passwords,
clients that leave in the middle of a login, messages up and down, small exchanges, idle sessions.
Every session that should succeed has to, every octet is compared; memory and open files are
watched.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.document import DOCUMENT, PLOTS, DocumentBroken, replace_between
from benchmarks.ground import Ground, GroundMissing
from benchmarks.loads import Load, LoadFailed, Outcome, RunningLoad
from benchmarks.machine import describe_machine
from benchmarks.peers import Mailroute
from benchmarks.peers.contract import counted
from benchmarks.plots import curve
from benchmarks.processes import end_on_sigterm, settle
from benchmarks.running import NotStarted, RunningPeer

_SAMPLE_SECONDS = 5.0
_SAY_EVERY = 12
"""samples"""
_LOAD_STARTS_SECONDS = 5.0
_MANY = 1_000_000_000


def mixture(seconds: float) -> dict[str, Load]:
    """What the clients do, all of it at the same time.

    It is a busy day, not an assault: a processor that others need as well is enough for it.
    """

    def logins(protocol: str, tls: bool, rate: float, **more: float | bool) -> Load:
        options = {"count": _MANY, "at-once": 256, "seconds": seconds, "rate": rate}
        return Load("login", protocol, tls, {**options, "accounts": 20_000, **more})

    def stream(work: str, tls: bool, at_once: int, **more: float) -> Load:
        options = {"at-once": at_once, "seconds": seconds, "rounds": _MANY, "patience": 60}
        return Load(work, "imap", tls, {**options, "accounts": at_once, **more})

    def idle(tls: bool) -> Load:
        options = {"count": 500, "at-once": 32, "rate": 50, "accounts": 500, "patience": 60}
        return Load("hold", "imap", tls, options)

    loads: dict[str, Load] = {}
    for tls in (False, True):
        words = ", TLS" if tls else ""
        for protocol in ("imap", "pop3", "smtp"):
            loads[f"{protocol} logins{words}"] = logins(protocol, tls, 20)
            loads[f"{protocol} wrong passwords{words}"] = logins(protocol, tls, 2, wrong=True)
            loads[f"{protocol} clients that leave{words}"] = logins(protocol, tls, 2, leave=True)
        loads[f"downloads{words}"] = stream("fetch", tls, 5, octets=2_000_000, pace=500)
        loads[f"uploads{words}"] = stream("append", tls, 5, octets=2_000_000, pace=500)
        loads[f"small exchanges{words}"] = stream("chat", tls, 50, pace=500)
        loads[f"idle sessions{words}"] = idle(tls)
    loads["imap logins, TLS, resumed"] = logins("imap", True, 20, resume=True)
    return loads


@dataclass(slots=True)
class Watch:
    """What was seen of mailroute while it worked."""

    memory: list[tuple[float, float]] = field(default_factory=list)
    """(seconds, MiB)"""
    files: list[int] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    cpu_share: float = 0.0
    """Of a processor, on the average."""

    def growth(self) -> float:
        """MiB: the mean of the last fifth less that of the second fifth."""
        fifth = max(1, len(self.memory) // 5)
        early = [mib for _, mib in self.memory[fifth : 2 * fifth]] or [self.memory[0][1]]
        late = [mib for _, mib in self.memory[-fifth:]]
        return sum(late) / len(late) - sum(early) / len(early)


def say(words: str) -> None:
    """A word on how it goes."""
    print(words, file=sys.stderr, flush=True)


def open_files(running: RunningPeer) -> int:
    """How many files all processes together have open."""
    total = 0
    for pid in running.group.pids():
        with contextlib.suppress(OSError):
            total += len(os.listdir(f"/proc/{pid}/fd"))
    return total


def _sample(running: RunningPeer, watch: Watch, began: float) -> None:
    mib = running.group.memory_kib() / 1024
    watch.memory.append((time.monotonic() - began, mib))
    watch.files.append(open_files(running))
    if len(watch.memory) % _SAY_EVERY == 1:
        minutes = (time.monotonic() - began) / 60
        say(f"  {minutes:5.1f} min  {mib:7.1f} MiB  {watch.files[-1]} open files")


def work(running: RunningPeer, seconds: float) -> Watch:
    """Let all clients work, and watch.  Raises LoadFailed."""
    watch, began = Watch(), time.monotonic()
    files_before, counted_before = open_files(running), running.ground.counters()
    with contextlib.ExitStack() as stack:
        started: dict[str, RunningLoad] = {}
        for name, load in mixture(seconds).items():
            started[name] = stack.enter_context(running.begin(load))
        while time.monotonic() - began < seconds + _LOAD_STARTS_SECONDS:
            _sample(running, watch, began)
            time.sleep(min(_SAMPLE_SECONDS, seconds / 10))
        watch.cpu_share = running.group.cpu_seconds() / (time.monotonic() - began)
        for name, running_load in started.items():
            watch.outcomes[name] = running_load.finish()
    settle([running.group, running.ground.stores_group], 10)
    _judge(running, watch)
    counted = running.ground.counters() - counted_before
    if counted.spoilt or counted.stuck:
        watch.problems.append(f"stores: {counted}")
    files = open_files(running)
    if files > files_before + 8:
        watch.problems.append(f"{files} files are open in the end, {files_before} were before")
    return watch


def _judge(running: RunningPeer, watch: Watch) -> None:
    for name, outcome in watch.outcomes.items():
        watch.problems += [f"{name}: {words}" for words in outcome.complaints()]
        if outcome.done == 0:
            watch.problems.append(f"{name}: nothing was done")
        if name.startswith("idle") and outcome.pinged != outcome.started:
            watch.problems.append(f"{name}: {outcome.pinged} of {outcome.started} were alive")
    if running.group.ended():
        watch.problems.append("mailroute has ended")
    if running.tracebacks():
        watch.problems.append(f"{running.tracebacks()} tracebacks in the log")


def summary(watch: Watch, seconds: float, workers: int) -> str:
    """The outcome as Markdown."""
    machine = describe_machine()
    where = f"{machine['date']}, {machine['processor']}, {machine['system']}"
    lines = [f"{seconds / 60:.0f} minutes, {counted(workers, 'worker')}; {where}.", ""]
    for name, outcome in watch.outcomes.items():
        octets = f", {outcome.octets / 1e9:.1f} GB" if outcome.octets else ""
        faults = sum(outcome.faults.values())
        lines.append(f"- {name}: {outcome.done:,}{octets}; {faults} errors")
    first, last = watch.memory[0][1], watch.memory[-1][1]
    highest = max(mib for _, mib in watch.memory)
    lines.append(
        f"- memory: {first:.0f} MiB at the start, at most {highest:.0f}, {last:.0f} at the end;"
        f" growth from the second fifth to the last one {watch.growth():.1f} MiB"
    )
    lines.append(f"- CPU time: {watch.cpu_share:.0%} of a processor, on the average")
    lines.append(f"- open files: at most {max(watch.files)}")
    lines += [f"- **problem**: {problem}" for problem in watch.problems]
    return "\n".join(lines)


def _write_docs(watch: Watch, words: str) -> None:
    PLOTS.mkdir(parents=True, exist_ok=True)
    picture = curve("Memory under mixed load", "MiB", watch.memory)
    (PLOTS / "soak.svg").write_text(picture)
    text = f"![Memory under mixed load]({PLOTS.name}/soak.svg)\n\n{words}"
    DOCUMENT.write_text(replace_between(DOCUMENT.read_text(), "soak", text))


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status is 0 if nothing at all went wrong."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--seconds", type=float, default=900)
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--python", default=sys.executable, metavar="PATH")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="the memory's curve as SVG")
    parser.add_argument("--write-docs", action="store_true")
    given = parser.parse_args(arguments)
    end_on_sigterm()
    try:
        peer = Mailroute(given.python, workers=given.workers)
        say(f"{given.seconds:.0f} s of mixed load on {peer.name}")
        with Ground() as ground, RunningPeer(ground, peer) as running:
            watch = work(running, given.seconds)
        words = summary(watch, given.seconds, given.workers)
        if given.plot is not None:
            given.plot.write_text(curve("Memory under mixed load", "MiB", watch.memory))
        if given.write_docs:
            _write_docs(watch, words)
    except (GroundMissing, NotStarted, LoadFailed, DocumentBroken) as fault:
        say(f"soak: {fault}")
        return 1
    print(words)
    return 1 if watch.problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
