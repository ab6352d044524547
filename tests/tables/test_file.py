"""Lookups in a text file."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import aside_of
from mailroute.tables.contract import Key, Row
from mailroute.tables.file import FileTable
from tests.support.threads import HeldThreads, ThreadlessReactor
from tests.tables.asking import at_once
from tests.tables.contract_tests import ALICE, BOB, TableContract

DESTINATIONS = frozenset({"east", "west"})


class FileContractTests(TableContract, SynchronousTestCase):
    """A file keeps the contract; it holds everything in memory and cannot be slow."""

    answers_when_broken = True
    table: FileTable

    def setUp(self) -> None:
        """A place for the file."""
        self.path = Path(self.mktemp())

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Nothing waits."""
        self.successResultOf(Deferred.fromCoroutine(coroutine))

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write the file and have it read."""
        text = "".join(f"{identifier} {destination}\n" for identifier, destination in rows.items())
        self.path.write_text(text, encoding="utf-8")
        if hasattr(self, "table"):
            await self.table.reload()
        else:
            self.table = FileTable(str(self.path), DESTINATIONS, at_once)

    async def provide_odd(self, identifiers: tuple[str, ...]) -> None:
        """An identifier in the file has no blanks."""
        await self.provide({name: "west" for name in identifiers if not set(name) & set(" \n")})
        for name in identifiers:
            self.table._places.put(name, "west")

    async def damage(self) -> None:
        """The file is gone when it is to be read again."""
        self.path.rename(f"{self.path}.away")
        reloaded = Deferred.fromCoroutine(self.table.reload())
        self.failureResultOf(reloaded, ConfigurationError)

    async def mend(self) -> None:
        """It is back."""
        Path(f"{self.path}.away").rename(self.path)
        await self.table.reload()

    def test_slow(self) -> None:
        """An answer is there at once."""
        self.finish(self.provide({ALICE: "east"}))
        found = Deferred.fromCoroutine(self.table.lookup(Key(ALICE)))
        self.assertEqual(self.successResultOf(found), Row("east"))


class FileTableTests(SynchronousTestCase):
    """What stands in the file."""

    def load(self, text: str | bytes) -> FileTable:
        """A table with this file."""
        self.path = Path(self.mktemp())
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return FileTable(str(self.path), DESTINATIONS, at_once)

    def destination(self, table: FileTable, identifier: str, delimiter: str = "") -> str | None:
        """Where an identifier leads."""
        key = Key(identifier, extension_delimiter=delimiter)
        row = self.successResultOf(Deferred.fromCoroutine(table.lookup(key)))
        return None if row is None else row.destination

    def test_lines(self) -> None:
        """Blanks of any kind, comments, further words, and the last of several lines."""
        table = self.load(
            f"\ufeff# {BOB} east\n\n  \t\n  #x west\n{ALICE}\t \teast more # words\r\n"
            "joe west\njoe east\njoe west\n#\nå#b  east"
        )
        self.assertEqual(len(table), 3)
        self.assertEqual(self.destination(table, ALICE), "east")
        self.assertEqual(self.destination(table, "joe"), "west")
        self.assertEqual(self.destination(table, "å#b"), "east")
        for absent in (BOB, "#", "#x", "", "JOE", "east"):
            self.assertIsNone(self.destination(table, absent))

    def test_extension(self) -> None:
        """The key is the identifier without its extension."""
        table = self.load(f"{ALICE} east\n")
        odd = ALICE.replace("@", "+lists@")
        self.assertEqual(self.destination(table, odd, "+"), "east")
        self.assertIsNone(self.destination(table, odd))

    def test_faults(self) -> None:
        """Every complaint at once, with file and line."""
        error = self.assertRaises(ConfigurationError, self.load, "a east\nb\n\nc north\nd West\n")
        self.assertEqual(
            error.complaints,
            [
                f"{self.path}:2: 'b' has no destination",
                f"{self.path}:4: there is no destination 'north'",
                f"{self.path}:5: there is no destination 'West'",
            ],
        )

    def test_unreadable(self) -> None:
        """A missing file, or one that is not UTF-8, is a complaint at the start."""
        self.assertRaises(ConfigurationError, FileTable, self.mktemp(), DESTINATIONS, at_once)
        error = self.assertRaises(ConfigurationError, self.load, b"a east\n\xff west\n")
        self.assertIn(str(self.path), str(error))
        self.assertRaises(ConfigurationError, FileTable, "/", DESTINATIONS, at_once)

    def test_all_or_nothing(self) -> None:
        """One bad line, and the old content stays whole."""
        table = self.load("a east\nb west\n")
        self.path.write_text("a west\nb north\n")
        self.failureResultOf(Deferred.fromCoroutine(table.reload()), ConfigurationError)
        self.assertEqual(self.destination(table, "a"), "east")
        self.path.write_text("a west\n")
        self.successResultOf(Deferred.fromCoroutine(table.reload()))
        self.assertEqual(self.destination(table, "a"), "west")
        self.assertIsNone(self.destination(table, "b"))

    def test_in_a_thread(self) -> None:
        """It is read beside the reactor, one reload after the other; the old content ends so."""
        table = self.load("a east\n")
        threads = HeldThreads()
        reactor = ThreadlessReactor()
        self.patch(reactor, "getThreadPool", lambda: threads)
        self.patch(table, "_aside", aside_of(reactor))
        old = table._places
        self.path.write_text("a west\n")
        reloads = [Deferred.fromCoroutine(table.reload()) for _ in range(2)]
        self.assertEqual((len(threads.jobs), self.destination(table, "a")), (1, "east"))
        threads.jobs.pop()()
        self.successResultOf(reloads[0])
        self.assertEqual((self.destination(table, "a"), len(old)), ("west", 1))
        threads.begin()
        self.successResultOf(reloads[1])
        self.assertEqual((self.destination(table, "a"), len(old)), ("west", 0))

    def test_life(self) -> None:
        """It is started and closed as every table is."""
        table = self.load("a east\n")
        self.successResultOf(Deferred.fromCoroutine(table.start()))
        self.successResultOf(Deferred.fromCoroutine(table.close()))
