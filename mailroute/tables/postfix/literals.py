"""Turns a query's template into a statement: quoted expansions become the driver's parameters.

A string literal that holds expansions (``'%s'``, ``'%u@%d'``, MySQL's ``"%s"``) becomes one
parameter, whose value is the literal's text with the expansions filled in.  So it is one
literal for the server, too, of the same type as Postfix's, and nothing in a key can end it.

An expansion outside of quotes is a parameter that takes digits only, as a number.  In a comment
it is left out.  Anywhere else a key could become a part of the query: that is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.placeholders import Statement
from mailroute.tables.postfix.template import Template, of_address
from mailroute.tables.sql_lexer import Dialect, Token, TokenKind, tokenize

MARK = "\ue000"
"""Stands for an expansion while the query is read: a sign for private use, a letter for SQL."""

_LONGEST_NUMBER = 18
_TOUCHING = frozenset({TokenKind.NAME, TokenKind.NUMBER, TokenKind.STRING, TokenKind.NAMED})
_PLACEHOLDERS = frozenset({TokenKind.QUESTION, TokenKind.NUMBERED, TokenKind.NAMED})
_MYSQL_ESCAPE = re.compile(r"\\(.)|''|\"\"", re.DOTALL)
# The others stand for themselves, but for \% and \_, which stay for LIKE.
_MYSQL_SIGNS = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a"}


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: a literal's ``texts`` around its ``codes``, or a bare number."""

    texts: tuple[str, ...]
    codes: tuple[str, ...]
    numeric: bool = False

    def value(self, key: str) -> str | int:
        """The driver's value.  Raises LookupFailed where digits are needed and there are none."""
        pieces = [self.texts[0]]
        for code, text in zip(self.codes, self.texts[1:], strict=True):
            pieces += [of_address(code, key), text]
        value = "".join(pieces)
        if not self.numeric:
            return value
        if not (value.isascii() and value.isdigit() and len(value) <= _LONGEST_NUMBER):
            raise LookupFailed(
                f"%{self.codes[0]} stands outside of quotes, where only digits can be looked up"
            )
        return int(value)


@dataclass(frozen=True, slots=True)
class Query:
    """A statement and what its parameters are made of."""

    statement: Statement
    parameters: tuple[Parameter, ...]
    count: int = 1
    """How many statements it is; more than one is a habit of PostgreSQL's tables only."""

    def values(self, key: str) -> tuple[str | int, ...]:
        """The parameters' values for a key that meets the requirements."""
        return tuple(parameter.value(key) for parameter in self.parameters)


def make_query(template: Template, dialect: Dialect) -> Query:
    """Read the query.  Raises ConfigurationError, without the name of the table."""
    text = MARK.join(template.texts)
    if text.count(MARK) != len(template.codes):
        raise ConfigurationError([f"the query holds U+{ord(MARK):X}, a sign for private use"])
    try:
        tokens = list(tokenize(text, dialect))
    except ConfigurationError as error:
        # The reader of queries speaks of its own setting.
        words = [one.removeprefix("mapping.sql.query: ") for one in error.complaints]
        raise ConfigurationError(words) from None
    tokens, count = _statements(tokens, dialect)
    if all(token.kind is TokenKind.BLANK for token in tokens):
        raise ConfigurationError(["the query is empty"])
    codes = list(template.codes)
    pieces = [""]
    parameters = []
    for index, token in enumerate(tokens):
        mine, codes = codes[: token.text.count(MARK)], codes[token.text.count(MARK) :]
        if not mine:
            _allowed(token, dialect)
            pieces[-1] += token.text
        elif token.kind is TokenKind.BLANK:
            pieces[-1] += token.text.replace(MARK, "")
        else:
            _stands_free(tokens, index)
            parameters.append(_parameter(token, tuple(mine), dialect))
            pieces.append("")
    names = tuple(str(number) for number in range(len(parameters)))
    return Query(Statement(dialect, tuple(pieces), names), tuple(parameters), count)


def _statements(tokens: list[Token], dialect: Dialect) -> tuple[list[Token], int]:
    """What of the tokens is sent, and how many statements that is.

    SQLite takes the first alone; MySQL would refuse a second one; PostgreSQL takes all.
    """
    ends = [index for index, token in enumerate(tokens) if token.text == ";"]
    bounds = [-1, *ends, len(tokens)]
    filled = [
        end
        for begin, end in pairwise(bounds)
        if any(token.kind is not TokenKind.BLANK for token in tokens[begin + 1 : end])
    ]
    if not filled:
        return [], 0
    if dialect is Dialect.MYSQL and len(filled) > 1:
        raise ConfigurationError(["MySQL takes one statement only"])
    if dialect is Dialect.SQLITE:
        return tokens[: filled[0]], 1
    return tokens[: filled[-1]], len(filled)


def _allowed(token: Token, dialect: Dialect) -> None:
    if dialect is Dialect.SQLITE and token.kind in _PLACEHOLDERS:
        raise ConfigurationError([f"{token.text} is a parameter without a value: quote it"])


def _parameter(token: Token, codes: tuple[str, ...], dialect: Dialect) -> Parameter:
    if token.kind is TokenKind.NAME and token.text == MARK:
        return Parameter(("", ""), codes, numeric=True)
    if token.kind is not TokenKind.STRING or token.text[0] == "$":
        raise ConfigurationError(
            [f"%{codes[0]} stands inside {_shown(token, codes)}: only '...' keeps a key apart"]
        )
    texts = tuple(_decoded(piece, token, dialect) for piece in _content(token).split(MARK))
    return Parameter(texts, codes)


def _content(token: Token) -> str:
    if token.text[0] in "eE":
        # Its continuations and escapes have no business beside a key.
        if "\\" in token.text or token.text.count("'") != 2:
            raise ConfigurationError(["E'...' with an expansion cannot hold \\ or ': write '...'"])
        return token.text[2:-1]
    return token.text[1:-1]


def _decoded(piece: str, token: Token, dialect: Dialect) -> str:
    """The text that a part of a literal stands for."""
    quote = token.text[-1]
    if dialect is not Dialect.MYSQL:
        return piece.replace(quote * 2, quote)
    if (len(piece) - len(piece.rstrip("\\"))) % 2:
        raise ConfigurationError(["a \\ before an expansion would change the key: write \\\\"])

    def sign(match: re.Match[str]) -> str:
        escaped = match.group(1)
        if escaped is None:
            return quote if match.group() == quote * 2 else match.group()
        return match.group() if escaped in "%_" else _MYSQL_SIGNS.get(escaped, escaped)

    return _MYSQL_ESCAPE.sub(sign, piece)


def _stands_free(tokens: Sequence[Token], index: int) -> None:
    """Refuse ``X'%s'``, ``'a' '%s'`` and ``id%s``: neighbours would join the literal."""
    for neighbour in (*tokens[max(0, index - 1) : index], *tokens[index + 1 : index + 2]):
        if neighbour.kind in _TOUCHING or neighbour.text == "&":
            raise ConfigurationError(
                [f"{neighbour.text!r} touches an expansion: put blanks between them"]
            )
    for later in (reversed(tokens[:index]), iter(tokens[index + 1 :])):
        near = next((token for token in later if token.kind is not TokenKind.BLANK), None)
        if near is not None and near.kind is TokenKind.STRING:
            raise ConfigurationError([f"two strings side by side: write {near.text} in one"])


def _shown(token: Token, codes: tuple[str, ...]) -> str:
    text = token.text
    for code in codes:
        text = text.replace(MARK, f"%{code}", 1)
    return text
