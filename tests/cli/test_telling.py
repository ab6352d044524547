"""The router and the tables that tell their steps answer as the silent ones do."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from twisted.internet.testing import MemoryReactorClock

from mailroute import composition
from mailroute.cli.explain import Explained
from mailroute.cli.story import Story
from mailroute.cli.telling import EMPTY_CACHE, TellingTable, table_facts
from mailroute.config.table_model import PostfixTable, SqlQueryTable
from mailroute.credentials import Identity
from mailroute.errors import Failure, LookupFailed
from mailroute.route import Origin, Route
from mailroute.tables.contract import Row
from mailroute.tables.email_localpart import LocalPartTable
from tests.cli.calling import finished
from tests.config.reading import ConfigurationCase
from tests.support.tables import MemoryTable

DESTINATION = (
    '[destination.east]\nhost = "east.example.org"\n'
    '[destination.east.protocol.imap]\nport = 993\ntls = "implicit"\n'
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)
ROUTING = '[routing]\nextension_delimiter = "+"\n'
DEFAULT = '[routing]\ndefault_destination = "east"\n'
FILE = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'
CHAIN = (
    '[mapping]\nsource = "table"\n[mapping.table]\nname = "all"\n'
    '[table.all]\ntype = "chain"\nsteps = [{ table = "local" }, { table = "shards" }]\n'
    '[table.local]\ntype = "email_localpart"\n'
    '[table.shards]\ntype = "static"\nentries = [["alice", "shard-7"]]\n'
)
SQL = (
    '[mapping]\nsource = "sql"\nnormalize = "lowercase"\n[mapping.sql]\n'
    'url = "sqlite:routes.db"\nkeys = ["{user}", "@{domain}"]\n'
    'query = "SELECT destination, host FROM routes WHERE identifier = $1"\n'
)
ORIGIN = Origin("x", "imap", "", 0, "", 0)


class TellingCase(ConfigurationCase):
    """A configuration, explained."""

    def setUp(self) -> None:
        super().setUp()
        self.write("routes", "alice@example.org east\n")
        self.reactor = MemoryReactorClock()

    def explained(self, table: Any = None, **sections: str) -> Explained:
        """Everything that an explanation needs; ``table`` stands in for the mapping's."""
        made = {"mapping": FILE, "routing": ROUTING, "destination": DESTINATION, **sections}
        self.configuration = self.read_sections(**made)
        if table is not None:
            self.patch(composition, "make_source", lambda *_, **__: table)
        return Explained(self.configuration, self.reactor, Story(self.reactor.seconds))

    def steps(self, explained: Explained, name: str) -> dict[str, Any]:
        """The facts by step, after the way to a route or a failure, which is the silent one's."""
        told = self.outcome(explained.router, name)
        source: Any = explained.source
        silent = composition.make_router(
            self.configuration,
            composition.make_cache(self.configuration, source, self.reactor),
            self.reactor,
        )
        self.assertEqual(told, self.outcome(silent, name))
        found: dict[str, Any] = {"outcome": told}
        for step in explained.story.steps:
            found.setdefault(step.name, step.facts)
        return found

    def outcome(self, router: Any, name: str) -> Route | tuple[object, str]:
        """A route, or what is said of the failure."""
        try:
            route: Route = finished(router.route(Identity(name), ORIGIN))
        except Failure as failure:
            return failure.kind, failure.reason
        return route


class RouterTests(TellingCase):
    """Every step of the router."""

    def test_found(self) -> None:
        """From the name to the destination."""
        steps = self.steps(self.explained(), "alice+x@example.org%admin")
        self.assertEqual(
            steps["master user"],
            {"separator": "%", "mailbox": "alice+x@example.org", "master": "admin"},
        )
        normal = steps["normalisation"]
        self.assertEqual(normal["user"], "alice@example.org")
        self.assertEqual((normal["local"], normal["ext"]), ("alice", "x"))
        self.assertEqual(steps["cache"], {"state": EMPTY_CACHE})
        self.assertEqual(steps["file"]["key"], "alice@example.org")
        self.assertEqual(steps["lookup"], {"row": {"destination": "east"}})
        self.assertEqual(steps["destination"]["means"], "a declared destination")

    def test_unusable(self) -> None:
        """A name that cannot be looked up ends with the normalisation."""
        steps = self.steps(self.explained(), "a\x01b")
        self.assertIn("control characters", steps["normalisation"]["refused"])
        self.assertNotIn("lookup", steps)

    def test_absent(self) -> None:
        """The policy for accounts that are not there, and its default destination."""
        steps = self.steps(self.explained(), "bob")
        self.assertEqual(steps["policy"], {"not_found": "reject"})
        explained = self.explained(routing=DEFAULT)
        steps = self.steps(explained, "bob")
        self.assertEqual(steps["policy"], {"not_found": "default"})
        told = [step.facts for step in explained.story.steps if step.name == "policy"]
        self.assertEqual(told[1]["default_destination"], "east")

    def test_failed(self) -> None:
        """A table that cannot answer, and what on_error makes of it."""
        table = MemoryTable()
        table.failing = "away"
        steps = self.steps(self.explained(table), "alice")
        self.assertEqual(steps["lookup"], {"failed": "away", "on_error": "tempfail"})

    def test_undeclared(self) -> None:
        """A value that means nothing, with the policy for that."""
        table = MemoryTable({"alice": Row("nowhere")})
        steps = self.steps(self.explained(table), "alice")
        self.assertIn("'nowhere' is not declared", steps["destination"]["fault"])
        self.assertEqual(steps["destination"]["undeclared"], "tempfail")

    def test_meanings(self) -> None:
        """A value may be of a pattern, or an address."""
        steps = self.steps(self.explained(MemoryTable({"alice": Row("shard-7")})), "alice")
        self.assertEqual(steps["destination"]["means"], "a destination of a pattern")
        addresses = '[routing]\naddress_destination = "east"\n'
        table = MemoryTable({"alice": Row("192.0.2.7:1993")})
        steps = self.steps(self.explained(table, routing=addresses), "alice")
        self.assertEqual(steps["destination"]["means"], "an address, served as east")


class SourceTests(TellingCase):
    """Every question to a table."""

    def test_keys(self) -> None:
        """Each key that is tried, with the query's parameters and its row."""
        with closing(sqlite3.connect(f"{self.folder}/routes.db")) as database:
            database.execute("CREATE TABLE routes (identifier, destination, host)")
        explained = self.explained(mapping=SQL)
        asked: list[tuple[str, ...]] = []
        row = Row("east", {"host": "h.example.org"})

        async def answer(parameters: tuple[str, ...], until: float) -> Row | None:
            asked.append(parameters)
            return row if len(asked) % 2 == 0 else None

        # The engine itself waits for a thread.
        self.patch(explained.source, "answer", answer)
        steps = self.steps(explained, "Alice@Example.Org")
        self.assertEqual(steps["query"]["keys"], ("{user}", "@{domain}"))
        self.assertIn("WHERE identifier = ?", steps["query"]["query"])
        told = [step.facts for step in explained.story.steps if step.name == "asked"]
        self.assertEqual(
            told,
            [
                {"parameters": ["key=alice@example.org"], "row": "absent"},
                {
                    "parameters": ["key=@example.org"],
                    "row": {"destination": "east", "host": "h.example.org"},
                },
            ],
        )

    def test_failing_query(self) -> None:
        """A question without an answer is told with its parameters."""
        sqlite3.connect(f"{self.folder}/routes.db").close()
        explained = self.explained(mapping=SQL)

        async def answer(parameters: tuple[str, ...], until: float) -> Row | None:
            raise LookupFailed("locked")

        self.patch(explained.source, "answer", answer)
        steps = self.steps(explained, "alice")
        self.assertEqual(steps["asked"], {"parameters": ["key=alice"], "failed": "locked"})

    def test_chain(self) -> None:
        """Each table of a chain by its name, with its key and its values."""
        explained = self.explained(mapping=CHAIN)
        steps = self.steps(explained, "alice@example.org")
        told = [step.facts for step in explained.story.steps if step.name == "table"][:3]
        self.assertEqual(
            [(each["table"], each["key"], each["values"]) for each in told],
            [
                ("table.local", "alice@example.org", ["alice"]),
                ("table.shards", "alice", ["shard-7"]),
                ("table.all", "alice@example.org", ["shard-7"]),
            ],
        )
        self.assertEqual(steps["lookup"], {"row": {"destination": "shard-7"}})


class TableTests(ConfigurationCase):
    """A table in its wrap."""

    def test_answers(self) -> None:
        """Found, absent and failed stay what they are."""
        story = Story(MemoryReactorClock().seconds)
        table = TellingTable("table.x", LocalPartTable(), {"map": "m"}, story)
        self.assertEqual(finished(table.get("a@b")), ("a",))
        self.assertIsNone(finished(table.get("a")))
        failing = LocalPartTable()
        with self.assertRaises(LookupFailed):
            self.patch(failing, "get", self.fail_lookup)
            finished(TellingTable("table.y", failing, {}, story).get("a"))
        facts = [step.facts for step in story.steps]
        self.assertEqual(facts[0]["values"], ["a"])
        self.assertEqual((facts[0]["table"], facts[0]["map"]), ("table.x", "m"))
        self.assertEqual(facts[1]["values"], "absent")
        self.assertEqual(facts[2]["failed"], "away")

    async def fail_lookup(self, key: str) -> None:
        """A table that cannot answer."""
        raise LookupFailed("away")

    def test_life(self) -> None:
        """The table behind is checked, started and closed."""
        life: list[str] = []

        class Living(LocalPartTable):
            def check(self) -> list[str]:
                return ["warning"]

            async def start(self) -> None:
                life.append("started")

            async def close(self) -> None:
                life.append("closed")

        table = TellingTable("table.x", Living(), {}, Story(MemoryReactorClock().seconds))
        self.assertEqual(table.check(), ["warning"])
        finished(table.start())
        finished(table.close())
        self.assertEqual(life, ["started", "closed"])

    def test_facts(self) -> None:
        """Queries and maps are named."""
        text = (
            '[table.a]\ntype = "sql_query"\ndriver = "sqlite3"\ndsn = "x"\nlookup = "SELECT 1"\n'
            '[table.b]\ntype = "postfix"\nmap = "texthash:/etc/postfix/x"\n'
        )
        tables = self.read_sections(capabilities=text).tables
        self.assertIsInstance(tables["a"], SqlQueryTable)
        self.assertIsInstance(tables["b"], PostfixTable)
        self.assertEqual(table_facts(tables["a"]), {"query": "SELECT 1"})
        self.assertEqual(table_facts(tables["b"]), {"map": "texthash:/etc/postfix/x"})
        self.assertEqual(table_facts(None), {})
