"""A table in which every key leads to itself."""

from __future__ import annotations

from mailroute.tables.string_table import StringTable, Values


class IdentityTable(StringTable):
    """Every key, the empty one too, is its own value."""

    kind = "identity"

    async def get(self, key: str) -> Values | None:
        """Return the key.  Never fails."""
        return (key,)
