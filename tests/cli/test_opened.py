"""The mapping and tables, open for one command."""

from __future__ import annotations

from typing import Any, cast

from twisted.internet.defer import Deferred

from mailroute.cli.opened import MappingTable, opened_mapping, opened_table
from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Row
from mailroute.tables.mapping_store import MappingStore
from mailroute.tables.named import NamedTables
from mailroute.tables.string_table import StringTable
from tests.config.reading import ConfigurationCase
from tests.support.threads import ThreadlessReactor

TABLES = """
[table.homes]
type = "static"
entries = [["joe", "east"]]
[table.all]
type = "chain"
steps = [{ table = "same" }, { table = "homes" }]
[table.same]
type = "identity"
[table.broken]
type = "file"
file = "nowhere"
"""
MAPPING = '[mapping]\nsource = "file"\n[mapping.file]\npath = "routes"\n'


class OpenedTests(ConfigurationCase):
    """What a command works with."""

    def setUp(self) -> None:
        super().setUp()
        self.write("routes", "joe east\n")
        self.told: list[str] = []

    def within(self, name: str, work: Any, tables: str = TABLES) -> Any:
        """What ``work`` returns of an open table."""
        configuration = self.read_sections(mapping=MAPPING, capabilities=tables)

        async def whole() -> Any:
            async with opened_table(
                configuration, name, ThreadlessReactor(), self.told.append
            ) as table:
                return await work(table)

        return Deferred.fromCoroutine(whole())

    def test_table(self) -> None:
        """A table, with what it is made of."""
        asked = self.within("all", lambda table: table.get("joe"))
        self.assertEqual(self.successResultOf(asked), ("east",))

    def test_others(self) -> None:
        """Tables that are not asked for are not even started."""
        started: list[str] = []

        async def start(self: NamedTables) -> None:
            started.extend(self)

        self.patch(NamedTables, "start", start)
        self.successResultOf(self.within("homes", lambda table: table.get("joe")))
        self.assertEqual(started, ["homes"])

    def test_closed(self) -> None:
        """It is closed, whatever happens."""
        closed: list[StringTable] = []

        async def close(self: NamedTables) -> None:
            closed.extend(self.values())

        async def fail(table: StringTable) -> None:
            raise RuntimeError

        self.patch(NamedTables, "close", close)
        self.failureResultOf(self.within("homes", fail), RuntimeError)
        self.assertEqual(len(closed), 1)

    def test_warnings(self) -> None:
        """What is doubtful is told."""

        async def nothing(table: StringTable) -> None:
            pass

        path = self.write("lines", "joe east\nnothing\n")
        text = f'[table.lines]\ntype = "postfix"\nmap = "texthash:{path}"\n'
        self.successResultOf(self.within("lines", nothing, text))
        self.assertEqual(len(self.told), 1)
        self.assertIn("lines:2: a line without a value", self.told[0])

    def test_unknown(self) -> None:
        """What there is instead is told."""
        failed = self.failureResultOf(self.within("home", None), ConfigurationError)
        self.assertIn("[table.home]; what there is: mapping, homes, all", str(failed.value))

    def test_mapping(self) -> None:
        """The mapping is a table, too, and refuses what it refuses."""

        async def work(table: StringTable) -> None:
            self.assertEqual(await table.get("joe"), ("east",))
            self.assertIsNone(await table.get("amy"))
            await table.set("amy", ("east",))
            self.assertEqual(await table.list(), [("joe", ("east",)), ("amy", ("east",))])
            self.assertTrue(await table.delete("joe"))
            for values in ((), ("east", "east"), ("north",)):
                with self.assertRaises(ValueError):
                    await table.set("amy", values)

        self.successResultOf(self.within("mapping", work))

    def test_secrets(self) -> None:
        """A row's password is nobody's to read, its other columns are."""

        class Store:
            async def get(self, key: str) -> Row:
                return Row("east", {"username": "j.smith", "password": "hunter2"})

        table = MappingTable(cast(MappingStore, Store()))
        asked = Deferred.fromCoroutine(table.get("joe"))
        values = self.successResultOf(asked)
        self.assertEqual(values, ("east", "username=j.smith", "password=****"))

    def test_faults(self) -> None:
        """A mapping that cannot be served is not opened."""
        self.write("routes", "joe north\n")
        configuration = self.read_sections(mapping=MAPPING)

        async def whole() -> None:
            async with opened_mapping(configuration, ThreadlessReactor(), self.told.append):
                pass

        self.failureResultOf(Deferred.fromCoroutine(whole()), ConfigurationError)
