"""Connections to backends for one command: those of the service, overheard."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

from mailroute import composition
from mailroute.cli.overhearing import Overheard, Recorder, WitnessedContexts
from mailroute.client_dialogue import ClientDialogue
from mailroute.config.model import Configuration
from mailroute.events import Login
from mailroute.net.connector import Connector, MakeDialogue
from mailroute.net.dialer import Dialer
from mailroute.net.poller import Poller
from mailroute.route import Origin, Route


@asynccontextmanager
async def backends(
    configuration: Configuration, reactor: Any, recorder: Recorder
) -> AsyncIterator[Connector]:
    """What connects to backends and logs in there; every word is told to ``recorder``."""

    def wrap(make: MakeDialogue) -> MakeDialogue:
        def overheard(route: Route, login: Login, origin: Origin) -> ClientDialogue:
            return cast(ClientDialogue, Overheard(make(route, login, origin), recorder))

        return overheard

    poller = Poller(reactor)
    poller.start()
    try:
        dial = recorder.dialled(Dialer(reactor, reactor, poller).dial)
        connector = composition.make_connector(configuration, dial, reactor, wrap)
        connector.contexts = WitnessedContexts(recorder)
        yield connector
    finally:
        poller.close()
