"""The command line of postmap; its answers are compared with the real one's elsewhere."""

from __future__ import annotations

import os

from tests.cli.calling import CallingCase


class PostmapTests(CallingCase):
    """Maps that hold everything in memory."""

    def setUp(self) -> None:
        super().setUp()
        self.patch(os, "environ", {})

    def fatal(self, *arguments: str) -> str:
        """It is refused as postmap refuses; returns why."""
        self.assertEqual(self.call("postmap", *arguments), 1, arguments)
        self.assertEqual(self.stdout, "")
        self.assertTrue(self.stderr.startswith("postmap: fatal: "), self.stderr)
        self.assertEqual(self.stderr.count("\n"), 1)
        return self.stderr

    def test_query(self) -> None:
        """The value alone, and no configuration of ours is read."""
        arguments = ("--config", "/nowhere", "postmap", "-q", "A", "inline:{a=b}", "static:c")
        self.assertEqual((self.call(*arguments), self.stdout), (0, "b\n"))
        self.assertEqual(self.call("postmap", "-q", "x", "inline:{a=b}"), 1)
        self.assertEqual((self.stdout, self.stderr), ("", ""))

    def test_unfolded(self) -> None:
        """-f, alone and together with others, before and behind the tables."""
        for words in (["-fq", "A", "inline:{A=b}"], ["-q", "A", "inline:{A=b}", "-f"]):
            self.assertEqual((self.call("postmap", *words), self.stdout), (0, "b\n"))

    def test_standard_input(self) -> None:
        """Key, tab, value; what is not UTF-8 comes out as it went in."""
        self.assertEqual(self.call("postmap", "-q", "-", "inline:{a=1,b=2}", stdin="a\nc\nB"), 0)
        self.assertEqual(self.stdout, "a\t1\nB\t2\n")

    def test_sequence(self) -> None:
        """-s, and as JSON."""
        self.assertEqual(self.call("postmap", "-s", "inline:{a=1,b=2}"), 0)
        self.assertEqual(self.stdout, "a\t1\nb\t2\n")
        self.assertEqual(self.call("postmap", "-js", "inline:{a=1}"), 0)
        self.assertEqual(self.stdout, '{"a": "1"}\n')
        self.assertEqual(self.call("postmap", "-s"), 1)

    def test_folder(self) -> None:
        """-c and MAIL_CONFIG name the folder of main.cf, which has to be there."""
        self.write("main.cf", "mine_query = SELECT 1\n")
        self.assertIn("mine: dbpath", self.fatal("-c", self.folder, "-q", "a", "sqlite:mine"))
        self.assertIn("/nowhere/main.cf", self.fatal("-c", "/nowhere", "-q", "a", "static:b"))
        os.environ["MAIL_CONFIG"] = self.folder
        self.assertIn("mine: dbpath", self.fatal("-q", "a", "sqlite:mine"))

    def test_usage(self) -> None:
        """What is no command line is an error as others are."""
        for words, part in (
            ([], "-q or -s is needed"),
            (["texthash:/x"], "texthash:FILE"),
            (["-q", "a"], "usage: postmap"),
            (["-q", "a", "-s", "static:b"], "only one of"),
            (["-q", "a", "-q", "b", "static:b"], "only one of"),
            (["-Z"], "-Z"),
            (["-q"], "-q"),
        ):
            self.assertIn(part, self.fatal(*words))

    def test_refused(self) -> None:
        """Each option that is not supported is refused by its name."""
        for letter in "bhmFu":
            self.assertIn(f"-{letter}: ", self.fatal(f"-{letter}", "-q", "a", "static:b"))
        self.assertIn("-d: ", self.fatal("-d", "a", "static:b"))

    def test_without_effect(self) -> None:
        """Options that concern indexes, or Postfix itself, change nothing."""
        self.assertEqual(self.call("postmap", "-inNoprUvvw", "-q", "a", "static:b"), 0)
        self.assertEqual(self.stdout, "b\n")

    def test_errors(self) -> None:
        """A table that is none."""
        self.assertIn("texthash:/x", self.fatal("-q", "a", "hash:/x"))
