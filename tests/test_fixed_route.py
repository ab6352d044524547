"""The route of sessions that are all for one destination."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.fixed_route import FixedRoute
from mailroute.route import Backend, Origin, Route, TLSMode

ORIGIN = Origin("x", "smtp", "203.0.113.9", 1, "192.0.2.1", 25)


class FixedRouteTests(SynchronousTestCase):
    """Whoever comes."""

    def test_always_the_same(self) -> None:
        """One route, and no second thoughts about it."""
        backend = Backend(("mx.example.org",), 25, TLSMode.PLAIN)
        routes = FixedRoute("mx", backend)
        for name in ("", "alice"):
            found = Deferred.fromCoroutine(routes.route(Identity(name), ORIGIN))
            route = self.successResultOf(found)
            self.assertEqual(route, Route("", "mx", backend))
            again = Deferred.fromCoroutine(routes.revalidate(Identity(name), ORIGIN, route))
            self.assertIsNone(self.successResultOf(again))
