"""The database fails while clients log in: absent, failed and found stay three answers.

Whatever happens to it: who is remembered is served, everybody else is told to come back later,
nobody is told that his password is wrong and nobody reaches a server that is not his; the process
neither ends nor grows, and everything is as before when the database is back.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.trial.unittest import TestCase

from tests.integration import engines
from tests.integration.daemon import (
    PATIENCE_SECONDS,
    VISITS,
    Daemon,
    capabilities,
    destinations,
    listener,
    server,
    table,
)
from tests.integration.engines import QUERY, Engine
from tests.integration.load import HOME, REJECTED, UNAVAILABLE, Load, attempt, numbered
from tests.integration.sample_backend import SampleBackend
from tests.support.ports import free_ports, poll

LOOKUP_SECONDS = 1
LONG_LOOKUP_SECONDS = 8
"""A machine that stands still for a moment does not let a lookup time out."""
MARGIN_SECONDS = 20
"""For two noisy cores: what is asserted is that nothing waits for the database itself."""
POOL_SIZE = 4
REACTOR_THREADS = 10
"""The most that Twisted has for the names of backends."""
SETTLE_SECONDS = 0.5
KNOWN = 12_000

CACHED, FRESH, ABSENT = "cached", "fresh", "absent"
EXPECTED = {CACHED: {HOME}, FRESH: {HOME, UNAVAILABLE}, ABSENT: {REJECTED, UNAVAILABLE}}


if TYPE_CHECKING:
    _Case = TestCase
else:
    # Only the engines' own classes are to be run.
    _Case = object


class Outages(_Case):
    """Mix into a TestCase; ``make_engine`` says which engine."""

    make_engine: Callable[[], Engine]
    timeout = 600

    def setUp(self) -> None:
        """An engine with its rows, and two backends."""
        self.engine = type(self).make_engine()
        rows = {f"user{number}": ("east", "west")[number % 2] for number in range(KNOWN)}
        self.engine.fill(rows)
        self.addCleanup(self.engine.release)
        self.backends = {name: SampleBackend(name) for name in ("east", "west")}
        for backend in self.backends.values():
            self.addCleanup(backend.stop)
        self.port = free_ports(1)[0]

    def serve(self, **mapping: str) -> Daemon:
        """A started mailroute."""
        ports = {name: backend.port for name, backend in self.backends.items()}
        limits = {"lookup_timeout": f"{LOOKUP_SECONDS}s", **mapping}
        daemon = Daemon(
            server()
            + table("mapping", source="sql", **limits)
            + table("mapping.sql", url=self.engine.url, query=QUERY, pool_size=POOL_SIZE)
            + destinations(**ports)
            + listener(self.port)
            + capabilities("imap")
        )
        self.addCleanup(daemon.remove)
        daemon.start(self.port)
        return daemon

    def load(self) -> Load:
        """Clients of every kind, those to be cached already remembered."""
        load = Load(self.port)
        self.addCleanup(load.stop)
        fresh, absent = itertools.count(10), itertools.count()
        load.add(CACHED, itertools.cycle(["user0", "user1"]))
        for _ in range(POOL_SIZE + 2):
            load.add(FRESH, numbered("user{}", fresh))
        load.add(ABSENT, numbered("nobody{}", absent))
        return load

    def await_visits(self, load: Load, kind: str, outcome: str, count: int) -> None:
        """Wait until the last so many visits of a kind, begun from now on, had this outcome."""
        began = time.monotonic()

        def arrived() -> bool:
            last = load.since(kind, began)[-count:]
            return len(last) == count and {visit.outcome for visit in last} == {outcome}

        if not poll(arrived, PATIENCE_SECONDS):
            met = [visit.outcome for visit in load.since(kind, began)]
            raise TimeoutError(f"{kind} visits do not become {outcome}: {met[-20:]}")

    def await_home(self, user: str) -> None:
        """Wait until a user is served; one lookup may be too slow for the allowance."""
        is_home = poll(lambda: attempt(self.port, user) == HOME, PATIENCE_SECONDS)
        self.assertTrue(is_home, user)

    def fail_for_a_while(self, load: Load, daemon: Daemon, visits: int) -> None:
        """The database has just failed: watch what everybody meets with."""
        began = time.monotonic() + SETTLE_SECONDS
        time.sleep(SETTLE_SECONDS)
        self.await_visits(load, FRESH, UNAVAILABLE, visits)
        self.await_visits(load, ABSENT, UNAVAILABLE, 2)
        self.await_visits(load, CACHED, HOME, visits)
        now = time.monotonic()
        for kind, outcome in ((CACHED, HOME), (FRESH, UNAVAILABLE), (ABSENT, UNAVAILABLE)):
            met = load.between(kind, began, now)
            self.assertEqual({visit.outcome for visit in met}, {outcome}, kind)
            self.assertLess(max(visit.seconds for visit in met), LOOKUP_SECONDS + MARGIN_SECONDS)
        self.assertLessEqual(daemon.threads(), 1 + REACTOR_THREADS + POOL_SIZE)

    def recover(self, load: Load) -> None:
        """The database is back: everything works again, by itself."""
        self.await_visits(load, FRESH, HOME, 20)
        self.await_visits(load, ABSENT, REJECTED, 5)

    def assert_honest(self, load: Load) -> None:
        """At no moment was anybody told a lie, or sent to a server that is not his."""
        for kind, allowed in EXPECTED.items():
            met = {visit.outcome for visit in load.since(kind, 0)}
            self.assertLessEqual(met, allowed, kind)

    def test_under_load(self) -> None:
        """Away at the start, stopped and started, hung and released: as the module says."""
        self.engine.stop()
        daemon = self.serve()
        self.assertIn("the database cannot be asked now", daemon.words())
        self.assertEqual(attempt(self.port, "user0"), UNAVAILABLE)
        self.engine.start()
        # Each process remembers for itself.
        for _ in range(VISITS):
            self.await_home("user0")
            self.await_home("user1")
        load = self.load()
        self.recover(load)
        descriptors = daemon.descriptors()
        self.engine.stop()
        self.fail_for_a_while(load, daemon, 20)
        self.engine.start()
        self.recover(load)
        self.engine.hang()
        self.fail_for_a_while(load, daemon, 2 * POOL_SIZE)
        self.engine.release()
        self.recover(load)
        load.stop()
        self.assert_honest(load)
        limit = descriptors + 2 * POOL_SIZE
        self.assertTrue(poll(lambda: daemon.descriptors() <= limit, PATIENCE_SECONDS))
        self.assertEqual(daemon.defects(), [])

    def test_hung_at_the_end(self) -> None:
        """SIGTERM is obeyed while the database hangs and logins wait for it."""
        daemon = self.serve(lookup_timeout=f"{LONG_LOOKUP_SECONDS}s")
        self.assertEqual(attempt(self.port, "user0"), HOME)
        self.engine.hang()
        load = self.load()
        time.sleep(SETTLE_SECONDS)
        self.assertEqual(load.since(FRESH, 0), [], "they wait for the database")
        seconds = daemon.stop()
        self.assertLess(seconds, LONG_LOOKUP_SECONDS + MARGIN_SECONDS)
        load.stop()
        self.assertNotIn(REJECTED, {visit.outcome for visit in load.visits})
        self.assertEqual(daemon.defects(), [])

    def test_query_turns_bad(self) -> None:
        """No such table any more: an error event, found rows beyond their time, never an end."""
        daemon = self.serve(lookup_timeout="30s", positive_ttl="1s", negative_ttl="1s")
        for _ in range(VISITS):
            self.assertEqual(attempt(self.port, "user0"), HOME)
            self.assertEqual(attempt(self.port, "nobody0"), REJECTED)
        self.engine.break_table()
        self.addCleanup(self.engine.execute, "DROP TABLE IF EXISTS gone_routes")
        time.sleep(1.1)
        for _ in range(3):
            self.assertEqual(attempt(self.port, "user0"), HOME, "a found row, beyond its time")
            self.assertEqual(attempt(self.port, "nobody0"), UNAVAILABLE, "an absence never")
            self.assertEqual(attempt(self.port, "user1"), UNAVAILABLE)
        failures = [line for line in daemon.log_text().splitlines() if "lookup-failed" in line]
        self.assertEqual({line.split()[1] for line in failures}, {"error"})
        self.assertIn("outage_routes", failures[-1])
        self.engine.mend_table()
        self.await_home("user1")
        self.assertEqual(attempt(self.port, "nobody0"), REJECTED)
        daemon.stop()
        self.assertEqual(daemon.defects(), [])


class SqliteTests(Outages, TestCase):
    """SQLite."""

    make_engine = staticmethod(engines.sqlite)


class PostgresqlTests(Outages, TestCase):
    """PostgreSQL."""

    make_engine = staticmethod(engines.postgresql)


class MariadbTests(Outages, TestCase):
    """MariaDB."""

    make_engine = staticmethod(engines.mariadb)
