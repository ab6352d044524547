"""$name, ${name} and conditions."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.postfix.macros import expand, split_macros

SETTINGS = {"a": "1", "b": "$a-2", "empty": "", "loop": "$loop", "c_3": "x"}


class MacroTests(SynchronousTestCase):
    """What a text becomes."""

    def test_expand(self) -> None:
        """Names, parentheses of both kinds, nesting, dollar signs and conditions."""
        for text, expected in {
            "plain": "plain",
            "$a": "1",
            "${a}b": "1b",
            "$(a)b": "1b",
            "$b": "1-2",
            "$c_3.": "x.",
            "$$a $$": "$a $",
            "${a?yes}": "yes",
            "${empty?yes}": "",
            "${missing?yes}": "",
            "${a:no}": "",
            "${empty:no}": "no",
            "${empty:$b}": "1-2",
            "${a?{yes}:{no}}": "yes",
            "${empty?{yes}:{no}}": "no",
            "${empty:{ no }}": "no",
            "$missing": "",
        }.items():
            self.assertEqual(expand(text, SETTINGS.get), expected, text)

    def test_refused(self) -> None:
        """Bad syntax, comparisons and endless nesting are complaints, not texts."""
        for text in ("$", "a$ b", "${", "${a", "$loop", "${{$a} == {1}?x}", "${a b}", "${a?{x}y}"):
            self.assertRaises(ValueError, expand, text, SETTINGS.get)

    def test_split(self) -> None:
        """Literals and macros in turn; a doubled dollar sign belongs to the literal."""
        self.assertEqual(
            list(split_macros("a$$b$1${2}c")),
            [(False, "a$b"), (True, "1"), (True, "2"), (False, "c")],
        )
