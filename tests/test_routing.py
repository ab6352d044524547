"""From a login's name to its route."""

from __future__ import annotations

import unicodedata
from collections.abc import Coroutine
from dataclasses import replace
from typing import Any, TypeVar

from hypothesis import example, given, settings
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from mailroute.credentials import Identity
from mailroute.destinations import Destination
from mailroute.errors import Failure, FailureKind, LookupFailed
from mailroute.route import Backend, Origin, Route, TLSMode, Trust
from mailroute.routing import Router, RoutingPolicy, mailbox_owner, normalize
from mailroute.tables.contract import Row, Table
from tests.support.tables import MemoryTable, SlowTable

T = TypeVar("T")

ALICE = Identity("alice@example.org")
ORIGIN = Origin("s1", "imap", "192.0.2.7", 40000, "198.51.100.1", 143, "mail.example.org")
EAST_IMAP = Backend(("east.example", "east2.example"), 143, TLSMode.STARTTLS)
WEST_IMAP = Backend(
    ("west.example",), 993, TLSMode.IMPLICIT, Trust(server_name="mail.west.example")
)
DESTINATIONS = {
    "east": Destination("east", {"imap": EAST_IMAP, "pop3": replace(EAST_IMAP, port=110)}),
    "west": Destination("west", {"imap": WEST_IMAP}, hide_auth_errors=True),
    "loose": Destination("loose", {"imap": EAST_IMAP}, allow_row_tls_name=True),
}


class NormalizeTests(SynchronousTestCase):
    """What becomes a key, and what is refused before it is looked up, logged or written."""

    def refused(self, name: str, mode: str = "none") -> None:
        failure = self.assertRaises(Failure, normalize, name, mode)
        self.assertIs(failure.kind, FailureKind.NAME_UNUSABLE)

    def test_none(self) -> None:
        """Without normalising a name stays as it is, to the octet."""
        for name in ("Joe@X", "e\u0301", " a "):
            self.assertEqual(normalize(name, "none"), name)

    def test_lowercase(self) -> None:
        """NFC, then lower case: two ways to write one name meet."""
        self.assertEqual(normalize("JOE@Example.ORG", "lowercase"), "joe@example.org")
        self.assertEqual(normalize("E\u0301", "lowercase"), "\u00e9")
        self.assertEqual(normalize("\u212b", "lowercase"), "\u00e5")

    def test_different_people_stay_different(self) -> None:
        """No case folding, no compatibility forms: they would merge accounts."""
        for one, other in (
            ("straße", "strasse"),
            ("\uff41", "a"),
            ("\u0131", "i"),
            ("\ufb01", "fi"),
        ):
            self.assertNotEqual(normalize(one, "lowercase"), normalize(other, "lowercase"))

    def test_control_characters(self) -> None:
        """NUL, CR, LF, every other C0, DEL and C1, at any place."""
        for code in (*range(0x20), *range(0x7F, 0xA0)):
            for form in ("{}", "a{}", "{}a", "a{}b"):
                for mode in ("none", "lowercase"):
                    self.refused(form.format(chr(code)), mode)

    def test_not_text(self) -> None:
        """A lone surrogate is no Unicode text; nothing is no name."""
        self.refused("a\ud800b")
        self.refused("\udfff")
        self.refused("")

    def test_length(self) -> None:
        """512 octets, not characters, also where normalising makes them more."""
        self.assertEqual(normalize("a" * 512, "none"), "a" * 512)
        self.refused("a" * 513)
        self.assertEqual(normalize("é" * 256, "none"), "é" * 256)
        self.refused("é" * 257)
        # U+0958 is excluded from composition: NFC makes two characters of it.
        self.assertEqual(len(normalize("\u0958" * 85, "lowercase").encode()), 510)
        self.refused("\u0958" * 86, "lowercase")

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(st.characters(categories=["L", "M", "N", "P", "S", "Zs"]), min_size=1))
    @example("İ")
    @example("ΑΣ")
    def test_law(self, name: str) -> None:
        """A key is either the rule's own result, fit to be looked up, or the name is refused."""
        for mode, expected in (
            ("none", name),
            ("lowercase", unicodedata.normalize("NFC", name).lower()),
        ):
            too_long = any(len(text.encode()) > 512 for text in (name, expected))
            if too_long:
                self.refused(name, mode)
            else:
                self.assertEqual(normalize(name, mode), expected)

    @settings(max_examples=100, deadline=None, derandomize=True)
    @given(st.text(max_size=20))
    @example("a\r\nb")
    @example("\ud800")
    def test_every_text(self, name: str) -> None:
        """Whatever the text, there is a key without controls that UTF-8 can hold, or a Failure."""
        for mode in ("none", "lowercase"):
            try:
                key = normalize(name, mode)
            except Failure as failure:
                self.assertIs(failure.kind, FailureKind.NAME_UNUSABLE)
            else:
                self.assertTrue(0 < len(key.encode("utf-8")) <= 512)
                self.assertFalse(any(unicodedata.category(c) == "Cc" for c in key))


class MailboxOwnerTests(SynchronousTestCase):
    """Master logins are looked up by the mailbox's owner."""

    def test_earliest_of_any_kind(self) -> None:
        """The first separator of the name counts, not the first of the list."""
        for name, separators, owner in (
            ("joe@x%adm", ("%",), "joe@x"),
            ("joe*adm%x", ("%", "*"), "joe"),
            ("joe%adm*x", ("%", "*"), "joe"),
            ("joe--adm", ("--",), "joe"),
            ("joe", ("%",), "joe"),
            ("joe%adm", (), "joe%adm"),
            ("%adm", ("%",), ""),
        ):
            self.assertEqual(mailbox_owner(name, separators), owner)


class RouterCase(SynchronousTestCase):
    """A router over a table in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.table = MemoryTable()

    def router(self, table: Table | None = None, **policy: Any) -> Router:
        # Not "or": an empty cache is false.
        chosen = self.table if table is None else table
        return Router(chosen, DESTINATIONS, RoutingPolicy(**policy), self.clock)

    def now(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine that needs no waiting."""
        result: T = self.successResultOf(Deferred.fromCoroutine(coroutine))
        return result

    def route(
        self, row: Row | None, protocol: str = "imap", identity: Identity = ALICE, **policy: Any
    ) -> Route:
        """The route of a login whose account has ``row``."""
        self.table.rows = {} if row is None else {"alice@example.org": row}
        origin = replace(ORIGIN, protocol=protocol)
        return self.now(self.router(**policy).route(identity, origin))

    def fails(
        self, kind: FailureKind, row: Row | None, *parts: str, protocol: str = "imap", **policy: Any
    ) -> None:
        """The login fails with ``kind``, for a reason that names each of ``parts``."""
        self.table.rows = {} if row is None else {"alice@example.org": row}
        origin = replace(ORIGIN, protocol=protocol)
        routing = Deferred.fromCoroutine(self.router(**policy).route(ALICE, origin))
        failure = self.failureResultOf(routing, Failure).value
        self.assertIs(failure.kind, kind)
        for part in parts:
            self.assertIn(part, failure.reason)


class KeyTests(RouterCase):
    """What is looked up."""

    def asked(self, identity: Identity, **policy: Any) -> str:
        self.table.asked.clear()
        policy = {"not_found": "default", "default_destination": "east", **policy}
        self.assertEqual(self.route(None, identity=identity, **policy).destination, "east")
        [key] = self.table.asked
        return key.identifier

    def test_circumstances(self) -> None:
        """Queries may ask where the session comes from."""
        self.route(Row("east"), extension_delimiter="+")
        [key] = self.table.asked
        self.assertEqual(key.identifier, "alice@example.org")
        self.assertEqual(
            (key.protocol, key.client_ip, key.server_ip, key.sni, key.extension_delimiter),
            ("imap", "192.0.2.7", "198.51.100.1", "mail.example.org", "+"),
        )

    def test_authorization_identity(self) -> None:
        """RFC 4616: where there is an authzid, it is its mail that is wanted."""
        self.assertEqual(self.asked(Identity("admin", "bob@example.org")), "bob@example.org")

    def test_separator_goes_before_normalising(self) -> None:
        """The separator is found in the name as it was typed."""
        found = self.asked(Identity("Bob@X%admin"), normalize="lowercase")
        self.assertEqual(found, "bob@x")
        found = self.asked(Identity("BobZadmin"), normalize="lowercase", separators=("Z",))
        self.assertEqual(found, "bob")

    def test_account_is_the_key(self) -> None:
        """Logs, limits and cache see the normalised name, never what was typed."""
        found = self.route(
            Row("east"), identity=Identity("ALICE@example.org%x"), normalize="lowercase"
        )
        self.assertEqual(found.account, "alice@example.org")

    def test_unusable_names_are_not_looked_up(self) -> None:
        """Either name is written to the backend: neither may hold a line's end."""
        for identity in (
            Identity(""),
            Identity("%admin"),
            Identity("a\r\nb"),
            Identity("a%b\nc"),
            Identity("a\0b", "bob"),
            Identity("admin", "bob\x85"),
            Identity("x" * 513, "bob"),
        ):
            routing = Deferred.fromCoroutine(self.router().route(identity, ORIGIN))
            failure = self.failureResultOf(routing, Failure).value
            self.assertIs(failure.kind, FailureKind.NAME_UNUSABLE)
        self.assertEqual(self.table.asked, [])


class OutcomeTests(RouterCase):
    """Found, absent and failed are three different answers."""

    def test_found(self) -> None:
        """The destination's own endpoint of the session's protocol."""
        self.assertEqual(
            self.route(Row("west")),
            Route("alice@example.org", "west", WEST_IMAP, None, hide_auth_errors=True),
        )
        self.assertEqual(self.route(Row("east"), protocol="pop3").backend.port, 110)

    def test_absent(self) -> None:
        """As the policy says: rejected, put off, or sent to the default destination."""
        self.fails(FailureKind.ACCOUNT_UNKNOWN, None, "alice@example.org", not_found="reject")
        self.fails(FailureKind.ACCOUNT_TEMPFAIL, None, "alice@example.org", not_found="tempfail")
        found = self.route(None, not_found="default", default_destination="west")
        self.assertEqual((found.destination, found.backend), ("west", WEST_IMAP))
        self.assertTrue(found.hide_auth_errors)

    def test_row_of_nothing_is_absent(self) -> None:
        """Neither destination nor columns: certainly no row of use."""
        for row in (Row(None), Row(""), Row(None, {"host": "", "state": ""})):
            self.fails(FailureKind.ACCOUNT_UNKNOWN, row)

    def test_failed(self) -> None:
        """A failing table is a temporary failure, whatever is to happen to absent accounts."""
        self.table.failing = "the database is away"
        for not_found in ("default", "reject", "tempfail"):
            self.fails(
                FailureKind.LOOKUP_FAILED,
                None,
                "the database is away",
                not_found=not_found,
                default_destination="east",
                undeclared="default",
            )
        self.assertTrue(FailureKind.LOOKUP_FAILED.temporary)

    def test_failed_with_default(self) -> None:
        """Only who asks for it gets the default destination on a failure."""
        self.table.failing = "the database is away"
        found = self.route(None, on_error="default", default_destination="east")
        self.assertEqual(found.destination, "east")
        self.fails(FailureKind.DESTINATION_UNKNOWN, None, "database is away", on_error="default")

    def test_undeclared_destination(self) -> None:
        """Temporary, and the reason says what was found and what there is."""
        self.fails(
            FailureKind.DESTINATION_UNKNOWN,
            Row("nroth"),
            "'alice@example.org'",
            "'nroth'",
            "east, loose, west",
        )
        self.assertTrue(FailureKind.DESTINATION_UNKNOWN.temporary)
        self.fails(FailureKind.DESTINATION_UNKNOWN, Row("East"), "'East'")

    def test_destination_without_protocol(self) -> None:
        """The same, with the protocols that it serves."""
        self.fails(
            FailureKind.DESTINATION_UNKNOWN, Row("west"), "'west'", "pop3", "imap", protocol="pop3"
        )

    def test_undeclared_with_default(self) -> None:
        """On request the default destination takes both cases, without the row's columns."""
        row = Row("nroth", {"host": "elsewhere.example", "username": "x"})
        policy: dict[str, Any] = {"undeclared": "default", "default_destination": "east"}
        found = self.route(row, **policy)
        self.assertEqual((found.destination, found.backend), ("east", EAST_IMAP))
        self.assertIsNone(found.login_name)
        self.assertEqual(self.route(Row("west"), protocol="pop3", **policy).destination, "east")

    def test_default_that_is_of_no_use(self) -> None:
        """A default destination without the protocol, or none at all, is no way out."""
        self.fails(
            FailureKind.DESTINATION_UNKNOWN,
            None,
            "default destination 'west' does not serve pop3",
            protocol="pop3",
            not_found="default",
            default_destination="west",
        )
        self.fails(FailureKind.DESTINATION_UNKNOWN, None, "no default", not_found="default")

    def test_long_lists_are_cut(self) -> None:
        """A reason stays readable with a thousand destinations."""
        many = {f"d{n:04}": Destination(f"d{n:04}", {}) for n in range(1000)}
        self.table.rows = {"alice@example.org": Row("x")}
        router = Router(self.table, many, RoutingPolicy(), self.clock)
        routing = Deferred.fromCoroutine(router.route(ALICE, ORIGIN))
        reason = self.failureResultOf(routing, Failure).value.reason
        self.assertTrue(reason.endswith("d0009, ..."), reason)


class TimeTests(RouterCase):
    """One lookup has its time; whoever gives up leaves nothing behind."""

    def test_time_out(self) -> None:
        """No answer in time is a failed lookup, and the question is cancelled."""
        table = SlowTable()
        routing = Deferred.fromCoroutine(self.router(table).route(ALICE, ORIGIN))
        self.clock.advance(4.9)
        self.assertNoResult(routing)
        self.clock.advance(0.1)
        failure = self.failureResultOf(routing, LookupFailed).value
        self.assertEqual(failure.reason, "no answer within 5 s")
        self.assertEqual(table.cancelled, 1)

    def test_time_out_with_default(self) -> None:
        """Silence is a failure like any other."""
        router = self.router(
            SlowTable(), on_error="default", default_destination="east", lookup_timeout_seconds=1
        )
        routing = Deferred.fromCoroutine(router.route(ALICE, ORIGIN))
        self.clock.advance(1)
        self.assertEqual(self.successResultOf(routing).destination, "east")

    def test_answer_in_time(self) -> None:
        """An answer stops the clock."""
        table = SlowTable()
        routing = Deferred.fromCoroutine(self.router(table).route(ALICE, ORIGIN))
        self.clock.advance(4)
        table.waiting[0].callback(Row("east"))
        self.assertEqual(self.successResultOf(routing).destination, "east")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_cancelled(self) -> None:
        """A client that leaves cancels the question: no timer stays, no default is taken."""
        table = SlowTable()
        router = self.router(table, on_error="default", default_destination="east")
        for routing in (
            Deferred.fromCoroutine(router.route(ALICE, ORIGIN)),
            Deferred.fromCoroutine(
                router.revalidate(ALICE, ORIGIN, Route("alice", "east", EAST_IMAP))
            ),
        ):
            routing.cancel()
            self.failureResultOf(routing, CancelledError)
        self.assertEqual(table.cancelled, 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])


class RevalidateTests(RouterCase):
    """A refusal may mean that the account has moved."""

    def again(self, row: Row | None, old: Row = Row("east"), **policy: Any) -> Route | None:  # noqa: B008
        route = self.route(old)
        self.table.rows = {} if row is None else {"alice@example.org": row}
        return self.now(self.router(**policy).revalidate(ALICE, ORIGIN, route))

    def test_same_place(self) -> None:
        """The same backend under the same name would refuse again, whatever else changed."""
        self.assertIsNone(self.again(Row("east")))
        self.assertIsNone(self.again(Row("east", {"ttl": "5", "reason": "x"})))

    def test_other_place(self) -> None:
        """Another destination, another backend, another name to log in with."""
        for row in (
            Row("west"),
            Row("loose"),
            Row("east", {"host": "10.0.0.9"}),
            Row("east", {"port": "1143"}),
            Row("east", {"tls": "implicit"}),
            Row("east", {"username": "bob"}),
        ):
            self.assertIsNotNone(self.again(row), row)

    def test_place_alone_counts(self) -> None:
        """A route that was found under another key, yet leads there, is no other place."""
        self.table.rows = {"alice@example.org": Row("east")}
        old = Route("alice@old.example", "east", EAST_IMAP)
        self.assertIsNone(self.now(self.router().revalidate(ALICE, ORIGIN, old)))

    def test_no_place(self) -> None:
        """What fails now leaves the backend's refusal as the answer."""
        self.assertIsNone(self.again(None))
        self.assertIsNone(self.again(Row("nroth")))
        self.assertIsNone(self.again(Row("west", {"state": "deny"})))
        self.table.failing = "away"
        router = self.router(on_error="default", default_destination="west")
        old = Route("alice@example.org", "east", EAST_IMAP)
        self.assertIsNone(self.now(router.revalidate(ALICE, ORIGIN, old)))

    def test_slow_table(self) -> None:
        """Silence is bounded here, too."""
        router = self.router(SlowTable())
        old = Route("alice@example.org", "east", EAST_IMAP)
        again = Deferred.fromCoroutine(router.revalidate(ALICE, ORIGIN, old))
        self.clock.advance(5)
        self.assertIsNone(self.successResultOf(again))
