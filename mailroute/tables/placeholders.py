"""Turns the placeholders of a query into the ones of the driver.

``$1``, ``?`` and ``?1`` are the key being tried; the names stand behind a colon.  Strings,
quoted names, comments, casts and the like are left alone.  Values never enter the text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Key
from mailroute.tables.sql_lexer import Dialect, Token, TokenKind, complaint, tokenize

KEY = "key"
OF_THE_IDENTIFIER = frozenset({KEY, "user", "local", "domain", "ext"})
OF_THE_SESSION = frozenset({"protocol", "client_ip", "server_ip", "sni"})
NAMES = OF_THE_IDENTIFIER | OF_THE_SESSION

_OPERANDS = frozenset(
    {TokenKind.STRING, TokenKind.NAME, TokenKind.NUMBER, TokenKind.NUMBERED, TokenKind.NAMED}
)
_TOUCHING = frozenset({TokenKind.STRING, TokenKind.NAME, TokenKind.NUMBER})


@dataclass(frozen=True, slots=True)
class Statement:
    """A query whose placeholders are known: ``names[i]`` stands between pieces i and i + 1."""

    dialect: Dialect
    pieces: tuple[str, ...]
    names: tuple[str, ...]
    depends_on_ansi_quotes: bool = False
    """Whether MySQL's ANSI_QUOTES would make another text of the query."""

    sql: str = field(init=False, repr=False, compare=False)
    """The text for the driver's ``execute``; without names it is sent without parameters."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "sql", self._text())

    def _text(self) -> str:
        if self.dialect is Dialect.SQLITE:
            return "?".join(self.pieces)
        if not self.names:
            return self.pieces[0]
        # These drivers format the text: a percent sign of the query's own is doubled.
        return "%s".join(piece.replace("%", "%%") for piece in self.pieces)

    @property
    def prepared(self) -> str:
        """The text for the server's own PREPARE, each place a parameter of its own."""
        if self.dialect is not Dialect.POSTGRESQL:
            return "?".join(self.pieces)
        numbered = (f"${number}{piece}" for number, piece in enumerate(self.pieces[1:], 1))
        return self.pieces[0] + "".join(numbered)

    @property
    def varies_on(self) -> frozenset[str]:
        """The names in use that the identifier does not decide."""
        return frozenset(self.names) & OF_THE_SESSION

    def parameters(self, key: Key, tried: str) -> tuple[str, ...]:
        """The driver's parameters, where ``tried`` is the key being tried for ``key``."""
        return tuple(tried if name == KEY else str(getattr(key, name)) for name in self.names)

    def bound(self, values: Mapping[str, str]) -> tuple[str, ...]:
        """Return the driver's parameters, from the values of the names."""
        return tuple(values[name] for name in self.names)


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """What placeholders may stand for."""

    names: frozenset[str]
    """Behind a colon."""
    numbered: tuple[str, ...]
    """What ``$1``, ``$2`` ... are; a ``?`` stands for the next one, or for the only one."""


LOOKUP = Vocabulary(NAMES, (KEY,))


def translate(query: str, dialect: Dialect, vocabulary: Vocabulary = LOOKUP) -> Statement:
    """Find the placeholders of one statement.

    Raises ConfigurationError, with line and column, for an unknown name or number, for a
    second statement, and for a placeholder that touches a word or a string: its value could
    become a part of them.
    """
    tokens = _one_statement(query, list(tokenize(query, dialect)))
    placeholders = _placeholders(query, tokens, dialect, vocabulary)
    pieces = [""]
    names = []
    for index, token in enumerate(tokens):
        if index in placeholders:
            _stands_free(query, tokens, index)
            names.append(placeholders[index])
            pieces.append("")
        else:
            pieces[-1] += token.text
    ansi = dialect is Dialect.MYSQL and any(
        token.kind is TokenKind.STRING and token.text[0] == '"' and "\\" in token.text
        for token in tokens
    )
    return Statement(dialect, tuple(pieces), tuple(names), ansi)


def _one_statement(query: str, tokens: list[Token]) -> list[Token]:
    """Cut a closing semicolon and what blanks and comments stand behind it."""
    for index, token in enumerate(tokens):
        if token.kind is TokenKind.OTHER and token.text == ";":
            for later in tokens[index + 1 :]:
                if later.kind is not TokenKind.BLANK:
                    raise complaint(query, later.position, "only one statement is allowed")
            return tokens[:index]
    if all(token.kind is TokenKind.BLANK for token in tokens):
        raise ConfigurationError(["mapping.sql.query: the query is empty"])
    return tokens


def _placeholders(
    query: str, tokens: Sequence[Token], dialect: Dialect, vocabulary: Vocabulary
) -> dict[int, str]:
    """Which tokens are placeholders, by index, and for what they stand."""
    found: dict[int, str] = {}
    questions: list[int] = []
    slices = _slice_bounds(tokens) if dialect is Dialect.POSTGRESQL else frozenset()
    for index, token in enumerate(tokens):
        if token.kind is TokenKind.NUMBERED:
            found[index] = _numbered(query, token, vocabulary.numbered)
        elif token.kind is TokenKind.NAMED and index not in slices:
            if token.text[1:] not in vocabulary.names:
                known = " ".join(f":{name}" for name in sorted(vocabulary.names)) or "none"
                raise complaint(query, token.position, f"{token.text} is none of {known}")
            found[index] = token.text[1:]
        elif token.kind is TokenKind.QUESTION:
            questions.append(index)
    if dialect is Dialect.POSTGRESQL and found:
        # Beside another placeholder a question mark is jsonb's operator.
        return found
    if len(vocabulary.numbered) == 1:
        return found | dict.fromkeys(questions, vocabulary.numbered[0])
    if len(questions) > len(vocabulary.numbered):
        text = f"there are {len(questions)} question marks for {len(vocabulary.numbered)} values"
        raise complaint(query, tokens[questions[-1]].position, text)
    return found | dict(zip(questions, vocabulary.numbered, strict=False))


def _numbered(query: str, token: Token, numbered: Sequence[str]) -> str:
    digits = token.text[1:]
    for number, name in enumerate(numbered, 1):
        if digits == str(number):
            return name
    sign = token.text[0]
    if not numbered:
        text = f"{token.text}: this statement has no values"
    elif len(numbered) == 1:
        text = f"{token.text}: only {sign}1, the key being tried, exists"
    else:
        known = ", ".join(f"{sign}{number} ({name})" for number, name in enumerate(numbered, 1))
        text = f"{token.text}: only {known} exist"
    raise complaint(query, token.position, text)


def _slice_bounds(tokens: Sequence[Token]) -> frozenset[int]:
    """The tokens that look like names but are upper bounds of an array slice: ``a[1:n]``.

    There the colon follows an operand, directly inside the brackets; a value never does.
    """
    bounds = set()
    brackets: list[str] = []
    before: Token | None = None
    for index, token in enumerate(tokens):
        if token.kind is TokenKind.BLANK:
            continue
        if token.kind is TokenKind.OTHER and token.text in ("[", "("):
            brackets.append(token.text)
        elif token.kind is TokenKind.OTHER and token.text in ("]", ")") and brackets:
            brackets.pop()
        elif token.kind is TokenKind.NAMED and brackets[-1:] == ["["] and _is_operand(before):
            bounds.add(index)
        before = token
    return frozenset(bounds)


def _is_operand(token: Token | None) -> bool:
    return token is not None and (token.kind in _OPERANDS or token.text in ("]", ")"))


def _stands_free(query: str, tokens: Sequence[Token], index: int) -> None:
    """Refuse ``E$1`` and ``'a'$1``: drivers write literals, and neighbours would join them.

    PostgreSQL joins string literals across a line break, too (section 4.1.2.1 of its manual).
    """
    position = tokens[index].position
    before = tokens[index - 1] if index else None
    after = tokens[index + 1] if index + 1 < len(tokens) else None
    for neighbour in (before, after):
        if neighbour is not None and neighbour.kind in _TOUCHING:
            raise complaint(query, position, "a placeholder needs a blank on both sides here")
    for neighbour in reversed(tokens[:index]):
        if neighbour.kind is not TokenKind.BLANK:
            if neighbour.kind is TokenKind.STRING:
                raise complaint(query, position, "a placeholder cannot follow a string")
            return
