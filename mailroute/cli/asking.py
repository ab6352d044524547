"""The mapping, opened for one command."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mailroute.cli.output import Output
from mailroute.composition import Source, check_source


@asynccontextmanager
async def opened(source: Source, output: Output) -> AsyncIterator[None]:
    """Try the mapping's table, start it, close it in the end.

    What it can do without, such as a database that is away now, is told; the lookups will say
    what comes of it.  Raises ConfigurationError.
    """
    for warning in check_source(source):
        output.note(f"warning: {warning}")
    await source.start()
    try:
        yield
    finally:
        await source.close()
