"""pipemap and unionmap."""

from __future__ import annotations

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.combined import combined
from mailroute.tables.string_table import StringTable
from tests.tables.postfix.maps import AwaitingCase, SmallMap


class CombinedTests(AwaitingCase):
    """Two tables in one."""

    def setUp(self) -> None:
        """Two tables, opened in turn."""
        self.first = SmallMap({"a": "b", "x": "only", "": "empty"})
        self.second = SmallMap({"a": "2", "b": "c", "only": None, "y": None, "e": ""})
        self.opened: list[str] = []

    def table(self, kind: str, text: str = "{t:1, t:2}") -> StringTable:
        """The two combined."""
        waiting = [self.first, self.second]

        def open_map(name: str) -> StringTable:
            self.opened.append(name)
            return waiting.pop(0)

        return combined(kind, text, open_map, str.casefold)

    def test_pipe(self) -> None:
        """Each answer is the next key; absent anywhere is absent, a failure fails."""
        table = self.table("pipemap")
        self.assertEqual(self.result(table.get("A")), ("c",))
        self.assertIsNone(self.result(table.get("c")))
        self.failure(table.get("x"))
        self.assertEqual(self.opened, ["t:1", "t:2"])

    def test_union(self) -> None:
        """All answers, joined; one failure fails, whatever the other knows."""
        table = self.table("unionmap")
        self.assertEqual(self.result(table.get("A")), ("b,2",))
        self.assertEqual(self.result(table.get("b")), ("c",))
        self.assertIsNone(self.result(table.get("q")))
        self.assertIsNone(self.result(table.get("e")))
        self.failure(table.get("y"))

    def test_folding(self) -> None:
        """The key keeps its case where the first table has expressions."""
        self.result(self.table("pipemap", "{regexp:/x t:2}").get("A"))
        self.assertEqual(self.first.asked, ["A"])

    def test_faults(self) -> None:
        """What Postfix cannot read either."""
        for text in ("", "t:1", "{}", "{ }", "{t:1", "{t1}"):
            self.assertRaises(ConfigurationError, self.table, "unionmap", text)

    def test_life(self) -> None:
        """Both tables are checked, reloaded, started and closed."""
        table = self.table("unionmap")
        self.assertEqual(len(table.check()), 2)
        self.result(table.start())
        self.result(table.reload())
        self.result(table.close())
        self.assertEqual(self.second.life, ["started", "reloaded", "closed"])
        self.assertEqual(self.first.life, self.second.life)

    def test_watch(self) -> None:
        """Whichever table changes, the answers may be others."""
        told: list[bool] = []
        self.table("pipemap").watch(lambda: told.append(True))
        self.assertEqual(len(told), 2)
