"""Routing over the cache that is used in earnest."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.route import Route
from mailroute.tables.cached import CachedTable, CachePolicy
from mailroute.tables.contract import Row
from tests.test_routing import ALICE, ORIGIN, WEST_IMAP, RouterCase


class CacheTests(RouterCase):
    """What is remembered, and what is asked anew."""

    def setUp(self) -> None:
        super().setUp()
        self.cached = CachedTable(self.table, self.clock, CachePolicy())
        self.cached_router = self.router(self.cached)

    def test_remembered_answers_need_no_waiting(self) -> None:
        """A remembered row or absence is taken as it is: the coroutine never waits."""
        self.table.rows["alice@example.org"] = Row("east")
        for identity in (ALICE, Identity("nobody")):
            Deferred.fromCoroutine(self.cached_router.route(identity, ORIGIN)).addErrback(
                lambda failure: failure.trap(Failure)
            )
        self.table.failing = "must not be asked"
        self.cached.lookup = self.fail  # type: ignore[assignment]
        router = self.router(self.cached)
        self.assertEqual(self.now(router.route(ALICE, ORIGIN)).destination, "east")
        routing = Deferred.fromCoroutine(router.route(Identity("nobody"), ORIGIN))
        failure = self.failureResultOf(routing, Failure).value
        self.assertIs(failure.kind, FailureKind.ACCOUNT_UNKNOWN)

    def test_moved_account(self) -> None:
        """After a refusal the table is asked anew, and the new place is taken from then on."""
        self.table.rows["alice@example.org"] = Row("east")
        old = self.now(self.cached_router.route(ALICE, ORIGIN))
        self.table.rows["alice@example.org"] = Row("west")
        self.assertEqual(self.now(self.cached_router.route(ALICE, ORIGIN)), old)
        new = self.now(self.cached_router.revalidate(ALICE, ORIGIN, old))
        assert new is not None
        self.assertEqual(new.destination, "west")
        self.assertEqual(self.now(self.cached_router.route(ALICE, ORIGIN)), new)

    def test_wrong_passwords_are_no_queries(self) -> None:
        """Guesses in a row ask the table once, and find nothing new."""
        self.table.rows["alice@example.org"] = Row("east")
        old = self.now(self.cached_router.route(ALICE, ORIGIN))
        self.table.asked.clear()
        for _ in range(5):
            self.assertIsNone(self.now(self.cached_router.revalidate(ALICE, ORIGIN, old)))
        self.assertEqual(len(self.table.asked), 1)

    def test_not_now(self) -> None:
        """Where the cache has no answer and may not ask, nothing is known to have changed."""
        self.table.failing = "away"
        old = Route("alice@example.org", "west", WEST_IMAP)
        router = self.router(self.cached, not_found="default", default_destination="east")
        for _ in range(2):
            self.assertIsNone(self.now(router.revalidate(ALICE, ORIGIN, old)))
