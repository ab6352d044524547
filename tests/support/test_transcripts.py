"""Sessions of a document as they are read, and what counts as the same output."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.transcripts import Block, Command, commands, read_blocks

TEXT = """# x
```file words
one
```

text

```console
$ first
one   two
$ second 'x'
```
"""


class TranscriptTests(SynchronousTestCase):
    """A wrong output must not pass."""

    def test_read(self) -> None:
        """Blocks in their order, commands with what they print."""
        path = Path(self.mktemp())
        path.write_text(TEXT)
        file, session = read_blocks(path)
        self.assertEqual(file, Block("file", "words", "one\n"))
        self.assertEqual(
            list(commands(session)), [Command("first", ["one   two"]), Command("second 'x'")]
        )

    def test_strange(self) -> None:
        """What is no session is no example that passes."""
        with self.assertRaises(ValueError):
            list(commands(Block("console", "", "x\n")))

    def test_same(self) -> None:
        """Three dots stand for anything in a line, everything else for itself."""
        command = Command("x", ["a\t1... c", "..."])
        self.assertTrue(command.is_shown_by("a\t1.234 c\nwhatever\n"))
        for other in ("a\t2.2 c\nx\n", "a 1.2 c\nx\n", "a\t1.2 c\n", "a\t1 c\nx\ny\n", ""):
            self.assertFalse(command.is_shown_by(other), other)
        self.assertTrue(Command("x").is_shown_by(""))
        self.assertFalse(Command("x").is_shown_by("x\n"))

    def test_columns(self) -> None:
        """Columns are as wide as what is in them."""
        command = Command("x", ["a  b", "────", "1... 2"])
        self.assertTrue(command.is_shown_by("a       b\n─────────\n1.5     2   \n"))
        self.assertFalse(command.is_shown_by("a       b\n─────────\n1.5     3   \n"))
