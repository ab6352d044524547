"""Cuts a query into tokens, as SQLite, MySQL or PostgreSQL would.

It knows just enough to say what is text (strings, quoted names, comments, dollar quotes) and
what could be a placeholder.  The tokens of a query, joined, are the query.

Where the reading depends on the server's settings, the engines' modules see to the setting:
``standard_conforming_strings`` is on and ``NO_BACKSLASH_ESCAPES`` is off in our sessions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from mailroute.errors import ConfigurationError


class Dialect(Enum):
    """Whose rules a query is read by."""

    SQLITE = "SQLite"
    MYSQL = "MySQL"
    POSTGRESQL = "PostgreSQL"


class TokenKind(Enum):
    """What a token can mean to us; ``OTHER`` is an operator or a punctuation mark."""

    BLANK = "blank"
    STRING = "string"
    NAME = "name"
    NUMBER = "number"
    NUMBERED = "numbered placeholder"
    NAMED = "named placeholder"
    QUESTION = "question mark"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the query, as written there, and where it begins (an index)."""

    kind: TokenKind
    text: str
    position: int


_LETTER = r"A-Za-z_\x80-\U0010ffff"
_WORD = rf"(?P<name>[{_LETTER}][{_LETTER}0-9$]*+)"
_NUMBER = rf"(?P<number>[0-9][{_LETTER}0-9$]*+)"
_BLANKS = r"[ \t\r\n\f\v]++"
_PLAIN_STRING = r"'(?:[^']|'')*+'"
_BACKSLASH_STRING = r"'(?:[^'\\]|\\.|'')*+'"
_QUOTED_NAME = r'"(?:[^"]|"")*+"'
_BACKTICKS = r"`(?:[^`]|``)*+`"
_PLACEHOLDERS = (
    r"(?P<numbered>[$?][0-9]++)|(?P<question>\?)|(?P<named>:[A-Za-z_][A-Za-z0-9_]*+)|(?P<other>.)"
)
_COLONS = r"(?P<colons>::|:=)"
_FLAT_COMMENT = r"/\*.*?\*/"


def _pattern(*parts: str) -> re.Pattern[str]:
    return re.compile("|".join((*parts, _COLONS, _PLACEHOLDERS)), re.DOTALL)


_PATTERNS = {
    Dialect.SQLITE: _pattern(
        rf"(?P<blank>{_BLANKS}|--[^\n]*+|{_FLAT_COMMENT})",
        rf"(?P<string>{_PLAIN_STRING})",
        # The brackets are SQLite's borrowing from other servers: a quoted name.
        rf"(?P<quoted>{_QUOTED_NAME}|{_BACKTICKS}|\[[^\]]*+\])",
        _WORD,
        _NUMBER,
    ),
    Dialect.MYSQL: _pattern(
        # Two dashes begin a comment only before a blank, a control character or the end.
        rf"(?P<blank>{_BLANKS}|--(?=[\x00-\x20\x7f]|\Z)[^\n]*+|\#[^\n]*+|{_FLAT_COMMENT})",
        rf'(?P<string>{_BACKSLASH_STRING}|"(?:[^"\\]|\\.|"")*+")',
        rf"(?P<quoted>{_BACKTICKS})",
        _WORD,
        _NUMBER,
    ),
    Dialect.POSTGRESQL: _pattern(
        rf"(?P<blank>{_BLANKS}|--[^\r\n]*+)",
        rf"(?P<escaping>[eE]{_BACKSLASH_STRING})",
        rf"(?P<string>{_PLAIN_STRING}"
        rf"|\$(?P<tag>(?:[{_LETTER}][{_LETTER}0-9]*+)?)\$.*?\$(?P=tag)\$)",
        rf"(?P<quoted>{_QUOTED_NAME})",
        # An escape string without its end is not a name and a plain string.
        rf"(?![eE]'){_WORD}",
        _NUMBER,
        # jsonb's operators; "?||" is a placeholder and a concatenation.
        r"(?P<operator>@\?|\?\|(?!\|)|\?&)",
    ),
}

_KINDS = {
    "blank": TokenKind.BLANK,
    "string": TokenKind.STRING,
    "escaping": TokenKind.STRING,
    "quoted": TokenKind.NAME,
    "name": TokenKind.NAME,
    "number": TokenKind.NUMBER,
    "numbered": TokenKind.NUMBERED,
    "named": TokenKind.NAMED,
    "question": TokenKind.QUESTION,
}

_UNFINISHED = {
    Dialect.SQLITE: ("'", '"', "`", "[", "/*"),
    Dialect.MYSQL: ("'", '"', "`", "/*"),
    Dialect.POSTGRESQL: ("'", '"', "E'", "e'"),
}

# An escape string goes on behind a line break (and comments), still with escapes.
_CONTINUATION = re.compile(
    rf"(?:[ \t\f\v]|--[^\r\n]*+)*+[\r\n](?:{_BLANKS}|--[^\r\n]*+[\r\n])*+{_BACKSLASH_STRING}",
    re.DOTALL,
)
_COMMENT_EDGE = re.compile(r"/\*|\*/")
_EXECUTABLE_COMMENT = re.compile(r"/\*M?!")
# SQLite's own parameters: left alone, they would be without a value.
_VARIABLE = re.compile(rf"[$@#:][{_LETTER}0-9$]")
_DOLLAR_QUOTE = re.compile(rf"\$(?:[{_LETTER}][{_LETTER}0-9]*+)?\$")


def tokenize(query: str, dialect: Dialect) -> Iterator[Token]:
    """Yield the tokens of ``query``.

    Raises ConfigurationError for a string, quoted name or comment without its end, and for
    MySQL's executable comments, whose inside we would have to read as text and code at once.
    """
    position = 0
    while position < len(query):
        token = _token_at(query, position, dialect)
        yield token
        position += len(token.text)


def _token_at(query: str, position: int, dialect: Dialect) -> Token:
    if dialect is Dialect.POSTGRESQL and query.startswith("/*", position):
        return Token(TokenKind.BLANK, _nested_comment(query, position), position)
    if dialect is Dialect.MYSQL and _EXECUTABLE_COMMENT.match(query, position):
        raise complaint(query, position, "executable comments are not supported: write it plainly")
    match = _PATTERNS[dialect].match(query, position)
    # The last alternative takes any character.
    assert match is not None  # noqa: S101
    group = match.lastgroup or "other"
    text = match.group()
    if group == "escaping":
        text = _with_continuations(query, position, match.end())
    elif group == "other" and _begins_unfinished(query, position, dialect):
        raise complaint(query, position, f"what begins here with {text} has no end")
    elif group == "other" and dialect is Dialect.SQLITE and _VARIABLE.match(query, position):
        raise complaint(query, position, "this is no placeholder: write $1, ? or :name")
    return Token(_KINDS.get(group, TokenKind.OTHER), text, position)


def _begins_unfinished(query: str, position: int, dialect: Dialect) -> bool:
    if dialect is Dialect.POSTGRESQL and _DOLLAR_QUOTE.match(query, position):
        return True
    return query.startswith(_UNFINISHED[dialect], position)


def _with_continuations(query: str, begin: int, end: int) -> str:
    while match := _CONTINUATION.match(query, end):
        end = match.end()
    return query[begin:end]


def _nested_comment(query: str, begin: int) -> str:
    depth = 0
    for edge in _COMMENT_EDGE.finditer(query, begin):
        depth += 1 if edge.group() == "/*" else -1
        if not depth:
            return query[begin : edge.end()]
    raise complaint(query, begin, "the comment that begins here has no end")


def complaint(query: str, position: int, text: str) -> ConfigurationError:
    """Word a fault of the query with its line and column, both counted from 1."""
    line = query.count("\n", 0, position) + 1
    column = position - (query.rfind("\n", 0, position) + 1) + 1
    return ConfigurationError([f"mapping.sql.query: line {line}, column {column}: {text}"])
