"""What becomes of a database's answer: from the driver's values to the destination and the cache.

The rows are those of a mapping in SQL as other proxies document it; the differences from them are
in favour of temporary failures: nobody lands on the wrong server.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.destinations import Destination
from mailroute.errors import Failure, FailureKind, LookupFailed
from mailroute.route import Backend, Origin, TLSMode
from mailroute.routing import Router, RoutingPolicy
from mailroute.tables.cached import NOT_CACHED, CachedTable, CachePolicy
from mailroute.tables.contract import Key
from mailroute.tables.sql_lexer import Dialect
from mailroute.tables.sql_table import FirstRow, SqlSettings, SqlTable

ORIGIN = Origin("s1", "imap", "192.0.2.7", 40000, "198.51.100.1", 143, "")
POSITIVE, NEGATIVE = 600, 30
_BACKEND = Backend(("mail.example",), 993, TLSMode.IMPLICIT)
DESTINATIONS = {name: Destination(name, {"imap": _BACKEND}) for name in ("legacy", "new", "1")}

# The first row of the answer (None: there is none), the destination, and how long it counts.
ROUTED: tuple[tuple[tuple[object, ...] | None, str, int], ...] = (
    (("new",), "new", POSITIVE),
    (None, "legacy", NEGATIVE),
    ((None,), "legacy", NEGATIVE),
    (("",), "legacy", NEGATIVE),
    # White space round a value is none of it.
    ((" new",), "new", POSITIVE),
    (("new ",), "new", POSITIVE),
    # Further columns that mean nothing are ignored.
    (("new", "x"), "new", POSITIVE),
    # A whole number is its decimal text.
    ((1,), "1", POSITIVE),
)


class _Database(SqlTable):
    """Answers with one row, or not at all."""

    dialect = Dialect.SQLITE

    def __init__(self, clock: Clock) -> None:
        query = "SELECT destination FROM mailbox_routes WHERE identifier = ?"
        super().__init__(SqlSettings("sqlite:x", query), clock)
        self.row: tuple[object, ...] | None = None
        self.only_for: str | None = None
        self.away = False
        self.asked = 0

    async def _ask(self, parameters: tuple[str, ...], until: float) -> FirstRow | None:
        self.asked += 1
        if self.away:
            raise LookupFailed("away")
        if self.row is None or self.only_for not in (None, *parameters):
            return None
        names = ["destination", "note"][: len(self.row)]
        return FirstRow(names, self.row)


class MappingRowTests(SynchronousTestCase):
    """The default destination is legacy; declared are legacy, new and 1."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.database = _Database(self.clock)
        self.cached = CachedTable(
            self.database, self.clock, CachePolicy(float(POSITIVE), float(NEGATIVE))
        )

    def routing(self, account: str = "joe@x", **policy: Any) -> Deferred[Any]:
        """The route of a login."""
        rules = RoutingPolicy(**{"default_destination": "legacy", "not_found": "default", **policy})
        router = Router(self.cached, DESTINATIONS, rules, self.clock)
        return Deferred.fromCoroutine(router.route(Identity(account), ORIGIN))

    def fails(self, **policy: Any) -> str:
        """A temporary failure; returns the reason."""
        failure = self.failureResultOf(self.routing(**policy), Failure).value
        self.assertNotEqual(failure.kind, FailureKind.ACCOUNT_UNKNOWN)
        return str(failure.reason)

    def test_routed(self) -> None:
        """Found and absent, each for its own time from the insertion."""
        for row, destination, seconds in ROUTED:
            self.cached.expire()
            self.database.row = row
            self.assertEqual(self.successResultOf(self.routing()).destination, destination, row)
            for passed, known in ((seconds - 1, True), (1, False)):
                self.clock.advance(passed)
                remembered = self.cached.peek(Key("joe@x")) is not NOT_CACHED
                self.assertEqual(remembered, known, (row, seconds))

    def test_undeclared(self) -> None:
        """A destination that is not declared, other letters included, is no default by itself."""
        for row in (("New",), ("elsewhere",)):
            self.cached.expire()
            self.database.row = row
            self.assertIn(repr(row[0]), self.fails())
            routed = self.successResultOf(self.routing(undeclared="default"))
            self.assertEqual(routed.destination, "legacy")

    def test_failing(self) -> None:
        """A database that is away is no absence: temporary, not remembered, asked again."""
        self.database.away = True
        for asked in (1, 2):
            self.assertIn("away", self.fails())
            self.assertEqual(self.database.asked, asked)
        self.database.away = False
        self.database.row = ("new",)
        self.assertEqual(self.successResultOf(self.routing()).destination, "new")

    def test_no_text(self) -> None:
        """What is neither text nor a whole number is a failure as well."""
        for value in (1.5, b"\xff"):
            self.database.row = (value,)
            self.fails()

    def test_case(self) -> None:
        """Without normalising another spelling is another account; with it they are one."""
        self.database.row = ("new",)
        self.database.only_for = "joe@x"
        routed = self.successResultOf(self.routing("JOE@X"))
        self.assertEqual(routed.destination, "legacy")
        routed = self.successResultOf(self.routing("JOE@X", normalize="lowercase"))
        self.assertEqual(routed.destination, "new")

    def test_master(self) -> None:
        """A master login is looked up by what stands before the earliest separator."""
        self.database.row = ("new",)
        self.database.only_for = "joe@x"
        self.assertEqual(self.successResultOf(self.routing("joe@x%adm")).destination, "new")
