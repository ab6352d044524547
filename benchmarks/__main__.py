"""``python -m benchmarks``: measure, print the tables, write them down."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from benchmarks.accounting import open_account
from benchmarks.document import DocumentBroken, write_document, write_results
from benchmarks.ground import Ground, GroundMissing
from benchmarks.machine import describe_machine
from benchmarks.options import Options, read_options
from benchmarks.peers import all_peers
from benchmarks.peers.contract import Peer
from benchmarks.processes import end_on_sigterm
from benchmarks.results import Results, load_results
from benchmarks.rounds import Bench, Plan
from benchmarks.tables import markdown


def say(words: str) -> None:
    """A word on how it goes; the tables alone go to standard output."""
    print(words, file=sys.stderr, flush=True)


def _available(options: Options, results: Results) -> dict[str, Peer]:
    """The peers that can run here; the others are named in the results."""
    named = {name for group in options.groups for name in group.peers}
    found = {}
    for name, peer in all_peers(options.python).items():
        if name not in named or name.partition("-")[0] not in options.peers:
            continue
        reason = peer.missing()
        if reason is not None:
            results.left_out[name] = reason
            say(f"{name} is left out: {reason}")
        else:
            found[name] = peer
            results.peers[name] = f"{peer.version()}; {peer.note}"
    return found


def measure(options: Options) -> Results:
    """Run everything that was asked for.  An interruption ends it; what there is, is kept."""
    results = Results(machine=describe_machine())
    plan = Plan(options.groups, _available(options, results), options.rounds, options.effort)
    account = open_account("probe")
    results.machine["CPU time from"] = account.kind
    account.close()
    began = time.monotonic()
    with Ground() as ground:
        try:
            Bench(plan, results, say).run(ground)
        except KeyboardInterrupt:
            say("interrupted: what was measured so far follows")
    effort = "" if options.effort == 1 else f", {options.effort:.0%} of the work"
    results.machine["duration"] = f"{(time.monotonic() - began) / 60:.0f} min{effort}"
    return results


def main(arguments: Sequence[str]) -> int:
    """The command; returns its exit status: 0 only if every run was clean."""
    options = read_options(arguments)
    if options is None:
        return 0
    end_on_sigterm()
    try:
        results = load_results(options.shown) if options.shown else measure(options)
        if not options.shown:
            write_results(results, options.folder)
            say(f"written: {options.folder}/results.json, results.md and plots")
        if options.write_docs:
            write_document(results)
            say("renewed: docs/performance.md")
    except (GroundMissing, DocumentBroken) as fault:
        say(f"benchmarks: {fault}")
        return 1
    print(markdown(results))
    return 1 if results.problems() else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
