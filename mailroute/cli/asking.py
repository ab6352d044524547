"""What a command asks, open for its time."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from mailroute.tables.string_table import Life

Tell = Callable[[str], None]
"""Is told what is doubtful and no error."""


@asynccontextmanager
async def opened(asked: Life, tell: Tell) -> AsyncIterator[None]:
    """Try a table, or all that are needed, start it, close it in the end.

    What it can do without, such as a database that is away now, is told; the lookups will say
    what comes of it.  Raises ConfigurationError.
    """
    for warning in asked.check():
        tell(f"warning: {warning}")
    await asked.start()
    try:
        yield
    finally:
        await asked.close()
