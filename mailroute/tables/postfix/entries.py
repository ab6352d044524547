"""The tables that hold their entries in memory: ``texthash:``, ``inline:`` and ``static:``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import Aside
from mailroute.tables.postfix.braces import inside_braces, items, stripped
from mailroute.tables.postfix.lines import BLANKS, is_utf8, logical_lines, read_text
from mailroute.tables.postfix.notices import Renewal
from mailroute.tables.string_table import Entry, StringTable, Values

Fold = Callable[[str], str]


def _key_end(text: str, ends: str) -> int:
    """Where a key ends: at one of ``ends`` outside of quotes.  Raises ValueError."""
    quoted = False
    position = 0
    while position < len(text):
        sign = text[position]
        if sign == "\\":
            position += 1
        elif sign == '"':
            quoted = not quoted
        elif sign in ends and not quoted:
            break
        position += 1
    if quoted:
        raise ValueError("a quotation mark has no partner")
    return min(position, len(text))


class EntriesMap(StringTable):
    """Entries by key."""

    def __init__(self, kind: str, fold: Fold) -> None:
        self.kind = kind
        self._fold = fold
        self._entries: dict[str, str] = {}

    async def get(self, key: str) -> Values | None:
        """Return the entry's value.  Never fails."""
        value = self._entries.get(self._fold(key))
        return None if value is None else (value,)

    async def list(self) -> Sequence[Entry]:
        """Return the entries in the order in which they stand."""
        return [(key, (value,)) for key, value in self._entries.items()]


class TextHash(EntriesMap):
    """A text file: a key, white space, a value."""

    def __init__(self, path: str, fold: Fold, aside: Aside) -> None:
        """Raises ConfigurationError for a file that cannot be read."""
        super().__init__(f"texthash:{path}", fold)
        self._path = path
        self._aside = aside
        self._renewal = Renewal(self._read, self._take, aside)
        self._entries, self._warnings = self._read()

    async def reload(self) -> None:
        """Read the file anew; what is wrong is logged, and the old content stays whole."""
        await self._renewal.again()

    def _take(self, entries: dict[str, str]) -> None:
        former, self._entries = self._entries, entries
        # In a single step very many entries would hold everybody up.
        self._aside(lambda: _empty(former))

    def _read(self) -> tuple[dict[str, str], list[str]]:
        entries: dict[str, str] = {}
        warnings = []
        for line in logical_lines(read_text(self._path, self.kind)):
            fault = self._add(line.text, entries)
            if fault:
                warnings.append(f"{self._path}:{line.number}: {fault}")
        return entries, warnings

    def check(self) -> Sequence[str]:
        """The lines that were skipped."""
        return self._warnings

    def _add(self, text: str, entries: dict[str, str]) -> str:
        """Add a line's entry; return what is wrong with it.  What Postfix skips is skipped."""
        if not is_utf8(text):
            return "a line that is not UTF-8 is ignored"
        try:
            end = _key_end(text, BLANKS)
        except ValueError as error:
            return f"{error}: the line is ignored"
        key, value = text[:end], text[end + 1 :].strip(BLANKS)
        if not key or not value:
            return "a line without a value is ignored"
        folded = self._fold(key)
        if folded in entries:
            return f"{key} is there already: the first one counts"
        entries[folded] = value
        return f"the key {key} ends with a colon" if key.endswith(":") else ""


def _empty(entries: dict[str, str]) -> None:
    while entries:
        entries.popitem()


def inline(text: str, fold: Fold) -> EntriesMap:
    """The table ``inline:{name=value, {name = value with blanks}}``.

    Of a name's entries the last counts.  Raises ConfigurationError.
    """
    table = EntriesMap(f"inline:{text}", fold)
    try:
        table._entries.update(_pairs(items(inside_braces(text)), fold))
        if not table._entries:
            raise ValueError("the table is empty")
    except ValueError as error:
        raise ConfigurationError([f"inline:{text}: {error}; write inline:{{name=value}}"]) from None
    return table


def _pairs(written: Iterable[str], fold: Fold) -> Iterable[tuple[str, str]]:
    for item in written:
        text = stripped(item).strip(BLANKS)
        end = _key_end(text, f"={BLANKS}")
        value = text[end:].lstrip(BLANKS)
        if not text or not value.startswith("="):
            raise ValueError(f"there is no '=' in {item!r}")
        yield fold(text[:end]), value[1:].strip(BLANKS)


class StaticMap(StringTable):
    """The table ``static:text``: every key has the same value."""

    def __init__(self, text: str) -> None:
        """Raises ConfigurationError."""
        self.kind = f"static:{text}"
        try:
            self._values: Values = (stripped(text),)
        except ValueError as error:
            raise ConfigurationError([f"{self.kind}: {error}"]) from None

    async def get(self, key: str) -> Values | None:
        """Return the text; None for a key that is no UTF-8.  Never fails."""
        return self._values if is_utf8(key) else None
