"""Files that change whole."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Sequence
from pathlib import Path

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from mailroute.tables.rewriting import rewrite


class RewritingTests(SynchronousTestCase):
    """The file and what is beside it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.path = self.folder / "table"
        self.path.write_text("a\r\nb\u2028c\nd")

    def test_lines(self) -> None:
        """Lines end at a line feed alone, and every octet that is not edited stays."""
        seen: list[str] = []

        def edit(lines: Sequence[str]) -> list[str]:
            seen.extend(lines)
            return [*lines, "\n", "e\n"]

        self.assertTrue(rewrite(str(self.path), edit))
        self.assertEqual(seen, ["a\r\n", "b\u2028c\n", "d"])
        self.assertEqual(self.path.read_bytes().decode(), "a\r\nb\u2028c\nd\ne\n")
        self.assertEqual(os.listdir(self.folder), ["table"])

    def test_new_file(self) -> None:
        """Who has the old file open goes on reading the old content: nothing is overwritten."""
        with self.path.open() as reader:
            rewrite(str(self.path), lambda lines: ["new\n"])
            self.assertIn("b\u2028c", reader.read())
        self.assertEqual(self.path.read_text(), "new\n")

    def test_unchanged(self) -> None:
        """Without a difference the file is not touched."""
        before = self.path.stat()
        self.assertFalse(rewrite(str(self.path), lambda lines: list(lines)))
        self.assertEqual(self.path.stat(), before)

    def test_mode(self) -> None:
        """The new file has the old one's mode."""
        for mode in (0o600, 0o640, 0o664):
            self.path.chmod(mode)
            rewrite(str(self.path), lambda lines: [*lines, "\n"])
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)

    def test_owner(self) -> None:
        """The new file has the old one's owner."""
        if os.geteuid() != 0:
            raise SkipTest("only root gives files away")
        os.chown(self.path, 12, 34)
        rewrite(str(self.path), lambda lines: ["x"])
        self.assertEqual((self.path.stat().st_uid, self.path.stat().st_gid), (12, 34))

    def test_link(self) -> None:
        """A link stays one; its target is what changes."""
        link = self.folder / "link"
        link.symlink_to("table")
        rewrite(str(link), lambda lines: ["x"])
        self.assertTrue(link.is_symlink())
        self.assertEqual(self.path.read_text(), "x")

    def test_failure(self) -> None:
        """If the edit fails, or its result cannot be written, nothing has happened."""
        before = self.path.read_bytes()

        def refuse(lines: Sequence[str]) -> list[str]:
            raise ValueError("no")

        self.assertRaises(ValueError, rewrite, str(self.path), refuse)
        self.assertRaises(UnicodeEncodeError, rewrite, str(self.path), lambda lines: ["\ud800"])
        self.assertEqual(self.path.read_bytes(), before)
        self.assertEqual(os.listdir(self.folder), ["table"])
        self.assertRaises(OSError, rewrite, self.mktemp(), lambda lines: [])

    def test_turns(self) -> None:
        """No change is lost where several writers are at work."""
        self.path.write_text("")

        def write(number: int) -> None:
            for _ in range(10):
                rewrite(str(self.path), lambda lines: [*lines, f"{number}\n"])

        writers = [threading.Thread(target=write, args=(number,)) for number in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        self.assertEqual(len(self.path.read_text().splitlines()), 40)
