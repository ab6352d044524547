"""Tables one behind the other: each is asked for what the one before it answered."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mailroute.errors import LookupFailed
from mailroute.tables.string_table import StringTable, Values

VALUES_LIMIT = 10_000
"""More values than this are a failure: each step may multiply them."""


@dataclass(frozen=True, slots=True)
class Step:
    """One table of a chain."""

    table: StringTable
    optional: bool = False
    """Whether the step is left out as a whole where it knows one of the values not."""


class ChainTable(StringTable):
    """Begins with the key; every step replaces each value by what its table says of it.

    The values stay in order, and none is dropped for being there twice.  Without steps the key
    leads to itself.
    """

    kind = "chain"

    def __init__(self, steps: Sequence[Step]) -> None:
        """The tables are started and closed by their owner."""
        self._steps = tuple(steps)

    async def get(self, key: str) -> Values | None:
        """Return what the last step says.  Raises LookupFailed if any step does."""
        values: Values = (key,)
        for step in self._steps:
            mapped = await _mapped(values, step.table)
            if mapped is not None:
                values = mapped
            elif not step.optional:
                return None
        return values


async def _mapped(values: Values, table: StringTable) -> Values | None:
    """All the values' values; None if one of them is absent."""
    mapped: list[str] = []
    for value in values:
        found = await table.get(value)
        if found is None:
            return None
        mapped += found
        if len(mapped) > VALUES_LIMIT:
            raise LookupFailed(f"a chain has more than {VALUES_LIMIT} values")
    return tuple(mapped)
