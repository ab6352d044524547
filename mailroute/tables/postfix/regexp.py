"""The table ``regexp:``: the first expression that matches gives the answer.

Expressions are POSIX's extended ones, matched by RE2 in time that grows with the key's length
alone.  A rule that Postfix skips with a warning is skipped with a warning; one that Postfix
can match and RE2 cannot is refused.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import Aside
from mailroute.tables.postfix.lines import (
    BLANKS,
    LogicalLine,
    is_utf8,
    logical_lines,
    read_text,
)
from mailroute.tables.postfix.macros import split_macros
from mailroute.tables.postfix.notices import Renewal
from mailroute.tables.postfix.posix import compile_posix
from mailroute.tables.string_table import StringTable, Values

_IF = re.compile(r"if(?![a-z0-9])", re.IGNORECASE | re.ASCII)
_ENDIF = re.compile(r"endif(?![a-z0-9])", re.IGNORECASE | re.ASCII)


class Skipped(Exception):
    """Postfix skips this line; the message says why."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """An expression and whether it has to match, or must not."""

    expression: Any
    wanted: bool

    def match(self, key: str) -> Any | None:
        """The match, or True where it was not to match and did not; None otherwise."""
        found = self.expression.search(key)
        if self.wanted:
            return found
        return True if found is None else None


@dataclass(frozen=True, slots=True)
class Rule:
    """A line: with ``result`` a rule, without one an ``if``, whose ``end`` is its ``endif``."""

    patterns: tuple[Pattern, ...]
    result: tuple[str | int, ...] | None
    end: int = 0
    """The index of the rule behind the ``endif``."""


class RegexpMap(StringTable):
    """A file of expressions."""

    def __init__(self, path: str, aside: Aside) -> None:
        """Raises ConfigurationError."""
        self.kind = f"regexp:{path}"
        self._path = path
        self._renewal = Renewal(self._read, self._take, aside)
        self._rules, self._warnings = self._read()

    async def reload(self) -> None:
        """Read the file anew; what is wrong is logged, and the old content stays whole."""
        await self._renewal.again()

    def _read(self) -> tuple[list[Rule], list[str]]:
        return _read(self._path, read_text(self._path, self.kind))

    def _take(self, rules: list[Rule]) -> None:
        self._rules = rules

    def check(self) -> Sequence[str]:
        """The lines that were skipped."""
        return self._warnings

    async def get(self, key: str) -> Values | None:
        """Return the first rule's result.  Never fails."""
        if not is_utf8(key) or "\0" in key:
            return None
        index = 0
        while index < len(self._rules):
            rule = self._rules[index]
            matches = [match for one in rule.patterns if (match := one.match(key)) is not None]
            index += 1
            if len(matches) == len(rule.patterns):
                if rule.result is not None:
                    return (_filled(rule.result, matches[0]),)
            elif rule.result is None:
                index = rule.end
        return None


def _filled(result: Iterable[str | int], match: Any) -> str:
    return "".join(part if isinstance(part, str) else (match.group(part) or "") for part in result)


def _read(path: str, content: str) -> tuple[list[Rule], list[str]]:
    rules: list[Rule] = []
    warnings = []
    opened: list[tuple[int, LogicalLine]] = []
    for line in logical_lines(content):
        place = f"{path}:{line.number}"
        text = line.text.rstrip(BLANKS)
        try:
            if _ENDIF.match(text):
                if not opened:
                    raise Skipped("endif without an if is ignored")
                index, _ = opened.pop()
                rules[index] = Rule(rules[index].patterns, None, len(rules))
            elif begin := _IF.match(text):
                pattern, _ = _pattern(text[begin.end() :])
                opened.append((len(rules), line))
                rules.append(Rule((_compiled(pattern),), None))
            else:
                rules.append(_rule(text))
        except Skipped as skipped:
            warnings.append(f"{place}: {skipped}")
        except ValueError as error:
            raise ConfigurationError([f"{place}: {error}"]) from None
    for index, line in opened:
        warnings.append(f"{path}:{line.number}: this if has no endif")
        rules[index] = Rule(rules[index].patterns, None, len(rules))
    return rules, warnings


_Written = tuple[str, str, bool]


def _pattern(text: str) -> tuple[_Written, str]:
    """Cut an expression, its flags and whether it is wanted; return what follows, too."""
    body = text.lstrip(f"!{BLANKS}")
    wanted = (text[: len(text) - len(body)].count("!") % 2) == 0
    if not body:
        raise Skipped("a line without an expression is ignored")
    delimiter, position = body[0], 1
    while position < len(body) and body[position] != delimiter:
        position += 2 if body[position] == "\\" else 1
    if position >= len(body):
        raise Skipped(f"an expression without its closing {delimiter} is ignored")
    expression, rest = body[1:position], body[position + 1 :]
    end = next((at for at, sign in enumerate(rest) if sign in f"!{BLANKS}"), len(rest))
    flags = rest[:end]
    for flag in flags:
        if flag not in "imx":
            raise Skipped(f"a line with the unknown flag {flag} is ignored")
    return (expression, flags, wanted), rest[end:]


def _compiled(written: _Written) -> Pattern:
    expression, flags, wanted = written
    if flags.count("x") % 2:
        raise ValueError("basic expressions (flag x) are not supported: write an extended one")
    ignore_case, multi_line = flags.count("i") % 2 == 0, flags.count("m") % 2 == 1
    return Pattern(compile_posix(expression, ignore_case, multi_line), wanted)


def _rule(text: str) -> Rule:
    if text[0].isascii() and text[0].isalnum():
        raise Skipped("a line that is neither a rule nor if or endif is ignored")
    first, rest = _pattern(text)
    written = [first]
    if rest.startswith("!"):
        second, rest = _pattern(rest)
        written.append(second)
    result = _result(rest.strip(BLANKS))
    highest = max((part for part in result if isinstance(part, int)), default=0)
    if highest and not first[2]:
        raise Skipped("a $number behind a ! is ignored with its line")
    patterns = tuple(_compiled(one) for one in written)
    if highest > patterns[0].expression.groups:
        raise Skipped(f"${highest} is no group of the expression: the line is ignored")
    return Rule(patterns, result)


def _result(text: str) -> tuple[str | int, ...]:
    parts: list[str | int] = []
    try:
        for is_macro, part in split_macros(text):
            if is_macro and not (part.isascii() and part.isdigit() and int(part)):
                raise Skipped(f"${part} is no number of a group: the line is ignored")
            parts.append(int(part) if is_macro else part)
    except ValueError as error:
        raise Skipped(f"{error}: the line is ignored") from None
    return tuple(parts)
