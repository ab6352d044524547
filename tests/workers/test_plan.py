"""The plan: what the supervisor knows of a configuration."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from mailroute.workers.plan import Place, Plan, numbered

PLAN = Plan(
    workers=2,
    places=(Place("tcp", "::1", 143), Place("unix", "/run/imap")),
    listeners=("imap", "local"),
    grace_seconds=1.5,
    fingerprint="f",
)


class PlanTests(SynchronousTestCase):
    """It travels between versions of the code."""

    def test_round_trip(self) -> None:
        """Nothing is lost on the way."""
        self.assertEqual(Plan.from_json(PLAN.to_json()), PLAN)

    def test_newer(self) -> None:
        """What a newer version adds is left out."""
        fields = json.loads(PLAN.to_json())
        fields["colour"] = "red"
        fields["places"][0]["mark"] = 4
        self.assertEqual(Plan.from_json(json.dumps(fields)), PLAN)

    def test_no_plan(self) -> None:
        """Anything else is told from a plan."""
        for text in ("", "{}", "[]", '{"places": [{}]}'):
            with self.assertRaises((ValueError, KeyError, TypeError)):
                Plan.from_json(text)


class PlaceTests(SynchronousTestCase):
    """Where to listen."""

    def test_words(self) -> None:
        """As in the configuration."""
        self.assertEqual(str(Place("tcp", "192.0.2.1", 25)), "192.0.2.1:25")
        self.assertEqual([str(place) for place in PLAN.places], ["[::1]:143", "unix:/run/imap"])

    def test_shared(self) -> None:
        """Unix sockets and those of systemd cannot be had several times."""
        kinds = {kind: Place(kind, "x").is_shared for kind in ("tcp", "unix", "systemd")}
        self.assertEqual(kinds, {"tcp": False, "unix": True, "systemd": True})

    def test_numbered(self) -> None:
        """Places that are written alike are different ones."""
        any_port = Place("tcp", "127.0.0.1", 0)
        found = numbered([any_port, Place("unix", "a"), any_port])
        self.assertEqual([place.number for place in found], [0, 0, 1])
        self.assertEqual(len(set(found)), 3)
