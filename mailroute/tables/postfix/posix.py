"""Turns an extended POSIX expression into one of RE2.

What RE2 would read in another way is rewritten (a backslash inside brackets is a backslash) or
refused (``\\<``, ``\\d``, references back): never silently matched differently.
"""

from __future__ import annotations

import re
from typing import Any

import re2

_SHARED_LETTERS = "wWsSbB"
"""GNU's letters behind a backslash that mean the same in RE2."""
_REPETITION = re.compile(r"[*+?]|\{[0-9]+(?:,[0-9]*)?\}")
_SPECIAL = frozenset(r"\[]^-")


def compile_posix(pattern: str, ignore_case: bool, multi_line: bool) -> Any:
    """Compile.  The longest match at the leftmost place wins.  Raises ValueError."""
    options = re2.Options()
    options.log_errors = False
    options.posix_syntax = True
    options.longest_match = True
    options.perl_classes = True
    options.word_boundary = True
    options.case_sensitive = not ignore_case
    options.one_line = not multi_line
    options.dot_nl = not multi_line
    try:
        return re2.compile(translate(pattern), options)
    except (re2.error, UnicodeError) as error:
        message = error.args[0] if error.args else str(error)
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
        raise ValueError(f"RE2 cannot match it: {text}") from None


def translate(pattern: str) -> str:
    """Rewrite the pattern for RE2.  Raises ValueError for what RE2 has nothing like."""
    pieces = []
    position = 0
    repeated = False
    while position < len(pattern):
        sign = pattern[position]
        repeats = _REPETITION.match(pattern, position)
        if repeats and repeated:
            # "a+?" is "(a+)?" for POSIX and something else for RE2.
            raise ValueError(f"{repeats.group()} follows another repetition: use parentheses")
        repeated = repeats is not None
        if repeats:
            piece, position = repeats.group(), repeats.end()
        elif sign == "\\":
            piece, position = _escape(pattern, position), position + 2
        elif sign == "[":
            piece, position = _bracket(pattern, position)
        elif pattern.startswith("{,", position):
            raise ValueError("write {0,n} for {,n}")
        else:
            piece, position = sign, position + 1
        pieces.append(piece)
    return "".join(pieces)


def _escape(pattern: str, position: int) -> str:
    escape = pattern[position : position + 2]
    letter = escape[1:]
    if not letter:
        raise ValueError("there is nothing behind the last \\")
    if letter.isdigit():
        raise ValueError(f"{escape}: references back are not supported")
    if letter in "<>`'" or (letter.isalpha() and letter not in _SHARED_LETTERS):
        raise ValueError(f"{escape} is not supported")
    return escape


def _bracket(pattern: str, begin: int) -> tuple[str, int]:
    """The bracket expression at ``begin`` for RE2, and the index behind it."""
    position = begin + 1
    pieces = ["["]
    if pattern.startswith("^", position):
        pieces.append("^")
        position += 1
    first = position
    while position < len(pattern):
        sign = pattern[position]
        if sign == "]" and position > first:
            return "".join([*pieces, "]"]), position + 1
        if sign == "[" and pattern[position + 1 : position + 2] in (".", "="):
            raise ValueError(f"[{pattern[position + 1]} in brackets is not supported")
        if pattern.startswith("[:", position):
            end = pattern.find(":]", position)
            if end < 0:
                break
            pieces.append(pattern[position : end + 2])
            position = end + 2
            continue
        pieces.append(_member(pattern, position, first))
        position += 1
    raise ValueError("a [ has no ]")


def _member(pattern: str, position: int, first: int) -> str:
    sign = pattern[position]
    following = pattern[position + 1 : position + 2]
    if sign == "-" and position > first and following != "]":
        # Between two others: a range.
        return sign
    return f"\\{sign}" if sign in _SPECIAL else sign
