"""From a route to a backend that has answered the login.

The addresses of a backend are tried in order and, for failures that another try may cure, once
more after a short pause; everything under one allowance of time.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, cast

from twisted.internet.task import deferLater
from twisted.logger import Logger

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import ClientMilestone, Login, Rejected
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.proxyheader import header_for
from mailroute.net.tls import BackendContexts
from mailroute.net.transport import Clock
from mailroute.net.untold import Untold
from mailroute.route import Backend, Forwarding, Origin, Route, TLSMode

RETRIABLE = frozenset({FailureKind.BACKEND_UNREACHABLE, FailureKind.BACKEND_TIMED_OUT})
"""What another address, or the same one a moment later, may do better: before the login."""
JITTER_SECONDS = (0.1, 0.3)

MakeDialogue = Callable[[Route, Login, Origin], ClientDialogue]
Dial = Callable[
    [str, int, Callable[[], BackendPeer], float, tuple[str, ...]], Awaitable[BackendPeer]
]
"""Connects to host and port within some seconds, and makes the peer then; raises Failure.

Last come the addresses to connect from, if it matters.
"""


@dataclass(frozen=True, slots=True)
class Limits:
    """How long and how often."""

    seconds: float
    """Connect and login together, retries included."""
    retries: int
    """Further rounds of addresses."""


class Connector:
    """Makes connections to backends."""

    def __init__(
        self, clock: Clock, dial: Dial, make_dialogue: MakeDialogue, limits: Limits
    ) -> None:
        self._clock = clock
        self._dial = dial
        self._make_dialogue = make_dialogue
        self._limits = limits
        self.contexts = BackendContexts()
        self._untold = Untold(Logger(namespace="mailroute.forwarding"))

    async def connect(
        self, route: Route, login: Login, origin: Origin
    ) -> tuple[BackendPeer, ClientMilestone]:
        """A backend and its first milestone; raises Failure when none could be reached."""
        deadline = self._clock.seconds() + self._limits.seconds
        failures: list[Failure] = []
        preamble = _preamble(route.backend, origin)
        for attempt in range(1 + self._limits.retries):
            if attempt and self._clock.seconds() < deadline:
                await deferLater(cast(Any, self._clock), random.uniform(*JITTER_SECONDS))  # noqa: S311
            for number, host in enumerate(route.backend.hosts):
                left = deadline - self._clock.seconds()
                if left <= 0:
                    break
                # A silent address does not use up the time of those behind it.
                share = left / (len(route.backend.hosts) - number)
                dialogue = self._make_dialogue(route, login, origin)
                try:
                    found = await self._try(route.backend, host, dialogue, share, preamble)
                except Failure as failure:
                    if failure.kind not in RETRIABLE or dialogue.login_is_used:
                        raise
                    # Its frames hold the login, and itself.
                    failure.__traceback__ = None
                    failures.append(failure)
                    continue
                if dialogue.is_untold:
                    self._untold.note(route.destination, origin.protocol, dialogue.extension)
                return found
        raise failures[-1] if failures else Failure(FailureKind.BACKEND_TIMED_OUT, "no time left")

    async def _try(
        self,
        backend: Backend,
        host: str,
        dialogue: ClientDialogue,
        seconds: float,
        preamble: bytes,
    ) -> tuple[BackendPeer, ClientMilestone]:
        """One address; raises Failure when it was not reached, or lost."""
        until = self._clock.seconds() + seconds
        is_plain = backend.tls is TLSMode.PLAIN
        tls = None if is_plain else self.contexts.side(backend.trust, host)

        def make_peer() -> BackendPeer:
            left = max(until - self._clock.seconds(), 0.0)
            comes_first = backend.tls is TLSMode.IMPLICIT
            peer = BackendPeer(dialogue, tls, comes_first, self._clock, left)
            peer.preamble = preamble
            return peer

        peer = await self._dial(host, backend.port, make_peer, seconds, backend.source_ips)
        try:
            milestone = await peer.milestone()
        except BaseException:
            peer.abandon()
            raise
        if not isinstance(milestone, Rejected):
            return peer, milestone
        failure = _placed(milestone.failure, f"{host}:{backend.port}")
        if failure.kind in RETRIABLE:
            peer.abandon()
            raise failure
        return peer, Rejected(failure, milestone.words, milestone.untagged)


def _placed(failure: Failure, place: str) -> Failure:
    return Failure(failure.kind, f"{place}: {failure.reason}")


def _preamble(backend: Backend, origin: Origin) -> bytes:
    if backend.forwarding is not Forwarding.PROXY:
        return b""
    return header_for(origin, backend.proxy_version)
