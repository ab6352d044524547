"""The mapping that can be changed, from the configuration."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from mailroute.mapping_composition import make_mapping_store
from mailroute.tables.contract import Row
from mailroute.tables.mapping_store import MappingStore
from mailroute.tables.string_table import ReadOnly
from tests.config.reading import SECTIONS, ConfigurationCase
from tests.support.threads import ThreadlessReactor

LINES = '[table.lines]\ntype = "static"\nentries = [["joe", "east"]]\n'
PATTERN = (
    '[destination."shard-*"]\nhost = "{1}.example.org"\n'
    '[destination."shard-*".protocol.imap]\nport = 993\ntls = "implicit"\n'
)


class MappingCompositionTests(ConfigurationCase):
    """Each source."""

    def store(self, mapping: str, **sections: str) -> MappingStore:
        """The mapping of a configuration."""
        configuration = self.read_sections(mapping=mapping, **sections)
        return make_mapping_store(configuration, ThreadlessReactor())

    def done(self, coroutine: Any) -> Any:
        """Its result."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def refused(self, coroutine: Any, kind: type[Exception]) -> str:
        """It raises this."""
        return str(self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value)

    def test_file(self) -> None:
        """A mapping file is changed under the key that a login would ask for."""
        self.write("routes", "joe east\n")
        store = self.store(
            '[mapping]\nsource = "file"\nnormalize = "lowercase"\n'
            '[mapping.file]\npath = "routes"\n',
            destination=SECTIONS["destination"] + PATTERN,
        )
        self.done(store.set("AMY", "shard-7"))
        self.assertEqual(self.done(store.get("Amy")), Row("shard-7"))
        self.assertEqual(self.done(store.list()), [("joe", "east"), ("amy", "shard-7")])
        self.assertIn("'north'", self.refused(store.set("amy", "north"), ValueError))
        self.assertIn("control", self.refused(store.get("a\0"), ValueError))
        self.assertEqual(store.check(), [])

    def test_table(self) -> None:
        """A table that is the mapping is what changes, if it can."""
        store = self.store(
            '[mapping]\nsource = "table"\n[mapping.table]\nname = "lines"\n', capabilities=LINES
        )
        self.assertEqual(self.done(store.get("joe")), Row("east"))
        self.assertIn("read-only", self.refused(store.set("joe", "east"), ReadOnly))
        self.done(store.start())
        self.done(store.close())

    def test_sql(self) -> None:
        """A database is checked with all its statements."""
        text = SECTIONS["mapping"] + 'upsert_query = "INSERT INTO routes VALUES ($1, $2)"\n'
        store = self.store(text)
        self.assertEqual(len(store.check()), 2)
        self.assertIn("delete_query", self.refused(store.delete("joe"), ReadOnly))

    def test_redis(self) -> None:
        """A Redis server is asked and changed by one table."""
        store = self.store('[mapping]\nsource = "redis"\n[mapping.redis]\nurl = "redis://h"\n')
        self.assertIn("'north'", self.refused(store.set("joe", "north"), ValueError))
        self.done(store.start())
        self.done(store.close())
