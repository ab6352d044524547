"""Lists separated by commas or white space, whose items may stand in braces."""

from __future__ import annotations

from mailroute.tables.postfix.lines import BLANKS

CLOSING = {"{": "}", "(": ")"}
SEPARATORS = f",{BLANKS}"


def balanced(text: str, begin: int) -> int | None:
    """Where the brace or parenthesis at ``begin`` is closed: the index behind; None if nowhere."""
    opening = text[begin]
    level = 0
    for index in range(begin, len(text)):
        if text[index] == opening:
            level += 1
        elif text[index] == CLOSING[opening]:
            level -= 1
            if not level:
                return index + 1
    return None


def inside_braces(text: str) -> str:
    """What stands in the braces that surround the whole text.

    Raises ValueError where they do not, or surround nothing.
    """
    if not text.startswith("{") or balanced(text, 0) != len(text) or len(text) == 2:
        raise ValueError("what follows the ':' has to stand in { }")
    return text[1:-1]


def items(text: str) -> list[str]:
    """Cut a list; separators inside braces do not count, the braces stay."""
    found = []
    level = 0
    item = ""
    for sign in text:
        if level == 0 and sign in SEPARATORS:
            if item:
                found.append(item)
            item = ""
            continue
        if sign == "{":
            level += 1
        elif sign == "}" and level:
            level -= 1
        item += sign
    return [*found, item] if item else found


def stripped(item: str) -> str:
    """The inside of an item in braces, without the blanks at its ends; another as it is.

    Raises ValueError for braces without an end and for text behind them.
    """
    if not item.startswith("{"):
        return item
    end = balanced(item, 0)
    if end is None:
        raise ValueError(f"a '}}' is missing in {item!r}")
    if end != len(item):
        raise ValueError(f"there is text behind the '}}' in {item!r}")
    return item[1:-1].strip(BLANKS)
