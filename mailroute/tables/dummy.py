"""A table in which nothing is found."""

from __future__ import annotations

from mailroute.tables.string_table import StringTable, Values


class DummyTable(StringTable):
    """Every key is absent."""

    kind = "dummy"

    async def get(self, key: str) -> Values | None:
        """Return None.  Never fails."""
        return None
