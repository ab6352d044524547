"""Sessions of a document as they are read, and what counts as the same output."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support.transcripts import Command, read_blocks

TEXT = """# x
```toml
a = 1
```

```file words
one
```

```console
$ first
one   two
(exit status 3)
$ second 'x'
```
"""


class TranscriptTests(SynchronousTestCase):
    """A wrong output must not pass."""

    def read(self, text: str) -> list[Command]:
        """The commands of a document."""
        path = Path(self.mktemp())
        path.write_text(text)
        return read_blocks(path).commands

    def test_read(self) -> None:
        """Commands, what they print, their statuses."""
        first, second = self.read(TEXT)
        self.assertEqual((first.line, first.printed, first.status), ("first", ["one   two"], 3))
        self.assertEqual((second.line, second.printed, second.status), ("second 'x'", [], 0))

    def test_strange(self) -> None:
        """What cannot be read is no example that passes."""
        for text in ("```perl\nx\n```\n", "```console\nx\n```\n"):
            with self.assertRaises(ValueError):
                self.read(text)

    def test_same(self) -> None:
        """Gaps between columns do not count, three dots stand for anything in a line."""
        command = Command("x", ["a   1... c", "───", "..."])
        self.assertTrue(command.is_shown_by("a 1.234 c   \n──────\nwhatever\n"))
        for other in ("a 2.2 c\n─\nx\n", "a 1.2 c\n─\n", "a 1.2 c\n─\nx\ny\n", ""):
            self.assertFalse(command.is_shown_by(other), other)
