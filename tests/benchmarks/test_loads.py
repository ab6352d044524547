"""The clients' command line and their outcome."""

from __future__ import annotations

import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.ground import Counters
from benchmarks.loads import Load, LoadFailed, Outcome, parse_outcome
from benchmarks.observing import Spent
from benchmarks.scenarios.logins import check_logins

GOOD = {
    **dict.fromkeys(("done", "started", "octets", "held", "pinged", "resumed"), 5),
    **dict.fromkeys(("seconds", "p50_ms", "p99_ms", "max_ms", "cpu_seconds"), 0.5),
    "first_fault": "",
    "faults": {},
}


def outcome(**other: object) -> Outcome:
    """Five sessions that went well, or otherwise."""
    return parse_outcome(json.dumps({**GOOD, **other}))


class CommandTests(SynchronousTestCase):
    """What ``native/load.c`` is told."""

    def test_options(self) -> None:
        """Flags have no value, false ones are not said, large numbers stay whole."""
        options = {"count": 10_000_000_000, "resume": True, "wrong": False, "rate": 0.5}
        load = Load("login", "imap", True, options)
        words = load.command(Path("load"), 1430)
        self.assertEqual(words[:4], ["load", "login", "imap", "1430"])
        self.assertEqual(
            words[4:], ["--count", "10000000000", "--resume", "--rate", "0.5", "--tls"]
        )
        self.assertEqual(load.service, "imaps")


class OutcomeTests(SynchronousTestCase):
    """What the clients say."""

    def test_last_line(self) -> None:
        """Held sessions report twice: when they are ready, and in the end."""
        first, last = json.dumps({**GOOD, "pinged": 0}), json.dumps(GOOD)
        self.assertEqual(parse_outcome(f"READY {first}\n{last}\n").pinged, 5)
        self.assertEqual(parse_outcome(f"READY {first}\n").pinged, 0)

    def test_nonsense(self) -> None:
        """Clients that say nothing have failed, not succeeded."""
        for text in ("", "Segmentation fault", "{}", '{"done": 1}'):
            with self.assertRaises(LoadFailed):
                parse_outcome(text)

    def test_complaints(self) -> None:
        """Faults are told with the first one's words."""
        self.assertEqual(outcome().complaints(), [])
        bad = outcome(faults={"refused": 2}, first_fault="a NO")
        self.assertEqual(bad.complaints(), ["clients saw 2 refused; the first: a NO"])


class CheckTests(SynchronousTestCase):
    """A run of logins counts if clients and stores agree on all of them."""

    def check(self, logins: int, stuck: int = 0, **other: object) -> list[str]:
        """Five logins were asked for."""
        return check_logins(outcome(**other), Spent(0.1, Counters(logins, 0, 0, 0, stuck), 0.0), 5)

    def test_checks(self) -> None:
        """Each way to be wrong has its own words."""
        self.assertEqual(self.check(5), [])
        self.assertEqual(self.check(4), ["stores saw 4 logins, clients 5"])
        self.assertEqual(self.check(4, done=4), ["4 of 5 sessions ended well"])
        self.assertEqual(self.check(5, 1), ["stores could not send 1 replies"])
        self.assertEqual(len(self.check(5, faults={"ended": 1})), 1)
