"""What postmap would print, and its exit status."""

from __future__ import annotations

import json

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.query import Maps, Streams, query, query_lines, sequence
from mailroute.tables.string_table import Entry, StringTable
from tests.tables.postfix.maps import AwaitingCase, SmallMap


class Listed(SmallMap):
    """A table that can be listed."""

    async def list(self) -> list[Entry]:
        """Its entries."""
        return [(key, (value or "",)) for key, value in self.entries.items()]


class QueryTests(AwaitingCase):
    """Two tables: ``one`` and ``two``; ``bad`` cannot be opened."""

    def setUp(self) -> None:
        """The tables, and what is printed."""
        self.tables = {
            "one": SmallMap({"a": "1", "broken": None}),
            "two": Listed({"b": "2", "a": "no", "broken": "found", "e": ""}),
        }
        self.out: list[str] = []
        self.err: list[str] = []
        self.streams = Streams(self.out.append, self.err.append)

    def maps(self, *names: str) -> Maps:
        """Tables by name."""

        def open_map(name: str) -> StringTable:
            if name not in self.tables:
                raise ConfigurationError([f"{name}: no such table"])
            return self.tables[name]

        return Maps(names, open_map)

    def query(self, key: str, *names: str) -> int:
        """Ask for a key."""
        return self.result(query(key, self.maps(*names), self.streams))

    def test_first_hit(self) -> None:
        """The first table that has the key answers; later ones are not even opened."""
        self.assertEqual(self.query("a", "one", "two"), 0)
        self.assertEqual(self.query("b", "one", "two"), 0)
        self.assertEqual(self.query("a", "one", "bad"), 0)
        self.assertEqual((self.out, self.err), (["1", "2", "1"], []))

    def test_absent(self) -> None:
        """Nothing is printed."""
        self.assertEqual(self.query("c", "one", "two"), 1)
        self.assertEqual((self.out, self.err), ([], []))

    def test_empty_value(self) -> None:
        """An empty value is printed as an empty line: found."""
        self.assertEqual(self.query("e", "two"), 0)
        self.assertEqual(self.out, [""])

    def test_failure(self) -> None:
        """A table that fails ends it, even where a later one knows."""
        self.assertEqual(self.query("broken", "one", "two"), 1)
        self.assertEqual(self.query("a", "bad", "one"), 1)
        self.assertEqual(self.out, [])
        self.assertEqual(
            self.err,
            ["postmap: fatal: query error: out of order", "postmap: fatal: bad: no such table"],
        )

    def test_lines(self) -> None:
        """Keys as they were typed, tab, value; nothing for others; 0 if one was found."""
        lines = ["a\n", "c\n", "\n", "b \n", "b"]
        status = self.result(query_lines(lines, self.maps("one", "two"), self.streams))
        self.assertEqual((status, self.out), (0, ["a\t1", "b\t2"]))
        status = self.result(query_lines(["c\n"], self.maps("one"), self.streams))
        self.assertEqual((status, self.err), (1, []))

    def test_lines_with_a_failure(self) -> None:
        """It ends there; what was found before is printed."""
        lines = ["a\n", "broken\n", "a\n"]
        self.assertEqual(self.result(query_lines(lines, self.maps("one"), self.streams)), 1)
        self.assertEqual((self.out, len(self.err)), (["a\t1"], 1))

    def test_sequence(self) -> None:
        """The entries of the first table; one that cannot list says so."""
        self.assertEqual(self.result(sequence(self.maps("two", "one"), self.streams)), 0)
        self.assertEqual(self.out, ["b\t2", "a\tno", "broken\tfound", "e\t"])
        self.assertEqual(self.result(sequence(self.maps("one"), self.streams)), 1)
        self.assertIn("postmap: fatal: a table of type small is read-only", self.err[0])
        self.assertEqual(self.result(sequence(self.maps(), self.streams)), 1)

    def test_json(self) -> None:
        """Every answer is an object of one key."""
        streams = Streams(self.out.append, self.err.append, as_json=True)
        maps = self.maps("one")
        self.assertEqual(self.result(query("a", maps, streams)), 0)
        self.assertEqual(self.result(query_lines(["a\n"], maps, streams)), 0)
        self.assertEqual(self.result(sequence(self.maps("two"), streams)), 0)
        wanted = [{"a": "1"}, {"a": "1"}, {"b": "2"}]
        self.assertEqual([json.loads(line) for line in self.out][:3], wanted)
        streams.entry('"\\', "ü\n")
        self.assertEqual(self.out[-1], '{"\\"\\\\": "ü\\n"}')

    def test_life(self) -> None:
        """What was opened is started once and closed at the end."""
        self.query("b", "one", "two", "one")
        self.assertEqual(self.tables["one"].life, ["started", "closed"])
        self.assertEqual(self.tables["two"].life, ["started", "closed"])
