"""Lookups by a regular expression."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from mailroute.tables.regexp import RegexpSettings, RegexpTable
from mailroute.tables.string_table import Values
from tests.tables.asking import AskingCase

# Pattern, replacement (None: there is none), options, key, answer.
EXAMPLES: tuple[tuple[str, str | None, dict[str, bool], str, str | None], ...] = (
    ("(.+)@(.+)", "$1", {}, "bob@x.org", "bob"),
    ("(.+)@(.+)", "$1", {}, "bob", None),
    (r"(.+)\+(.+)@(.+)", "$1@$3", {}, "joe+spam@x.org", "joe@x.org"),
    (r"(.+)\+(.+)@(.+)", "$1@$3", {}, "joe+a+b@x.org", "joe+a@x.org"),
    ("bob", "x", {}, "BOB", "x"),
    ("bob", "x", {"case_insensitive": False}, "BOB", None),
    ("bob", "x", {}, "bobby", None),
    ("bob", "x", {"full_match": False}, "bobby", "x"),
    ("(a)(b)?", "[$2]", {}, "a", "[]"),
    ("(?P<u>.+)@.+", "${u}.host", {}, "bob@x", "bob.host"),
    ("(?P<u>.+)@.+", "$u", {}, "bob@x", "bob"),
    ("(.+)@(.+)", "$$1", {}, "b@x", "$1"),
    (".*-bounce.*", None, {}, "l-bounce@x", "l-bounce@x"),
    (".*-bounce.*", None, {}, "l@x", None),
    # The whole has to match: the documentation's meaning, not that of anchors put at the ends.
    ("^a|b$", "y", {}, "axx", None),
    ("a|b", "y", {}, "axx", None),
    ("a|b", "y", {}, "b", "y"),
)

# Each lets a matcher that goes back try very many ways: exponentially or cubically many.
HOSTILE = (
    "(a|aa|a*)*(a*)*b",
    "(a+)+$",
    "^(([a-z])+.)+[A-Z]([a-z])+$",
    "(.*)*(.*)*!",
    r"([^@]+)*(\+[^@]*)*@(.+)+\.(.+)+!",
    "(a?){60}a{60}",
)
PIECES = st.tuples(
    st.sampled_from(["a", "b", "@", "aa", "ab", "+", ".", "é"]), st.integers(1, 1000)
)


def table(pattern: str, *replacements: str, **options: Any) -> RegexpTable:
    """A table of these settings."""
    return RegexpTable(RegexpSettings(pattern, replacements, **options))


class RegexpTests(AskingCase):
    """A table of type regexp."""

    def test_examples(self) -> None:
        """The documented behaviour, row by row."""
        for pattern, replacement, options, key, answer in EXAMPLES:
            replacements = () if replacement is None else (replacement,)
            found = self.ask(table(pattern, *replacements, **options), key)
            wanted = None if answer is None else (answer,)
            self.assertEqual(found, wanted, (pattern, replacement, key))

    def expands(self, replacement: str, answer: str) -> None:
        """The replacement becomes this where the groups are 1 and user: b, 2: x."""
        found = self.ask(table("(?P<user>.)@(.)(never)?", replacement), "b@x")
        self.assertEqual(found, (answer,), replacement)

    def test_placeholders(self) -> None:
        """$N, ${N}, $name, ${name}; a bare name is as long as it can be; $$ is a dollar."""
        self.expands("$1-$2", "b-x")
        self.expands("${1}x${2}", "bxx")
        self.expands("$1_x$1x.", ".")
        self.expands("$user ${user}s $users", "b bs ")
        self.expands("$0", "b@x")
        self.expands("[$3][$4][$01][${nobody}][$99999999999]", "[][][][][]")
        self.expands("$$1 $$$1 $", "$1 $b $")
        self.expands("$-${1 ${} ${a-b}", "$-${1 ${} ${a-b}")

    def test_expansion_off(self) -> None:
        """Without expansion the replacement is taken as it is."""
        found = self.ask(table("(.+)@(.+)", "$1", expand_placeholders=False), "a@b")
        self.assertEqual(found, ("$1",))

    def test_several_replacements(self) -> None:
        """Each replacement is a value."""
        found: Values | None = self.ask(table("(.+)@(.+)", "$1", "$2"), "a@b")
        self.assertEqual(found, ("a", "b"))

    def test_bad_patterns(self) -> None:
        """Look-around and references back are none of RE2's; the complaint is ours alone."""
        with tempfile.TemporaryFile() as caught:
            saved = os.dup(2)
            os.dup2(caught.fileno(), 2)
            try:
                for pattern in ("(", "(?=a)", r"(a)\1", "[z-a]", "\ud800"):
                    error = self.assertRaises(ValueError, table, pattern)
                    self.assertIn("not a regular expression of RE2", str(error))
            finally:
                os.dup2(saved, 2)
                os.close(saved)
            caught.seek(0)
            self.assertEqual(caught.read(), b"")

    def test_odd_keys(self) -> None:
        """Odd keys break nothing, one that is no text is absent."""
        self.survives_odd_keys(table("(.*)", "$1"))
        self.assertIsNone(self.ask(table("(?s).*"), "\ud800"))

    @settings(max_examples=50, deadline=None, derandomize=True)
    @given(st.sampled_from(HOSTILE), st.lists(PIECES, max_size=5))
    def test_hostile_keys(self, pattern: str, pieces: list[tuple[str, int]]) -> None:
        """Whatever the key, each of these patterns answers: others would try for ages."""
        key = "".join(piece * count for piece, count in pieces)
        for full_match in (True, False):
            self.ask(table(pattern, "$0", full_match=full_match), key)

    def test_hostile_key(self) -> None:
        """A pattern that makes others try every split is answered: with them it would not be."""
        hostile = table("(a|aa|a*)*(a*)*b", "x")
        self.assertIsNone(self.ask(hostile, "a" * 5000))
