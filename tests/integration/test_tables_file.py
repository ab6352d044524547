"""A table's file, read and written in threads beside a real reactor."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from mailroute.tables.colon_file import ColonFileTable


class FileTests(TestCase):
    """The table as the configuration makes it."""

    timeout = 120

    def setUp(self) -> None:
        """A file."""
        self.folder = Path(tempfile.mkdtemp(prefix="mailroute-file-"))
        self.addCleanup(shutil.rmtree, self.folder)
        self.path = self.folder / "table"

    async def serve(self, text: str) -> ColonFileTable:
        """A started table with this text."""
        self.path.write_text(text)
        table = ColonFileTable(str(self.path), reactor, lambda job: deferToThread(job))
        await table.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(table.close()))
        return table

    async def test_changes(self) -> None:
        """Changes that come at the same time are all made, and seen when they are done."""
        table = await self.serve("# head\n")
        names = [f"k{number}" for number in range(40)]
        await gatherResults([Deferred.fromCoroutine(table.set(n, (f"v{n}",))) for n in names])
        self.assertEqual(await table.list(), sorted((n, (f"v{n}",)) for n in names))
        gone = await gatherResults([Deferred.fromCoroutine(table.delete(n)) for n in names])
        self.assertEqual(gone, [True] * 40)
        self.assertEqual(self.path.read_text(), "# head\n")

    async def test_many(self) -> None:
        """A large file is read while others go on: the reactor turns all the while."""
        lines = (f"user{number}@example.org: east{number % 9}\n" for number in range(200_000))
        table = await self.serve("a: b\n")
        self.path.write_text("".join(lines))
        reloaded = Deferred.fromCoroutine(table.reload())
        turns = 0
        while not reloaded.called:
            # Until the new content is there as a whole, the old one is.
            self.assertEqual(await table.get("a"), ("b",))
            await deferLater(reactor, 0, lambda: None)
            turns += 1
        await reloaded
        self.assertEqual(await table.get("user0@example.org"), ("east0",))
        self.assertIsNone(await table.get("a"))
        self.assertGreater(turns, 10)
