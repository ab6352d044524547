"""``$name``, ``${name}``, ``${name?text}`` and ``${name:text}``, as main.cf has them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from mailroute.tables.postfix.braces import CLOSING, balanced
from mailroute.tables.postfix.lines import BLANKS

_PLAIN = re.compile(r"[A-Za-z0-9_]*")
_CONDITION = re.compile(rf"[{BLANKS}]*([A-Za-z0-9_]+)[{BLANKS}]*(?:([?:])(.*))?", re.DOTALL)
_DEEPEST = 100


def split_macros(text: str) -> Iterator[tuple[bool, str]]:
    """Yield the parts of a text: ``(False, literal)`` and ``(True, inside of a macro)``.

    ``$$`` is a dollar sign.  Raises ValueError for a ``$`` without a name or without its end.
    """
    literal = ""
    position = 0
    while position < len(text):
        sign = text[position]
        if sign != "$" or text.startswith("$$", position):
            literal += sign
            position += 1 if sign != "$" else 2
            continue
        if literal:
            yield False, literal
            literal = ""
        inside, position = _macro(text, position + 1)
        yield True, inside
    if literal:
        yield False, literal


def _macro(text: str, begin: int) -> tuple[str, int]:
    if text[begin : begin + 1] in CLOSING:
        end = balanced(text, begin)
        if end is None:
            raise ValueError(f"what begins with ${text[begin]} has no end")
        inside = text[begin + 1 : end - 1]
    else:
        match = _PLAIN.match(text, begin)
        inside, end = (match.group(), match.end()) if match else ("", begin)
    if not inside:
        raise ValueError("a $ stands without a name; a dollar sign itself is written $$")
    return inside, end


def expand(text: str, value_of: Callable[[str], str | None], depth: int = 0) -> str:
    """Replace macros, in their values, too.

    ``value_of`` gives None for a name that is not set.  Raises ValueError for bad syntax, for
    comparisons (``${{a} == {b}?...}``), which are not supported, and for endless nesting.
    """
    if depth > _DEEPEST:
        raise ValueError("the $names contain each other")

    def expanded(inside: str) -> str:
        return _value(inside, value_of, depth + 1)

    return "".join(expanded(part) if macro else part for macro, part in split_macros(text))


def _value(inside: str, value_of: Callable[[str], str | None], depth: int) -> str:
    match = _CONDITION.fullmatch(inside)
    if match is None:
        raise ValueError(f"${{{inside}}} is not supported: write $name, ${{name?a}}, ${{name:b}}")
    name, sign, rest = match.groups()
    value = value_of(name)
    if sign is None:
        return expand(value, value_of, depth) if value else ""
    yes, no = _choices(sign, rest)
    return expand(yes if value else no, value_of, depth)


def _choices(sign: str, rest: str) -> tuple[str, str]:
    """The texts for a value that is not empty, and for one that is."""
    if sign == ":":
        return "", _unbraced(rest)
    end = balanced(rest, rest.find("{")) if rest.lstrip(BLANKS).startswith("{") else None
    if end is None:
        return rest, ""
    after = rest[end:].lstrip(BLANKS)
    if after and not after.startswith(":"):
        raise ValueError("a ':' is missing behind the '}'")
    return _unbraced(rest[:end]), _unbraced(after[1:])


def _unbraced(text: str) -> str:
    stripped = text.strip(BLANKS)
    if stripped.startswith("{") and balanced(stripped, 0) == len(stripped):
        return stripped[1:-1].strip(BLANKS)
    return text
