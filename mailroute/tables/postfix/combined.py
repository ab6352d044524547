"""The tables ``pipemap:`` and ``unionmap:``, which ask others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mailroute.errors import ConfigurationError
from mailroute.tables.postfix.braces import inside_braces, items
from mailroute.tables.postfix.domains import OpenMap
from mailroute.tables.postfix.entries import Fold
from mailroute.tables.string_table import StringTable, Values


class Combined(StringTable):
    """Several tables.  The key is folded as the first one folds its keys."""

    def __init__(self, kind: str, tables: Sequence[StringTable], fold: Fold) -> None:
        self.kind = kind
        self._tables = tables
        self._fold = fold

    def check(self) -> Sequence[str]:
        """Check every table."""
        return [warning for table in self._tables for warning in table.check()]

    async def reload(self) -> None:
        """Reload every table."""
        for table in self._tables:
            await table.reload()

    def watch(self, changed: Callable[[], None]) -> None:
        """Watch every table."""
        for table in self._tables:
            table.watch(changed)

    async def start(self) -> None:
        """Start every table."""
        for table in self._tables:
            await table.start()

    async def close(self) -> None:
        """Close every table."""
        for table in self._tables:
            await table.close()


class PipeMap(Combined):
    """Each table's answer is the key for the next; absent in one is absent."""

    async def get(self, key: str) -> Values | None:
        """Return the last table's answer.  Raises LookupFailed."""
        text = self._fold(key)
        for table in self._tables:
            found = await table.get(text)
            if found is None:
                return None
            text = found[0]
        return (text,)


class UnionMap(Combined):
    """The answers of all tables, joined by commas."""

    async def get(self, key: str) -> Values | None:
        """Return the answers.  Raises LookupFailed if one table fails, whatever others know."""
        joined = ""
        folded = self._fold(key)
        for table in self._tables:
            found = await table.get(folded)
            if found is not None:
                joined = f"{joined},{found[0]}" if joined else found[0]
        return (joined,) if joined else None


def combined(kind: str, text: str, open_map: OpenMap, fold: Fold) -> StringTable:
    """Make ``pipemap:{type:name ...}`` or ``unionmap:{...}``.  Raises ConfigurationError."""
    name = f"{kind}:{text}"
    try:
        written = items(inside_braces(text))
        strange = [item for item in written if ":" not in item]
        if strange or not written:
            raise ValueError(f"{strange[0]!r} is no type:name" if strange else "no table")
    except ValueError as error:
        raise ConfigurationError([f"{name}: {error}; write {kind}:{{type:name ...}}"]) from None
    tables = [open_map(item) for item in written]
    first_folds = not written[0].removeprefix("proxy:").startswith("regexp:")
    made = PipeMap if kind == "pipemap" else UnionMap
    return made(name, tables, fold if first_folds else str)
