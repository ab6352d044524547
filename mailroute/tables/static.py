"""A table that stands in the configuration."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mailroute.tables.string_table import Entry, StringTable, Values


class StaticTable(StringTable):
    """Fixed entries; of several with one key the last counts, whole."""

    kind = "static"

    def __init__(self, entries: Iterable[Entry]) -> None:
        """Raises ValueError for an entry without a value."""
        self._entries: dict[str, Values] = {}
        for key, values in entries:
            if not values:
                raise ValueError(f"the entry {key!r} has no value")
            # Anew, so that the order is that of what counts.
            self._entries.pop(key, None)
            self._entries[key] = values

    async def get(self, key: str) -> Values | None:
        """Return the values of the key.  Never fails."""
        return self._entries.get(key)

    async def list(self) -> Sequence[Entry]:
        """Return the entries that count."""
        return tuple(self._entries.items())
