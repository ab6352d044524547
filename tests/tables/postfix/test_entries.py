"""texthash, inline and static."""

from __future__ import annotations

import os

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.entries import StaticMap, TextHash, inline
from mailroute.tables.string_table import StringTable
from tests.tables.asking import at_once
from tests.tables.postfix.maps import AwaitingCase


class EntriesTests(AwaitingCase):
    """What is found in them."""

    def get(self, table: StringTable, key: str) -> str | None:
        """The value of a key."""
        found = self.result(table.get(key))
        return None if found is None else found[0]

    def test_texthash(self) -> None:
        """A key, white space, a value; comments and continuations as everywhere."""
        path = self.written("# c\nA@x.org  b  c \n\nd\te\n  f\n")
        table = TextHash(path, str.casefold, at_once)
        self.assertEqual(self.get(table, "a@X.org"), "b  c")
        self.assertEqual(self.get(table, "d"), "e  f")
        self.assertIsNone(self.get(table, "A@x"))
        self.assertEqual(self.result(table.list()), [("a@x.org", ("b  c",)), ("d", ("e  f",))])
        self.assertEqual(table.check(), [])

    def test_unfolded(self) -> None:
        """Without folding the key's case counts."""
        table = TextHash(self.written("A b\n"), str, at_once)
        self.assertEqual(self.get(table, "A"), "b")
        self.assertIsNone(self.get(table, "a"))

    def test_quotes(self) -> None:
        """White space in quotes or behind a backslash belongs to the key, as do the quotes."""
        table = TextHash(self.written('"a b"@x c\nd\\ e f\n'), str.casefold, at_once)
        self.assertEqual(self.get(table, '"a b"@x'), "c")
        self.assertEqual(self.get(table, "d\\ e"), "f")

    def test_skipped(self) -> None:
        """What Postfix skips is skipped, with a warning that names the line."""
        path = self.written('a\nb 1\n"c 2\nB 3\nd: 4\n\udcff 5\n')
        table = TextHash(path, str.casefold, at_once)
        self.assertEqual(self.get(table, "b"), "1")
        self.assertEqual(self.get(table, "d:"), "4")
        lines = [warning.removeprefix(f"{path}:")[0] for warning in table.check()]
        self.assertEqual(lines, ["1", "3", "4", "5", "6"])

    def test_reload(self) -> None:
        """New content is read; while the file cannot be read the old content stays."""
        path = self.written("a 1\n")
        table = TextHash(path, str.casefold, at_once)
        former = table._entries
        with open(path, "w") as file:
            file.write("a 2\n")
        self.result(table.reload())
        self.assertEqual(self.get(table, "a"), "2")
        self.assertEqual(former, {})
        os.rename(path, f"{path}.away")
        self.result(table.reload())
        self.assertEqual(self.get(table, "a"), "2")
        self.assertRaises(ConfigurationError, TextHash, path, str, at_once)

    def test_inline(self) -> None:
        """Pairs; in braces with blanks; the last of a name counts."""
        table = inline("{A=1, {b = two words, and more} a=3 c=}", str.casefold)
        self.assertEqual(self.get(table, "a"), "3")
        self.assertEqual(self.get(table, "B"), "two words, and more")
        self.assertEqual(self.get(table, "c"), "")
        self.assertIsNone(self.get(table, "d"))

    def test_inline_faults(self) -> None:
        """What Postfix cannot read either."""
        for text in ("", "a=1", "{}", "{ }", "{a}", "{a = b}", "{=b", "{{a=b}", '{"a=b}'):
            self.assertRaises(ConfigurationError, inline, text, str.casefold)

    def test_static(self) -> None:
        """The same for every key, in braces with blanks."""
        for text, expected in (("a b", "a b"), ("{ a b }", "a b"), ("{}", "")):
            table = StaticMap(text)
            self.assertEqual(self.get(table, "x"), expected)
            self.assertEqual(self.get(table, ""), expected)
        self.assertIsNone(self.get(StaticMap("x"), "\ud800"))
        self.assertRaises(ConfigurationError, StaticMap, "{a")
