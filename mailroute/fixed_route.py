"""The route of sessions that are all for one destination."""

from __future__ import annotations

from mailroute.credentials import Identity
from mailroute.route import Backend, Origin, Route


class FixedRoute:
    """Leads everybody to the same backend."""

    def __init__(self, destination: str, backend: Backend) -> None:
        self._route = Route(account="", destination=destination, backend=backend)

    async def route(self, identity: Identity, origin: Origin) -> Route:
        """See ``session.Routes``."""
        return self._route

    async def revalidate(self, identity: Identity, origin: Origin, route: Route) -> Route | None:
        """There is nowhere else to go."""
        return None
