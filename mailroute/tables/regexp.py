"""Lookups by a regular expression, in time that grows with the key's length alone (RE2)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import re2

from mailroute.tables.string_table import StringTable, Values

# "$name" takes the longest run of letters, digits and underscores.
_PLACEHOLDER = re.compile(r"\$(?:(?P<dollar>\$)|(?P<bare>\w+)|\{(?P<braced>\w+)\})")


@dataclass(frozen=True, slots=True)
class RegexpSettings:
    """The settings of a table of type regexp."""

    regexp: str
    replacements: tuple[str, ...] = ()
    full_match: bool = True
    case_insensitive: bool = True
    expand_placeholders: bool = True


class RegexpTable(StringTable):
    """A key that matches leads to the replacements, or to itself where there are none.

    The syntax is RE2's: no look-around and no references back, and so no pattern that could
    hang.  In a replacement ``$1``, ``${1}``, ``$name`` and ``${name}`` are what a group matched
    (nothing, if it is unknown or took no part), ``$$`` is a dollar sign.
    """

    kind = "regexp"

    def __init__(self, settings: RegexpSettings) -> None:
        """Raises ValueError for a pattern that cannot be read."""
        options = re2.Options()
        # A bad pattern is our complaint, not a line on standard error.
        options.log_errors = False
        options.case_sensitive = not settings.case_insensitive
        try:
            pattern = re2.compile(settings.regexp, options)
        except (re2.error, UnicodeError) as error:
            raise ValueError(f"not a regular expression of RE2: {_text(error)}") from None
        self._match = pattern.fullmatch if settings.full_match else pattern.search
        self._replacements = settings.replacements
        self._expands = settings.expand_placeholders
        self._names: dict[str, int] = pattern.groupindex

    async def get(self, key: str) -> Values | None:
        """Return the replacements.  Never fails."""
        try:
            match = self._match(key)
        except UnicodeError:
            # Lone surrogates, which no text in UTF-8 has.
            return None
        if match is None:
            return None
        if not self._replacements:
            return (key,)
        if not self._expands:
            return self._replacements
        groups: Sequence[str | None] = (match.group(), *match.groups())
        return tuple(self._expanded(text, groups) for text in self._replacements)

    def _expanded(self, template: str, groups: Sequence[str | None]) -> str:
        def value(placeholder: re.Match[str]) -> str:
            if placeholder["dollar"]:
                return "$"
            name = placeholder["bare"] or placeholder["braced"]
            number = self._names.get(name, -1)
            if re.fullmatch("0|[1-9][0-9]{0,7}", name):
                number = int(name)
            return (groups[number] or "") if 0 <= number < len(groups) else ""

        return _PLACEHOLDER.sub(value, template)


def _text(error: Any) -> str:
    """RE2 gives its message as bytes."""
    message = error.args[0] if error.args else error
    return message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
