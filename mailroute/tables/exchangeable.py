"""A table that can be changed for another while it is asked."""

from __future__ import annotations

from mailroute.tables.contract import Key, Row, Table


class ExchangeableTable:
    """Asks whichever table is its ``source`` now."""

    def __init__(self, source: Table) -> None:
        self.source = source
        self.varies_on = source.varies_on
        self.asked = 0
        """Questions under way, at whichever table."""

    async def lookup(self, key: Key) -> Row | None:
        """See Table."""
        self.asked += 1
        try:
            return await self.source.lookup(key)
        finally:
            self.asked -= 1
