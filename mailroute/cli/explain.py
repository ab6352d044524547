"""``mailroute explain``: every step from a login's name to its route."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.circumstances import Circumstances, circumstances_options
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.credentials import Identity, Supplied
from mailroute.errors import Failure
from mailroute.route import Origin, Route

if TYPE_CHECKING:
    from mailroute.cli.output import Output
    from mailroute.cli.story import Story
    from mailroute.cli.telling import TellingRouter
    from mailroute.config.model import Configuration
    from mailroute.tables.string_table import StringTable


@click.command()
@click.argument("identifier")
@circumstances_options
@everywhere
@click.pass_obj
def command(invocation: Invocation, identifier: str, circumstances: Circumstances) -> None:
    """Show how the route of a login as IDENTIFIER is found.

    Each step with what it was given, what came of it and the milliseconds it took: master user,
    normalisation, cache, the tables or queries with their parameters, the row, the policy, and
    the server in the end.  Exit statuses as those of lookup.
    """
    configuration = invocation.configuration()
    origin = circumstances.origin(configuration)

    async def work(reactor: Any) -> int:
        from time import perf_counter

        from mailroute.cli.story import Story

        return await explain(
            Explained(configuration, reactor, Story(perf_counter)),
            identifier,
            origin,
            invocation.output,
        )

    status: int = invocation.run(work)
    sys.exit(status)


class Explained:
    """The mapping and its router, of which every step is told."""

    def __init__(self, configuration: Configuration, reactor: Any, story: Story) -> None:
        """Raises ConfigurationError."""
        from mailroute import composition
        from mailroute.cli.telling import TellingRouter, TellingSource, TellingTable, table_facts
        from mailroute.destination_composition import make_destinations

        def wrap(place: str, table: StringTable) -> StringTable:
            settings = configuration.tables.get(place.removeprefix("table."))
            return TellingTable(place, table, table_facts(settings), story)

        self.story = story
        self.source = composition.make_source(configuration, reactor, wrap=wrap)
        told = TellingSource(self.source, configuration, story)
        self.router: TellingRouter = TellingRouter(
            composition.make_cache(configuration, told, reactor),
            make_destinations(configuration),
            composition.make_policy(configuration),
            reactor,
            story,
        )


async def explain(explained: Explained, identifier: str, origin: Origin, output: Output) -> int:
    """Find the route and print how; return the exit status.  Raises ConfigurationError."""
    from mailroute.cli.asking import opened

    story, status, end = explained.story, statuses.OK, {"result": "found"}
    async with opened(explained.source, output.note):
        since = story.seconds()
        try:
            route = await explained.router.route(Identity(identifier), origin)
            story.tell("route", route_facts(route, identifier), since)
        except Failure as failure:
            status = statuses.of(failure)
            result = "failed" if failure.kind.temporary else "absent"
            end = {"result": result, "kind": failure.kind.value, "reason": failure.reason}
            story.tell("no route", {"kind": failure.kind.value, "reason": failure.reason}, since)
    about = {"identifier": identifier, "protocol": origin.protocol}
    data = {**about, **end, "steps": [step.data() for step in story.steps]}
    grid = None
    if not output.as_json:
        grid = output.grid(("step", "ms", "what"), [step.cells() for step in story.steps])
    output.put(data, grid)
    return status


def route_facts(route: Route, identifier: str) -> dict[str, object]:
    """Where the login goes in the end, and under which name."""
    backend, trust = route.backend, route.backend.trust
    facts: dict[str, object] = {
        "destination": route.destination,
        "hosts": list(backend.hosts),
        "port": backend.port,
        "tls": backend.tls.value,
        "login name": route.login_name or identifier,
    }
    if backend.mechanism is not None:
        facts["mechanism"] = backend.mechanism
    if backend.source_ips:
        facts["source addresses"] = list(backend.source_ips)
    if route.supplied is not None:
        facts["password"] = _supplied_words(route.supplied)
    if backend.tls.value == "plain":
        return {**facts, "allow_plaintext_auth": backend.allow_plaintext_auth}
    if trust.pinned_sha256 is not None:
        return {**facts, "certificate": f"with the SHA-256 {trust.pinned_sha256.hex()}"}
    if trust.allow_invalid:
        return {**facts, "certificate": "any: tls_allow_invalid_certs"}
    names = [trust.server_name] if trust.server_name else list(backend.hosts)
    authorities = trust.ca_file or "the system's authorities"
    return {**facts, "certificate": f"for {' or '.join(names)}, by {authorities}"}


def _supplied_words(supplied: Supplied) -> str:
    """Whose password goes out instead of the client's, and when."""
    whose = "the account" if supplied.master_user is None else supplied.master_user
    when = "every login" if supplied.replaces_unchecked else "a login by certificate alone"
    return f"ours, of {whose}, for {when}"
