"""``mailroute lookup``: where accounts live, found as a login finds it."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.circumstances import Circumstances, circumstances_options
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.credentials import Identity
from mailroute.errors import Failure

if TYPE_CHECKING:
    from mailroute.cli.output import Output
    from mailroute.route import Origin
    from mailroute.routing import Router

STDIN = "-"


@click.command()
@click.argument("identifiers", nargs=-1, required=True, metavar="IDENTIFIER...|-")
@circumstances_options
@everywhere
@click.pass_obj
def command(
    invocation: Invocation, identifiers: tuple[str, ...], circumstances: Circumstances
) -> None:
    """Print the destination of each IDENTIFIER, as a login under that name would get it.

    One identifier: its destination alone.  Several, or - for one on each line of standard
    input: identifier, tab, destination.  Exits with 0 if all were found, 75 if one could not be
    looked up now, else with 1.
    """
    configuration = invocation.configuration()
    origin = circumstances.origin(configuration)
    several = len(identifiers) > 1 or STDIN in identifiers
    names = _lines() if identifiers == (STDIN,) else identifiers

    async def work(reactor: Any) -> int:
        from mailroute import composition
        from mailroute.cli.asking import opened

        source = composition.make_source(configuration, reactor)
        async with opened(source, invocation.output.note):
            cache = composition.make_cache(configuration, source, reactor)
            router = composition.make_router(configuration, cache, reactor)
            asking = Lookups(router, origin, invocation.output, several)
            return await asking.answer(names)

    status: int = invocation.run(work)
    sys.exit(status)


class Lookups:
    """Identifiers looked up one by one, each printed as soon as it is known."""

    def __init__(self, router: Router, origin: Origin, output: Output, several: bool) -> None:
        self._router = router
        self._origin = origin
        self._output = output
        self._several = several

    async def answer(self, identifiers: Iterable[str]) -> int:
        """Look all up; return the exit status."""
        found = {await self._one(identifier) for identifier in identifiers}
        for status in (statuses.TEMPORARY, statuses.ABSENT):
            if status in found:
                return status
        return statuses.OK

    async def _one(self, identifier: str) -> int:
        try:
            route = await self._router.route(Identity(identifier), self._origin)
        except Failure as failure:
            self._failed(identifier, failure)
            return statuses.of(failure)
        data = {"identifier": identifier, "result": "found", "destination": route.destination}
        cells = [identifier] * self._several + [route.destination]
        self._output.put(data, tuple(cells))
        return statuses.OK

    def _failed(self, identifier: str, failure: Failure) -> None:
        result = "failed" if failure.kind.temporary else "absent"
        data = {"identifier": identifier, "result": result, "kind": failure.kind.value}
        if self._output.as_json:
            self._output.put({**data, "reason": failure.reason})
        else:
            self._output.note(f"{identifier}: {failure}")


def _lines() -> list[str]:
    """The lines of standard input that are not empty, read before anything else begins."""
    # What is not UTF-8 becomes a name that is refused, as a client's would be.
    lines = (line.decode("utf-8", "surrogateescape") for line in sys.stdin.buffer)
    return [line.rstrip("\r\n") for line in lines if line.strip()]
