"""From a key to Postfix's answer."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.task import Clock

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix import sql_map
from mailroute.tables.postfix.domains import DomainList
from mailroute.tables.postfix.failover import Failover, Row
from mailroute.tables.postfix.parameters import Parameters
from mailroute.tables.postfix.sql_map import Manner, SqlMap, make_plan, query_text
from tests.tables.postfix.maps import AwaitingCase, SmallMap, SmallServer

QUERY = "SELECT a FROM t WHERE b = '%s'"
LEGACY = {"table": "t", "select_field": "dest", "where_field": "addr"}


class PlanTests(AwaitingCase):
    """The parameters of a query."""

    def text(self, kind: str, **values: str) -> str:
        """The query."""
        return query_text(kind, Parameters("x:/y", values, []))

    def test_precedence(self) -> None:
        """query, then PostgreSQL's select_function, then the older parameters."""
        everything = {**LEGACY, "query": "SELECT 1", "select_function": "f"}
        self.assertEqual(self.text("pgsql", **everything), "SELECT 1")
        everything["query"] = ""
        self.assertEqual(self.text("pgsql", **everything), "SELECT f('%s')")
        self.assertEqual(self.text("mysql", **everything), "SELECT dest FROM t WHERE addr='%s' ")

    def test_additional_conditions(self) -> None:
        """They are a part of the template."""
        query = self.text("sqlite", **LEGACY, additional_conditions="AND on=1")
        self.assertEqual(query, "SELECT dest FROM t WHERE addr='%s' AND on=1")

    def test_complaints(self) -> None:
        """Each names the table and the parameter."""
        for parameter, values in {
            "query": {"table": "t"},
            "result_format": {"query": QUERY, "result_format": ""},
            "expansion_limit": {"query": QUERY, "expansion_limit": "-1"},
        }.items():
            with self.assertRaises(ConfigurationError) as caught:
                make_plan("sqlite", Parameters("sqlite:/y", values, []))
            self.assertIn(f"sqlite:/y: {parameter}: ", str(caught.exception))
        for name in ("query", "result_format"):
            values = {"query": QUERY, name: "'%n'"}
            with self.assertRaises(ConfigurationError) as caught:
                make_plan("sqlite", Parameters("sqlite:/y", values, []))
            self.assertIn(f"sqlite:/y: {name}: %n is no expansion", str(caught.exception))


class SqlMapTests(AwaitingCase):
    """A table whose server answers with given rows."""

    def setUp(self) -> None:
        """A server, and nothing logged."""
        self.server = SmallServer("here")
        self.domains = SmallMap({"broken": None})
        self.warnings: list[str] = []
        self.patch(sql_map, "warn", self.warnings.append)

    def table(self, rows: Sequence[Row] = (), **values: str) -> SqlMap:
        """A table."""
        self.server.answer = rows
        parameters = Parameters("sqlite:/y", {"query": QUERY, **values}, [])
        clock = Clock()
        domains = DomainList(parameters.text("domain"), lambda _: self.domains)
        return SqlMap(
            parameters,
            make_plan("sqlite", parameters),
            domains,
            Failover([self.server], 60, clock),
            Manner(str.casefold, 5.0, clock),  # type: ignore[arg-type]
        )

    def answer(self, rows: Sequence[Row], key: str = "k", **values: str) -> str | None:
        """The answer to a key."""
        found = self.result(self.table(rows, **values).get(key))
        self.assertNotEqual(found, ())
        return None if found is None else found[0]

    def test_results(self) -> None:
        """Values of all rows and columns, joined by commas; NULL and empty ones are skipped."""
        for rows, result_format, expected in (
            ([("a",), ("b",)], "%s", "a,b"),
            ([("a",), (None,), ("",), ("b",)], "%s", "a,b"),
            ([("h", "25")], "%s", "h,25"),
            ([(None,)], "%s", None),
            ([("",)], "%s", None),
            ([("bob@x.org",), ("eve",)], "%d", "x.org"),
            ([("bob@x.org",), ("eve",)], "%u", "bob,eve"),
            ([("1",), ("1",)], "const", "const,const"),
            ([(b"a\0b",)], "%s", "a"),
            ([(" a ",)], "%s", " a "),
            ([], "const", None),
        ):
            answer = self.answer(rows, result_format=result_format)
            self.assertEqual(answer, expected, (rows, result_format))

    def test_empty_value(self) -> None:
        """An empty value is warned about, once."""
        table = self.table([("",), ("",)])
        self.result(table.get("k"))
        self.result(table.get("l"))
        self.assertEqual(len(self.warnings), 1)
        self.assertIn("'k'", self.warnings[0])

    def test_limit(self) -> None:
        """One value too many fails the lookup; only those that are added count."""
        rows = [("a",), (None,), ("b",)]
        self.assertEqual(self.answer(rows[:2], expansion_limit="1"), "a")
        self.assertEqual(self.answer(rows, expansion_limit="2"), "a,b")
        reason = self.failure(self.table(rows, expansion_limit="1").get("k"))
        self.assertIn("sqlite:/y: more than 1 values", reason)

    def test_not_utf8(self) -> None:
        """A value that is no UTF-8 is a failure, not an absence."""
        self.assertIn("not UTF-8", self.failure(self.table([(b"\xff",)]).get("k")))

    def test_folding(self) -> None:
        """Keys are folded as Unicode folds them, before anything else."""
        self.assertEqual(self.answer([("v",)], "Straße", result_format="%S"), "strasse")
        self.assertEqual(self.server.asked[0][0], ("strasse",))
        # %u and %d, too, are parts of the folded key.
        self.answer([], "User@EXAMPLE.com", query="SELECT a FROM t WHERE b = '%s' OR c = '%u|%d'")
        self.assertEqual(self.server.asked[1][0], ("user@example.com", "user|example.com"))

    def test_not_asked(self) -> None:
        """Empty keys, NUL, and what is no UTF-8 are absent without a query."""
        for key in ("", "a\0b", "\ud800"):
            self.assertIsNone(self.answer([("v",)], key))
        self.assertEqual(self.server.asked, [])

    def test_suppressed(self) -> None:
        """A key that lacks what a template needs is absent without a query."""
        self.assertIsNone(self.answer([("v",)], result_format="%D"))
        self.assertIsNone(self.answer([("v",)], "k@y.org", domain="x.org"))
        self.assertEqual(self.server.asked, [])

    def test_failures(self) -> None:
        """A server or a table of domains that fails is named, and is no absence."""
        table = self.table()
        self.server.answer = LookupFailed("gone")
        self.assertEqual(self.failure(table.get("k")), "sqlite:/y: here: gone")
        table = self.table(domain="type:name")
        self.assertIn("out of order", self.failure(table.get("k@broken")))

    def test_deadline(self) -> None:
        """The lookup's time is what the table was given."""
        self.answer([])
        self.assertEqual(self.server.asked[0][1], 5.0)

    def test_check(self) -> None:
        """Warnings of the server, of the domains, and of what stands outside of quotes."""
        table = self.table(query="SELECT a FROM t WHERE b = %s", domain="type:name")
        self.server.warning = "out of reach"
        self.assertEqual(
            table.check(),
            [
                "sqlite:/y: here: out of reach",
                "sqlite:/y: %s stands outside of quotes: only digits can be looked up by it",
                "small: a warning",
            ],
        )

    def test_life(self) -> None:
        """Servers and tables of domains live with it."""
        table = self.table(domain="type:name")
        self.result(table.start())
        self.result(table.close())
        self.assertEqual(self.server.life, ["started", "closed"])
        self.assertEqual(self.domains.life, ["started", "closed"])

    def test_watch(self) -> None:
        """A change of either may change the answers."""
        told: list[bool] = []
        self.table(domain="type:name").watch(lambda: told.append(True))
        self.assertEqual(len(told), 2)
