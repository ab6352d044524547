"""``make lookups``: what one look-up costs the process that asks.

The cost is the processor time, user and system, of this process with all its threads; a database
server's own is not in it.  Every figure is taken in each round; shown are the median and the range.
``held`` is how long on end the reactor did not get to run while a file was read, its content
exchanged and the former one given back: the longest gap between two ticks, of which only that
counts in which this process computed.  What is left of a busy machine in it shows when a thread
merely counts, for as long, with nothing to hold anybody up by.
"""

from __future__ import annotations

import argparse
import gc
import os
import sqlite3
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

from twisted.internet import epollreactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.python.failure import Failure
from twisted.trial.unittest import SkipTest

from benchmarks.document import DOCUMENT, replace_between
from benchmarks.figures import spread, told
from benchmarks.machine import describe_machine
from benchmarks.tables import limit, table, verdict
from benchmarks.waking import cost_of_waking
from mailroute.tables.aside import aside_of
from mailroute.tables.cached import CachedTable, CachePolicy
from mailroute.tables.colon_file import ColonFileTable
from mailroute.tables.contract import Key, Table
from mailroute.tables.file import FileTable
from mailroute.tables.sql import make_sql_table
from mailroute.tables.sql_table import SqlSettings
from tests.integration.postgresql import PostgresServer

ACCOUNTS = 100_000
ENTRIES = 1_000_000
_LOOKUPS = 8000
_CACHED_LOOKUPS = 400_000
_QUERY = "SELECT destination FROM routes WHERE identifier = $1"
_CREATE = "CREATE TABLE routes (identifier VARCHAR(100) PRIMARY KEY, destination TEXT)"
_TICK_SECONDS = 0.001
_COUNTING_SECONDS = 1.5
"""About what a file takes."""

BARS = {
    "cached, us": 3.0,
    "SQLite, 1 at a time, us": 100.0,
    "SQLite, 64 at a time, us": 100.0,
    "PostgreSQL, 1 at a time, us": 400.0,
    "PostgreSQL, 64 at a time, us": 400.0,
    "file of a million, s": 3.0,
    "file of a million, held, ms": 50.0,
    "mapping file of a million, s": 3.0,
    "mapping file of a million, held, ms": 50.0,
    "file of a million, octets an entry": 200.0,
}
"""What each figure may be; a figure without a bar is for comparison."""


@dataclass(slots=True)
class Found:
    """The figures of all rounds, by their names."""

    values: dict[str, list[float]] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)

    def add(self, name: str, value: float) -> None:
        """One figure of one round."""
        self.values.setdefault(name, []).append(value)

    def report(self) -> str:
        """Everything as Markdown."""
        rows = []
        for name, values in self.values.items():
            bar, found = BARS.get(name), spread(values)
            rows.append([name, told(found), limit(bar), verdict(found, bar)])
        lines = [f"- {name}: {value}" for name, value in describe_machine().items()]
        lines += [f"- left out: {reason}" for reason in self.left_out]
        return "\n".join([table(["", "median (range)", "bar", ""], rows), "", *lines])


def account(number: int) -> str:
    """The name of an account."""
    return f"user{number % ACCOUNTS:06}@example.org"


async def per_lookup(asked: Table, count: int, at_once: int) -> float:
    """Microseconds of processor time for each of so many look-ups, each of another account."""
    share = count // at_once

    async def ask(first: int) -> None:
        for number in range(first, first + share):
            # An odd step: neighbours in time are none in the table.
            if await asked.lookup(Key(account(number * 7919))) is None:
                raise RuntimeError(f"{account(number * 7919)} is not there")

    before = time.process_time()
    await gatherResults(
        [Deferred.fromCoroutine(ask(number * share)) for number in range(at_once)],
        consumeErrors=True,
    )
    return (time.process_time() - before) / (share * at_once) * 1e6


class Holding:
    """Watches how long the reactor did not get to run, by ticks."""

    def __init__(self, reactor: Any, now: Callable[[], float], used: Callable[[], float]) -> None:
        """``used``: the processor time of this process, in seconds."""
        self._reactor = reactor
        self._now = now
        self._used = used
        self._call: Any = None
        self._last = (0.0, 0.0)
        self.longest = 0.0
        """Seconds."""

    def begin(self) -> None:
        """Watch from now on."""
        self._last = (self._now(), self._used())
        self._call = self._reactor.callLater(_TICK_SECONDS, self._tick)

    def end(self) -> float:
        """Watch no more; return the longest time."""
        self._note()
        self._call.cancel()
        return self.longest

    def _tick(self) -> None:
        self._note()
        self._call = self._reactor.callLater(_TICK_SECONDS, self._tick)

    def _note(self) -> None:
        last, self._last = self._last, (self._now(), self._used())
        passed, used = (after - before for before, after in zip(last, self._last, strict=True))
        self.longest = max(self.longest, min(passed - _TICK_SECONDS, used))


class Threads:
    """Runs jobs in the reactor's threads, and knows when all of them are done."""

    def __init__(self, reactor: Any) -> None:
        self.reactor = reactor
        self._aside = aside_of(reactor)
        self._jobs: list[Deferred[Any]] = []

    def __call__(self, job: Callable[[], Any]) -> Deferred[Any]:
        """See Aside."""
        # What the job gives is for the caller alone: nothing here may keep it alive.
        done: Deferred[None] = Deferred()
        self._jobs.append(done)
        return self._aside(job).addBoth(self._pass_on, done)

    @staticmethod
    def _pass_on(given: Any, done: Deferred[None]) -> Any:
        done.callback(None)
        return given

    async def rest(self) -> None:
        """Returns when no job is under way."""
        while self._jobs:
            await self._jobs.pop()


def count_for(seconds: float) -> None:
    """Compute for so much processor time of this thread, in the smallest steps."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        for _ in range(1000):
            pass


def resident_octets() -> int:
    """The memory of this process."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def held_by(work: Awaitable[None], threads: Threads) -> float:
    """How long the reactor was held, in milliseconds, by the work and what it left to do."""
    gc.collect()
    holding = Holding(threads.reactor, time.perf_counter, time.process_time)
    holding.begin()
    await work
    await threads.rest()
    return holding.end() * 1e3


async def measure_reading(
    name: str, read: Callable[[], Awaitable[None]], threads: Threads, found: Found
) -> None:
    """What reading a file costs, and how long the reactor was held meanwhile."""

    async def timed() -> None:
        before = time.process_time()
        await read()
        found.add(f"{name}, s", time.process_time() - before)

    found.add(f"{name}, held, ms", await held_by(timed(), threads))


async def measure_file(path: Path, threads: Threads, found: Found) -> None:
    """A file of a million entries, read in a thread; and read again, which ends the former."""
    name = "file of a million"
    lines = ColonFileTable(str(path), threads.reactor, threads)
    memory = resident_octets()
    await measure_reading(name, lines.start, threads, found)
    if len(found.values[f"{name}, s"]) == 1:
        # Later rounds use the memory that this one left.
        found.add(f"{name}, octets an entry", (resident_octets() - memory) / ENTRIES)
    await measure_reading(name, lines.reload, threads, found)
    if await lines.get(account(1)) is None:
        raise RuntimeError("the file was not read")
    await lines.close()


async def measure_mapping_file(path: Path, threads: Threads, found: Found) -> None:
    """The same for the file of a mapping, which is first read before anybody is served."""
    places = FileTable(str(path), {f"shard-{number}" for number in range(97)}, threads)
    await measure_reading("mapping file of a million", places.reload, threads, found)
    if await places.lookup(Key(account(1))) is None:
        raise RuntimeError("the mapping file was not read")


async def measure_counting(threads: Threads, found: Found) -> None:
    """How long a thread holds the reactor that has nothing to hold it by."""
    counting = threads(lambda: count_for(_COUNTING_SECONDS))
    found.add("only counting, held, ms", await held_by(counting, threads))


async def measure_cached(source: Table, reactor: Any, found: Found) -> None:
    """Answers that are remembered."""
    cached = CachedTable(source, reactor, CachePolicy())
    keys = [Key(account(number)) for number in range(2000)]
    for key in keys:
        await cached.lookup(key)
    before = time.process_time()
    for _ in range(_CACHED_LOOKUPS // len(keys)):
        for key in keys:
            await cached.lookup(key)
    found.add("cached, us", (time.process_time() - before) / _CACHED_LOOKUPS * 1e6)


async def measure_database(name: str, url: str, reactor: Any, found: Found) -> None:
    """Misses, one at a time and many."""
    asked = make_sql_table(SqlSettings(url, _QUERY), reactor)
    await asked.start()
    try:
        await per_lookup(asked, _LOOKUPS // 8, 64)
        for at_once in (1, 64):
            cost = await per_lookup(asked, _LOOKUPS, at_once)
            found.add(f"{name}, {at_once} at a time, us", cost)
        if name == "SQLite":
            await measure_cached(asked, reactor, found)
    finally:
        await asked.close()


def rows() -> Iterable[tuple[str, str]]:
    """Accounts and where they are."""
    return ((account(number), f"shard-{number % 97}") for number in range(ACCOUNTS))


def make_ground(folder: Path) -> str:
    """Write what SQLite and the file are asked for; return the URL of the database."""
    with closing(sqlite3.connect(folder / "routes.db")) as database, database:
        database.execute(_CREATE)
        database.executemany("INSERT INTO routes VALUES (?, ?)", rows())
    with (folder / "lines").open("w") as lines, (folder / "places").open("w") as places:
        for number in range(ENTRIES):
            lines.write(f"user{number:06}@example.org: shard-{number % 97}\n")
            places.write(f"user{number:06}@example.org shard-{number % 97}\n")
    return f"sqlite://{folder}/routes.db"


def start_postgres(found: Found) -> PostgresServer | None:
    """A private server; None where there is none to be had."""
    try:
        server = PostgresServer()
    except SkipTest as missing:
        found.left_out.append(str(missing))
        return None
    server.start()
    server.execute("CREATE DATABASE mailroute", database="postgres")
    values = ", ".join(f"('{name}', '{where}')" for name, where in rows())
    server.execute(_CREATE, f"INSERT INTO routes VALUES {values}", "ANALYZE")  # noqa: S608
    return server


async def measure(folder: Path, rounds: int, reactor: Any, found: Found) -> None:
    """Everything, round by round."""
    sqlite, threads = make_ground(folder), Threads(reactor)
    postgres = start_postgres(found)
    try:
        for number in range(1, rounds + 1):
            say(f"round {number} of {rounds}")
            # First: it is to grow in memory that nothing else has left.
            await measure_file(folder / "lines", threads, found)
            await measure_mapping_file(folder / "places", threads, found)
            await measure_counting(threads, found)
            found.add("only waking a thread, us", cost_of_waking())
            await measure_database("SQLite", sqlite, reactor, found)
            if postgres is not None:
                await measure_database("PostgreSQL", postgres.url(), reactor, found)
    finally:
        if postgres is not None:
            postgres.destroy()


def say(words: str) -> None:
    """A word on how it goes; the table alone goes to standard output."""
    print(words, file=sys.stderr, flush=True)


def main(arguments: Sequence[str]) -> int:
    """The command; its exit status is 0 if everything could be measured."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.lookups", description=__doc__)
    parser.add_argument("--repeat", type=int, default=5, metavar="N", help="rounds (default 5)")
    parser.add_argument("--write-docs", action="store_true", help="renew docs/performance.md")
    given = parser.parse_args(arguments)
    found = Found()
    faults: list[Failure] = []
    reactor = cast(Callable[[], Any], epollreactor.EPollReactor)()

    def begin() -> None:
        measuring = Deferred.fromCoroutine(measure(Path(folder), given.repeat, reactor, found))
        measuring.addErrback(faults.append)
        measuring.addBoth(lambda _: reactor.stop())

    with tempfile.TemporaryDirectory(prefix="mailroute-lookups-") as folder:
        reactor.callWhenRunning(begin)
        reactor.run()
    for fault in faults:
        say(fault.getTraceback())
    print(found.report())
    if given.write_docs and not faults:
        DOCUMENT.write_text(replace_between(DOCUMENT.read_text(), "lookups", found.report()))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
