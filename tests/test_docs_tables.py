"""Every example of ``docs/tables.md`` is true."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from contextlib import closing

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from mailroute.config.reader import read
from mailroute.config.tables import SECTIONS
from mailroute.destination_composition import make_destinations
from mailroute.table_composition import make_tables
from tests.config.reading import configuration
from tests.support.documented import DOCUMENT, Example, answer_of, examples

ELSEWHERE = frozenset({"redis"})
"""What needs a server is tested in tests.integration."""


class ExampleTests(TestCase):
    """The examples that need no server."""

    timeout = 60

    def setUp(self) -> None:
        """A folder for files."""
        self.folder = tempfile.mkdtemp(prefix="mailroute-docs-")
        self.addCleanup(shutil.rmtree, self.folder)
        for name in ("chain.pem", "key.pem"):
            self.write(name, "")

    def write(self, name: str, text: str) -> str:
        """Write a file."""
        path = os.path.join(self.folder, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        return path

    async def try_out(self, example: Example) -> None:
        """Configure the tables of an example and look up what it says."""
        for name, text in example.files.items():
            self.write(name, text)
        for name, script in example.databases.items():
            with closing(sqlite3.connect(os.path.join(self.folder, name))) as database:
                database.executescript(script)
        path = self.write("mailroute.toml", configuration(capabilities=example.configuration))
        tables = make_tables(read(path, environment={}), reactor)
        self.assertEqual(tables.check(), [])
        await tables.start()
        try:
            for lookup in example.lookups:
                found = await answer_of(tables[lookup.table], lookup.key)
                self.assertEqual(found, lookup.answer, f"{example.heading}: {lookup}")
        finally:
            await tables.close()

    def test_examples(self) -> Deferred[None]:
        """Each answer is the one that the document gives."""

        async def test() -> None:
            tried = 0
            for example in examples():
                if example.lookups and example.heading not in ELSEWHERE:
                    await self.try_out(example)
                    tried += 1
            self.assertGreater(tried, 5)

        return Deferred.fromCoroutine(test())

    def test_places(self) -> None:
        """A value leads where the document says."""
        (example,) = [example for example in examples() if example.places]
        text = configuration(routing="", destination="", capabilities=example.configuration)
        path = self.write("mailroute.toml", text)
        destinations = make_destinations(read(path, environment={}))
        for value, place in example.places:
            found = destinations.get(value)
            told = "(undeclared)"
            if found is not None:
                backend = found.endpoints["imap"]
                told = f"{' '.join(backend.hosts)} {backend.port}"
            self.assertEqual(told, place, value)

    def test_every_type(self) -> None:
        """Every type of table has an example."""
        documented = {example.heading for example in examples()}
        self.assertEqual(set(SECTIONS) - documented, set())

    def test_every_key(self) -> None:
        """Every key of every type is named in its section."""
        sections = DOCUMENT.read_text(encoding="utf-8").split("\n## ")
        texts = {section.partition("\n")[0]: section for section in sections}
        for kind, section in SECTIONS.items():
            for key in section.keys:
                self.assertIn(key.name, texts[kind], f"{kind}.{key.name}")
