"""The mapping's file, changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Key
from mailroute.tables.file import FileTable
from mailroute.tables.mapping_file import FileMappingEntries
from mailroute.tables.string_table import Changes
from tests.tables.asking import AskingCase, at_once

TEXT = "# accounts\njoe east\n\namy west # moved\njoe\twest extra\n# end"


class FileEntriesTests(AskingCase):
    """Lines of an identifier and a destination."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.path.write_text(TEXT)
        self.table = FileTable(str(self.path), frozenset({"east", "west"}), at_once)
        self.entries = FileMappingEntries(str(self.path), self.table.reload)

    def where(self, identifier: str) -> str | None:
        """Where an account lives, for a login."""
        row = self.done(self.table.lookup(Key(identifier)))
        return None if row is None else row.destination

    def refused(self, coroutine: Any, kind: type[Exception]) -> str:
        """It raises this, and the file stays as it is."""
        before = self.path.read_text()
        text = str(self.failureResultOf(Deferred.fromCoroutine(coroutine), kind).value)
        self.assertEqual(self.path.read_text(), before)
        return text

    def test_set(self) -> None:
        """The line that counts is replaced, older ones go, comments and others stay."""
        self.done(self.entries.set("joe", ("east",)))
        text = "# accounts\n\namy west # moved\njoe\teast\n# end"
        self.assertEqual(self.path.read_text(), text)
        self.assertEqual((self.where("joe"), self.where("amy")), ("east", "west"))

    def test_add(self) -> None:
        """A new account comes last."""
        self.done(self.entries.set("bob", ("west",)))
        self.assertEqual(self.path.read_text(), f"{TEXT}\nbob\twest\n")
        self.assertEqual(self.where("bob"), "west")

    def test_bulk(self) -> None:
        """Many entries are one new file; one that a line cannot hold leaves the old."""
        good = [("amy", ("east",)), ("joe", ("east",))]
        self.done(self.entries.write(Changes([("bob", ("west",)), ("eve", ("east",))], good)))
        text = "# accounts\n\namy\teast\njoe\teast\n# end\nbob\twest\neve\teast\n"
        self.assertEqual(self.path.read_text(), text)
        self.assertEqual((self.where("joe"), self.where("eve")), ("east", "east"))
        self.refused(
            self.entries.write(Changes([("al", ("east",)), ("a b", ("east",))])), ValueError
        )

    def test_comments(self) -> None:
        """What looks like an entry in a comment is none."""
        self.path.write_text("# joe\n#x east\n\n")
        for key in ("#", "#x", ""):
            self.assertFalse(self.done(self.entries.delete(key)))

    def test_delete(self) -> None:
        """All lines of the account go."""
        self.assertTrue(self.done(self.entries.delete("joe")))
        self.assertFalse(self.done(self.entries.delete("joe")))
        self.assertEqual(self.path.read_text(), "# accounts\n\namy west # moved\n# end")
        self.assertIsNone(self.where("joe"))

    def test_list(self) -> None:
        """What counts, in the order of the file."""
        entries = self.done(self.entries.list())
        self.assertEqual(entries, [("joe", ("west",)), ("amy", ("west",))])

    def test_unwritable(self) -> None:
        """What a line cannot hold is refused."""
        for name in ("", "a b", " a", "a\nb", "a\u2003b", "#a"):
            self.refused(self.entries.set(name, ("east",)), ValueError)
        for values in ((), ("east", "west"), ("",), ("east x",)):
            self.refused(self.entries.set("a", values), ValueError)

    def test_failure(self) -> None:
        """A file that is away is a failure, and one with faults is told of."""
        self.path.write_text(f"{TEXT}\nbob north\n")
        failed = Deferred.fromCoroutine(self.entries.set("joe", ("east",)))
        self.assertIn("north", self.failureResultOf(failed, LookupFailed).value.reason)
        self.path.unlink()
        for attempt in (
            self.entries.set("joe", ("east",)),
            self.entries.delete("joe"),
            self.entries.list(),
        ):
            self.failureResultOf(Deferred.fromCoroutine(attempt), LookupFailed)
