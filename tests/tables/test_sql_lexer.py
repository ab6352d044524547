"""Cutting queries into tokens."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import ConfigurationError
from mailroute.tables.sql_lexer import Dialect, TokenKind, complaint, tokenize

SQLITE, MYSQL, POSTGRESQL = Dialect.SQLITE, Dialect.MYSQL, Dialect.POSTGRESQL

PIECES = r"""
    ' " ` \ $$ $a$ $1 ? ?1 ?| ?& @? :key :: := -- # /* */ /*! [ ] ( ) E' e x 1 ; % %s ü '' "" : $
    U&' N' \' ,
"""
FRAGMENTS = st.lists(
    st.sampled_from([*PIECES.split(), " ", "-- ", "\n", "\r", "\0"]), max_size=40
).map("".join)


class TokenTests(SynchronousTestCase):
    """What is one token, and of which kind."""

    def whole(self, text: str, kind: TokenKind, *dialects: Dialect) -> None:
        """``text`` is one token in these dialects, between others."""
        for dialect in dialects:
            tokens = list(tokenize(f"({text},", dialect))
            self.assertEqual([token.text for token in tokens], ["(", text, ","], dialect)
            self.assertIs(tokens[1].kind, kind, dialect)
            self.assertEqual(tokens[1].position, 1)

    def texts(self, query: str, dialect: Dialect) -> list[str]:
        """The tokens' texts."""
        return [token.text for token in tokenize(query, dialect)]

    def test_strings(self) -> None:
        """A quote is doubled in all dialects; a backslash escapes it in MySQL and E strings."""
        everywhere = (SQLITE, MYSQL, POSTGRESQL)
        self.whole("'it''s ? $1 :key'", TokenKind.STRING, *everywhere)
        self.whole("''", TokenKind.STRING, *everywhere)
        self.whole("'a\nb'", TokenKind.STRING, *everywhere)
        self.whole(r"'\'", TokenKind.STRING, SQLITE, POSTGRESQL)
        self.whole(r"'it\'s ?'", TokenKind.STRING, MYSQL)
        self.whole(r"'\\'", TokenKind.STRING, *everywhere)
        self.whole(r'"say \"?\" """', TokenKind.STRING, MYSQL)
        self.whole(r"E'it\'s ?'", TokenKind.STRING, POSTGRESQL)
        self.whole(r"e'\\'", TokenKind.STRING, POSTGRESQL)

    def test_escape_prefix_is_a_word_of_its_own(self) -> None:
        """``typE'...'`` is a name and a plain string."""
        self.assertEqual(self.texts(r"typE'\'?", POSTGRESQL), ["typE", r"'\'", "?"])

    def test_escape_string_goes_on(self) -> None:
        """Behind a line break, and comments, an escape string goes on with its escapes."""
        text = "E'a' -- it's\n \t-- ?\n  '\\'?'"
        self.whole(text, TokenKind.STRING, POSTGRESQL)
        self.assertEqual(self.texts("E'a' '?'", POSTGRESQL), ["E'a'", " ", "'?'"])

    def test_dollar_quotes(self) -> None:
        """A tag ends at the same tag; a dollar inside a name begins nothing."""
        self.whole("$$it's $1 ?$$", TokenKind.STRING, POSTGRESQL)
        self.whole("$a$ $$ $b$ ? $a$", TokenKind.STRING, POSTGRESQL)
        self.whole("$ü$?$ü$", TokenKind.STRING, POSTGRESQL)
        self.whole("a$b$c$1", TokenKind.NAME, SQLITE, MYSQL, POSTGRESQL)
        self.assertEqual(self.texts("$1$2", POSTGRESQL), ["$1", "$2"])

    def test_quoted_names(self) -> None:
        """Every dialect has its own quotes."""
        self.whole('"a ""?"" b"', TokenKind.NAME, SQLITE, POSTGRESQL)
        self.whole("`a ``?`", TokenKind.NAME, SQLITE, MYSQL)
        self.whole("[a ?]", TokenKind.NAME, SQLITE)

    def test_comments(self) -> None:
        """``#`` is MySQL's, where two dashes need a blank; PostgreSQL's comments nest."""
        everywhere = (SQLITE, MYSQL, POSTGRESQL)
        for dialect in everywhere:
            self.assertEqual(self.texts("-- it's ?\n?", dialect)[-1], "?")
        self.whole("/* it's ? -- */", TokenKind.BLANK, *everywhere)
        self.whole("/* ? /* ' */ ? */", TokenKind.BLANK, POSTGRESQL)
        self.assertEqual(self.texts("/* /* */ ?", MYSQL), ["/* /* */", " ", "?"])
        self.assertEqual(self.texts("#it's\n?", MYSQL), ["#it's", "\n", "?"])
        self.assertEqual(self.texts("5--?", MYSQL), ["5", "-", "-", "?"])
        self.assertEqual(self.texts("5--?", SQLITE), ["5", "--?"])
        self.assertEqual(self.texts("--\t?\n?", MYSQL), ["--\t?", "\n", "?"])
        self.assertEqual(self.texts("a -- ?\r?", POSTGRESQL)[-1], "?")

    def test_executable_comment(self) -> None:
        """MySQL runs what stands in such a comment: we refuse to guess."""
        for text in ("/*! ? */", "/*!50000 ? */", "/*M! ? */"):
            self.assertRaises(ConfigurationError, self.texts, text, MYSQL)
            self.whole(text, TokenKind.BLANK, SQLITE, POSTGRESQL)

    def test_colons(self) -> None:
        """Casts and assignments are no names."""
        for dialect in (SQLITE, MYSQL, POSTGRESQL):
            self.assertEqual(self.texts("a::key", dialect), ["a", "::", "key"])
            self.assertEqual(self.texts("a:=key", dialect), ["a", ":=", "key"])
            self.whole(":key", TokenKind.NAMED, dialect)

    def test_json_operators(self) -> None:
        """PostgreSQL's operators with a question mark are whole."""
        for operator in ("?|", "?&", "@?"):
            self.whole(operator, TokenKind.OTHER, POSTGRESQL)
        self.assertEqual(self.texts("?||", POSTGRESQL), ["?", "|", "|"])
        self.assertEqual(self.texts("?|", SQLITE), ["?", "|"])

    def test_variables(self) -> None:
        """SQLite's other parameters would be without a value: they are refused."""
        for text in ("@key", "$key", "#key", ":ü", ":1"):
            self.assertRaises(ConfigurationError, self.texts, f"a = {text}", SQLITE)
        self.assertEqual(self.texts("@a$key", MYSQL), ["@", "a$key"])

    def test_no_end(self) -> None:
        """What has no end is a complaint with its place."""
        for dialect, openings in (
            (SQLITE, ("'", '"', "`", "[", "/*")),
            (MYSQL, ("'", '"', "`", "/*", "'\\'")),
            (POSTGRESQL, ("'", '"', "/*", "/* /* */", "$$", "$a$ $$", "E'\\'", "'a''")),
        ):
            for opening in openings:
                error = self.assertRaises(
                    ConfigurationError, self.texts, f"a,\n  {opening} b", dialect
                )
                self.assertIn("line 2, column 3", str(error), (dialect, opening))

    def test_complaint(self) -> None:
        """Lines and columns are counted from 1."""
        self.assertIn("line 1, column 1:", str(complaint("a", 0, "x")))
        self.assertIn("line 2, column 2:", str(complaint("a\nbc", 3, "x")))

    @given(FRAGMENTS | st.text(), st.sampled_from(list(Dialect)))
    @settings(max_examples=100, deadline=None, derandomize=True)
    def test_nothing_is_lost(self, query: str, dialect: Dialect) -> None:
        """Joined, the tokens are the query; the only error is ConfigurationError."""
        try:
            tokens = list(tokenize(query, dialect))
        except ConfigurationError:
            return
        self.assertEqual("".join(token.text for token in tokens), query)
        self.assertTrue(all(token.text for token in tokens))
