"""One session: from the client's first login to the joined streams.

The session knows no protocol, no socket and no configuration.  It asks for a route, has a
backend connected, passes challenges and responses, and tells the client the verdict.  A client
that leaves cancels the coroutine wherever it stands; ``finally`` and ``except`` unwind.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Protocol

from mailroute.credentials import Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import (
    Challenge,
    ClientMilestone,
    Login,
    Rejected,
    Response,
    ServerMilestone,
    TLSInfo,
    Verdict,
)
from mailroute.journal import Journal
from mailroute.route import Forwarding, Introduction, Origin, Route


class Client(Protocol):
    """The client's side, as a session sees it."""

    tls_info: TLSInfo | None

    @property
    def introduction(self) -> Introduction:
        """What the client has said of itself."""

    async def milestone(self) -> ServerMilestone:
        """The next login, or the response to a challenge."""

    def challenge(self, data: bytes) -> None:
        """Relay a challenge."""

    def answer(self, verdict: Verdict) -> None:
        """Tell how the login ended."""


class Backend(Protocol):
    """The backend's side, as a session sees it."""

    async def milestone(self) -> ClientMilestone:
        """The next challenge, or the verdict."""

    def respond(self, response: bytes | None) -> None:
        """Relay a response; None cancels."""

    def abandon(self) -> None:
        """Leave at once."""


class Routes(Protocol):
    """Where accounts live."""

    async def route(self, identity: Identity, origin: Origin) -> Route:
        """The route for this identity; raises Failure."""

    async def revalidate(self, identity: Identity, origin: Origin, route: Route) -> Route | None:
        """The route past the cache where it differs from one that was refused, else None."""


class Totals(Protocol):
    """How a joined stream ended."""

    @property
    def from_client(self) -> int:
        """Octets."""

    @property
    def from_backend(self) -> int:
        """Octets."""

    @property
    def closed_by(self) -> str:
        """A stable word for the log."""


Connect = Callable[[Route, Login, Origin], Awaitable[tuple[Backend, ClientMilestone]]]
Splice = Callable[[Client, Backend, Callable[[Totals], None]], None]
"""Joins the streams, and calls with the totals when both have ended."""
Pause = Callable[[float], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What every session of a listener shares."""

    routes: Routes
    connect: Connect
    splice: Splice
    seconds: Callable[[], float]
    pause: Pause
    """Wait for some seconds."""
    auth_failure_delay_seconds: float
    """The least time from a failed login to its answer, whatever failed."""


class Session:
    """One client's session, until its streams are joined."""

    def __init__(
        self, client: Client, origin: Origin, surroundings: Surroundings, journal: Journal
    ) -> None:
        self._client = client
        self._origin = origin
        self._around = surroundings
        self._journal = journal
        self._asked = 0.0
        """When the present login came."""

    async def run(self, ended: Callable[[Totals], None]) -> None:
        """Serve logins until one is accepted, and join the streams: there it is over.

        ``ended`` is called when the joined streams have ended; never if this raises.
        """
        backend = await self._admit()
        self._around.splice(self._client, backend, ended)

    async def _admit(self) -> Backend:
        """Returns with the first accepted login.

        No frame of this loop holds a login: its secret dies with its verdict.
        """
        while True:
            backend, verdict = await self._approach(await self._next_login())
            if backend is None:
                await self._hold_back()
            try:
                self._client.answer(verdict)
            except BaseException:
                if backend is not None:
                    backend.abandon()
                raise
            if backend is not None:
                return backend

    async def _next_login(self) -> Login:
        login = await self._client.milestone()
        while isinstance(login, Response):
            # An answer to a challenge whose exchange has ended meanwhile.
            login = await self._client.milestone()
        self._asked = self._around.seconds()
        info = self._client.tls_info
        self._journal.encrypted(info)
        if info is not None and info.server_name:
            self._origin = replace(self._origin, sni=info.server_name)
        return login

    async def _approach(self, login: Login) -> tuple[Backend | None, Verdict]:
        """Route, connect and log in; every failure becomes a rejection."""
        attempt = _Attempt(login)
        try:
            backend, verdict = await self._try(attempt)
        except Failure as failure:
            # Its frames hold the login, and often each other: neither they nor it are kept.
            failure.__traceback__ = None
            backend, verdict = None, Rejected(Failure(failure.kind, failure.reason))
        if isinstance(verdict, Rejected):
            verdict = _without_ours(verdict, login, attempt.route)
            self._journal.rejected(login, attempt.route, verdict.failure)
            if attempt.route is not None and attempt.route.hide_auth_errors:
                verdict = Rejected(verdict.failure)
        elif attempt.route is not None:
            self._journal.joined(login, attempt.route)
        return backend, verdict

    async def _try(self, attempt: _Attempt) -> tuple[Backend | None, Verdict]:
        routes, identity = self._around.routes, attempt.login.identity
        attempt.route = await routes.route(identity, self._origin)
        backend, verdict = await self._log_in(attempt, attempt.route)
        if isinstance(verdict, Rejected) and verdict.failure.kind.counts_as_attempt:
            # The account may have moved since its row was read.  An exchange with challenges
            # cannot be repeated, so there the next attempt finds the new server.
            moved = await routes.revalidate(identity, self._origin, attempt.route)
            if moved is not None and not attempt.was_relayed:
                attempt.route = moved
                backend, verdict = await self._log_in(attempt, moved)
        return backend, verdict

    async def _log_in(self, attempt: _Attempt, route: Route) -> tuple[Backend | None, Verdict]:
        """Connect and pass the exchange through, until the backend's verdict."""
        origin = self._origin
        if route.backend.forwarding is not Forwarding.NONE:
            client = self._client
            origin = replace(origin, tls=client.tls_info, introduction=client.introduction)
        backend, step = await self._around.connect(route, attempt.login, origin)
        try:
            while isinstance(step, Challenge):
                attempt.was_relayed = True
                self._client.challenge(step.data)
                response = await self._client.milestone()
                backend.respond(response.data if isinstance(response, Response) else None)
                step = await backend.milestone()
        except BaseException:
            backend.abandon()
            raise
        if isinstance(step, Rejected):
            backend.abandon()
            return None, step
        return backend, step

    async def _hold_back(self) -> None:
        """An unknown account, a wrong password and an outage all take the same least time."""
        elapsed = self._around.seconds() - self._asked
        left = self._around.auth_failure_delay_seconds - elapsed
        if left > 0:
            await self._around.pause(left)


def _without_ours(verdict: Rejected, login: Login, route: Route | None) -> Rejected:
    """Credentials of ours that a backend refuses are no fault of the client's, nor its to read."""
    supplied = route.supplied if route is not None else None
    if supplied is None or not supplied.replaces(login.mechanism):
        return verdict
    failure = verdict.failure
    if failure.kind.counts_as_attempt:
        reason = f"our own credentials were refused, or the account is not there: {failure.reason}"
        failure = Failure(FailureKind.BACKEND_INCAPABLE, reason)
    return Rejected(failure)


class _Attempt:
    """What is learnt while one login is tried."""

    def __init__(self, login: Login) -> None:
        self.login = login
        self.route: Route | None = None
        self.was_relayed = False
