"""The command line of ``python -m benchmarks``."""

from __future__ import annotations

import argparse
import fnmatch
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.catalogue import GROUPS, PEERS, Group

_QUICK_EFFORT = 0.2
RESULTS = Path(__file__).with_name("results")


@dataclass(frozen=True, slots=True)
class Options:
    """What was asked for."""

    groups: Sequence[Group]
    peers: frozenset[str]
    rounds: int
    effort: float
    python: str
    folder: Path
    shown: Sequence[Path]
    """Results to be shown instead of measuring."""
    write_docs: bool


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="What mailroute costs beside other mail proxies; with make: BENCH='options'.",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="a fifth of the work, one round")
    add("--repeat", type=int, metavar="N", help="rounds (default 5; with --quick 1)")
    add("--peers", metavar="A,B", help=f"of {', '.join(PEERS)}")
    add("--scenarios", metavar="A,B*", help="names of groups or scenarios, with wildcards")
    add("--list", action="store_true", help="show groups and scenarios")
    add("--python", default=sys.executable, metavar="PATH", help="the Python of mailroute")
    add("--out", type=Path, default=RESULTS, metavar="FOLDER", help="for results.json, .md, plots")
    add("--from", type=Path, nargs="+", default=[], metavar="FILE", dest="shown")
    add("--write-docs", action="store_true", help="renew the figures of docs/performance.md")
    return parser


def select_groups(groups: Sequence[Group], patterns: str | None) -> list[Group]:
    """Groups that match, or their scenarios that do.  Raises ValueError if none does."""
    if patterns is None:
        return list(groups)
    wanted = patterns.split(",")

    def matches(name: str) -> bool:
        return any(fnmatch.fnmatchcase(name, pattern) for pattern in wanted)

    chosen = []
    for group in groups:
        scenarios = tuple(it for it in group.scenarios if matches(group.name) or matches(it.name))
        if scenarios:
            chosen.append(replace(group, scenarios=scenarios))
    if not chosen:
        raise ValueError(f"no scenario is called {patterns}; --list shows them")
    return chosen


def select_peers(patterns: str | None) -> frozenset[str]:
    """The peers, variants such as nginx-2 by their first name.  Raises ValueError."""
    wanted = frozenset(patterns.split(",") if patterns is not None else PEERS)
    if unknown := wanted - frozenset(PEERS):
        raise ValueError(f"no peer is called {', '.join(sorted(unknown))}; there are {PEERS}")
    return wanted


def read_options(arguments: Sequence[str]) -> Options | None:
    """Read the command line; None if nothing is to be done.  Exits where it is wrong."""
    parser = _parser()
    given = parser.parse_args(arguments)
    try:
        groups, peers = select_groups(GROUPS, given.scenarios), select_peers(given.peers)
    except ValueError as fault:
        parser.error(str(fault))
    if given.list:
        for group in groups:
            print(f"{group.name}: {', '.join(it.name for it in group.scenarios)}")
        return None
    rounds = given.repeat if given.repeat is not None else 1 if given.quick else 5
    return Options(
        groups=groups,
        peers=peers,
        rounds=max(1, rounds),
        effort=_QUICK_EFFORT if given.quick else 1.0,
        python=given.python,
        folder=given.out,
        shown=given.shown,
        write_docs=given.write_docs,
    )
