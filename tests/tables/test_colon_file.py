"""Files that are read again when they change."""

from __future__ import annotations

import os
from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any, ClassVar, cast

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables import colon_file
from mailroute.tables.colon_file import LOOK_SECONDS, ColonFileTable
from mailroute.tables.colon_lines import Content, load
from mailroute.tables.contract import Key, Row
from mailroute.tables.string_table import Changes, TableSource
from tests.tables.asking import AskingCase, at_once
from tests.tables.contract_tests import ALICE, TableContract


class FileContractTests(TableContract, SynchronousTestCase):
    """A file keeps the contract; it holds everything in memory and cannot be slow."""

    answers_when_broken = True

    def setUp(self) -> None:
        """A place for the file."""
        self.path = Path(self.mktemp())
        self.file = ColonFileTable(str(self.path), Clock(), at_once)
        self.table = TableSource(self.file)

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Nothing waits."""
        self.successResultOf(Deferred.fromCoroutine(coroutine))

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Write the file and have it read."""
        self.path.write_text("".join(f"{key}: {value}\n" for key, value in rows.items()))
        await self.file.reload()

    async def provide_odd(self, identifiers: tuple[str, ...]) -> None:
        """A key in the file has no colon and no white space round it."""
        await self.provide(
            {name: "west" for name in identifiers if ":" not in name and name == name.strip()}
        )
        assert self.file._content is not None
        for name in identifiers:
            if self.file._content.get(name) is None:
                self.file._content.add(name, "west")

    async def damage(self) -> None:
        """The file is gone when it is to be read again."""
        self.path.rename(f"{self.path}.away")
        await self.file.reload()
        self.flushLoggedErrors()

    async def mend(self) -> None:
        """It is back."""
        Path(f"{self.path}.away").rename(self.path)
        await self.file.reload()

    def test_slow(self) -> None:
        """An answer is there at once."""
        self.finish(self.provide({ALICE: "east"}))
        found = Deferred.fromCoroutine(self.table.lookup(Key(ALICE)))
        self.assertEqual(self.successResultOf(found), Row("east"))


class ColonFileCase(AskingCase):
    """A file, the time and a table."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.clock = Clock()
        self.written = 0

    def write(self, text: str | bytes) -> None:
        """Write the file; each time it looks younger."""
        self.path.write_bytes(text if isinstance(text, bytes) else text.encode())
        self.written += 10**9
        os.utime(self.path, ns=(self.written, self.written))

    def serve(self, text: str | None = None) -> ColonFileTable:
        """A started table."""
        if text is not None:
            self.write(text)
        table = ColonFileTable(str(self.path), self.clock, at_once)
        self.done(table.start())
        self.addCleanup(lambda: self.done(table.close()))
        return table

    def pass_by(self, seconds: float) -> None:
        """Let time pass, second by second."""
        for _ in range(int(seconds)):
            self.clock.advance(1)


class ReloadTests(ColonFileCase):
    """A file that changes."""

    def test_within_15_seconds(self) -> None:
        """A change is seen within 15 seconds, wherever between two looks it comes."""
        for moment in range(int(LOOK_SECONDS) + 1):
            table = self.serve("a: 1\n")
            self.pass_by(moment)
            self.write("a: 2\nb: 3\n")
            self.pass_by(15)
            self.answers(table, {"a": ("2",), "b": ("3",)})

    def test_watched(self) -> None:
        """Whoever remembers answers is told when there is other content, and only then."""
        told: list[bool] = []
        table = self.serve("a: 1\n")
        table.watch(lambda: told.append(True))
        self.pass_by(60)
        self.assertEqual(told, [])
        self.write(": no key\n")
        self.pass_by(15)
        self.assertEqual(told, [])
        self.write("a: 2\n")
        self.pass_by(60)
        self.assertEqual(told, [True])

    def test_quiet(self) -> None:
        """A file that is still being written is left alone until it rests."""
        table = self.serve("a: 1\n")
        for number in range(12):
            self.write(f"a: {number}\n")
            self.pass_by(2)
            self.answers(table, {"a": ("1",)})
        self.pass_by(15)
        self.answers(table, {"a": ("11",)})

    def test_replaced(self) -> None:
        """A file that is replaced by one of the same size and time is another one."""
        table = self.serve("a: 1\n")
        status = self.path.stat()
        new = Path(self.mktemp())
        new.write_text("a: 2\n")
        os.utime(new, ns=(status.st_mtime_ns, status.st_mtime_ns))
        new.replace(self.path)
        self.pass_by(15)
        self.answers(table, {"a": ("2",)})

    def test_syntax_error(self) -> None:
        """A fault keeps the old content whole, and is logged once with file and line."""
        table = self.serve("a: 1\nb: 2\n")
        logged = self.logged()
        self.write("a: 3\n: 4\n")
        self.pass_by(60)
        self.answers(table, {"a": ("1",), "b": ("2",)})
        self.assertEqual(
            logged,
            [f"{self.path}:2: there is no key before the colon; the old content stays"],
        )
        self.write("a: 5\n")
        self.pass_by(15)
        self.answers(table, {"a": ("5",), "b": None})

    def test_removed(self) -> None:
        """A file that is gone keeps the old content: it does not make every key absent."""
        table = self.serve("a: 1\n")
        logged = self.logged()
        self.path.rename(f"{self.path}.away")
        self.pass_by(60)
        self.answers(table, {"a": ("1",)})
        self.assertEqual(len(logged), 1, logged)
        self.assertIn(f"{self.path} cannot be read", logged[0])
        # Whoever has it read is told once more: silence would pass for success.
        self.done(table.reload())
        self.assertEqual(logged, logged[:1] * 2)
        self.write("a: 2\n")
        self.pass_by(15)
        self.answers(table, {"a": ("2",)})

    def test_at_once(self) -> None:
        """When it is told to, it reads at once."""
        table = self.serve("a: 1\n")
        self.write("a: 2\n")
        self.done(table.reload())
        self.answers(table, {"a": ("2",)})

    def test_release(self) -> None:
        """What does not count any more, or never does, is given back step by step."""
        table = self.serve("a: 1\n")
        old = table._content
        assert old is not None
        listed = old.entries()
        self.write("a: 2\n")
        self.pass_by(15)
        self.assertEqual(len(old), 0)
        self.assertEqual(list(listed), [("a", ("1",))])
        contents: list[Content] = []

        def read_while_it_is_written(path: str) -> Content:
            contents.append(load(path))
            self.write("a: 4\n")
            return contents[-1]

        self.patch(colon_file, "load", read_while_it_is_written)
        self.write("a: 3\n")
        self.pass_by(10)
        self.assertEqual([len(content) for content in contents], [0])
        self.answers(table, {"a": ("2",)})

    def test_read_once(self) -> None:
        """A file that does not change is not read again, a broken one neither."""
        reads: list[str] = []

        def count(path: str) -> Content:
            reads.append(path)
            return load(path)

        self.patch(colon_file, "load", count)
        self.serve("a: 1\n")
        self.pass_by(60)
        self.assertEqual(len(reads), 1)
        self.write(": 1\n")
        self.pass_by(60)
        self.assertEqual(len(reads), 2)

    def logged(self) -> list[str]:
        """The errors that are logged from now on."""
        errors: list[str] = []

        def observe(event: Any) -> None:
            if event["log_level"] is LogLevel.error:
                errors.append(formatEvent(event))

        observer = cast(ILogObserver, observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        return errors


class StartTests(ColonFileCase):
    """Before there is a good file."""

    def test_missing(self) -> None:
        """A missing file is a failed lookup, never absence; it may come later."""
        table = self.serve()
        self.assertIn(f"{self.path} cannot be read: No such file", self.fails(table, "a"))
        self.write("a: 1\n")
        self.pass_by(15)
        self.answers(table, {"a": ("1",), "b": None})

    def test_missing_at_the_check(self) -> None:
        """The check warns of a missing file."""
        warnings = ColonFileTable(str(self.path), self.clock, at_once).check()
        self.assertEqual(len(warnings), 1)
        self.assertIn(f"{self.path} cannot be read", warnings[0])

    def test_unreadable(self) -> None:
        """What is no file is unreadable, and so a failure."""
        self.path.mkdir()
        self.assertIn("Is a directory", self.fails(self.serve(), "a"))

    def test_syntax_error(self) -> None:
        """A fault is a complaint of the check, with file and line; lookups fail."""
        self.write("a: b\n: c\n")
        table = ColonFileTable(str(self.path), self.clock, at_once)
        error = self.assertRaises(ConfigurationError, table.check)
        self.assertEqual(error.complaints, [f"{self.path}:2: there is no key before the colon"])
        self.assertIn(f"{self.path}:2", self.fails(table, "a"))

    def test_checked(self) -> None:
        """What the check has read is served from the first moment."""
        self.write("a: 1\n")
        table = ColonFileTable(str(self.path), self.clock, at_once)
        self.assertIn("not been read", self.fails(table, "a"))
        self.assertEqual(table.check(), [])
        self.answers(table, {"a": ("1",)})

    def test_close(self) -> None:
        """A closed table looks no more."""
        table = self.serve("a: 1\n")
        self.done(table.close())
        self.assertEqual(self.clock.getDelayedCalls(), [])


class ChangeTests(ColonFileCase):
    """A file that we change."""

    TEXT: ClassVar = "# Aliases\n\na: 1\nb: 2\n a :3, 4\n# End"

    def test_set(self) -> None:
        """A key's lines become one, in the place of the first; all else stays as it was."""
        table = self.serve(self.TEXT)
        self.done(table.set("a", ("5", "6")))
        self.assertEqual(self.path.read_text(), "# Aliases\n\na: 5, 6\nb: 2\n# End")
        self.answers(table, {"a": ("5", "6"), "b": ("2",)})

    def test_add(self) -> None:
        """A new key gets a line of its own at the end."""
        table = self.serve(self.TEXT)
        self.done(table.set("c", ("5",)))
        self.assertEqual(self.path.read_text(), f"{self.TEXT}\nc: 5\n")
        self.answers(table, {"c": ("5",), "a": ("1", "3", "4")})

    def test_first_entry(self) -> None:
        """An empty file gets its first line."""
        table = self.serve("")
        self.done(table.set("c", ("5",)))
        self.assertEqual(self.path.read_text(), "c: 5\n")

    def test_bulk(self) -> None:
        """Many entries are one new file."""
        table = self.serve(self.TEXT)
        before = self.path.stat().st_ino
        self.done(table.write(Changes([("c", ("5",)), ("d", ("6",))], [("a", ("7",))])))
        self.assertEqual(self.path.read_text(), "# Aliases\n\na: 7\nb: 2\n# End\nc: 5\nd: 6\n")
        self.answers(table, {"a": ("7",), "d": ("6",)})
        self.assertNotEqual(self.path.stat().st_ino, before)
        for entry in (("x", ("1,2",)), ("a:b", ("1",))):
            self.assertRaises(ValueError, table.admit, *entry)
            refused = Deferred.fromCoroutine(table.write(Changes([("e", ("1",)), entry])))
            self.failureResultOf(refused, ValueError)
        self.assertIsNone(self.ask(table, "e"))

    def test_delete(self) -> None:
        """All lines of a key go; it is told whether there were any."""
        table = self.serve(self.TEXT)
        self.assertTrue(self.done(table.delete("a")))
        self.assertEqual(self.path.read_text(), "# Aliases\n\nb: 2\n# End")
        self.assertIsNone(self.ask(table, "a"))
        self.assertFalse(self.done(table.delete("a")))
        self.assertFalse(self.done(table.delete("# End")))

    def test_list(self) -> None:
        """All entries, by their keys."""
        entries = self.done(self.serve(self.TEXT).list())
        self.assertEqual(entries, [("a", ("1", "3", "4")), ("b", ("2",))])

    def test_unwritable(self) -> None:
        """An entry that the file cannot hold is refused, the file untouched."""
        table = self.serve(self.TEXT)
        for key, value in (("a:b", "1"), ("a", "1\nb: 2"), ("#a", "1"), ("a", "1,2")):
            refused = Deferred.fromCoroutine(table.set(key, (value,)))
            self.failureResultOf(refused, ValueError)
        self.assertEqual(self.path.read_text(), self.TEXT)

    def test_missing(self) -> None:
        """A missing file is not made anew: that would take every other key away."""
        table = self.serve(self.TEXT)
        self.path.unlink()
        self.failureResultOf(Deferred.fromCoroutine(table.set("a", ("1",))), LookupFailed)
        self.failureResultOf(Deferred.fromCoroutine(table.delete("a")), LookupFailed)
        self.assertFalse(self.path.exists())

    def test_faulty(self) -> None:
        """A change to a file with a fault is told to have no effect yet."""
        table = self.serve("a: 1\n")
        self.write("a: 1\n: 2\n")
        failed = self.failureResultOf(Deferred.fromCoroutine(table.set("b", ("3",))), LookupFailed)
        self.assertIn(":2: there is no key", failed.value.reason)
        self.answers(table, {"a": ("1",), "b": None})
