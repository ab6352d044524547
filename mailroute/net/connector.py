"""From a route to a backend that has answered the login.

The addresses of a backend are tried in order and, for failures that another try may cure, once
more after a short pause; everything under one allowance of time.  Names are resolved when the
connection is made, IPv6 and IPv4 alike (RFC 8305, through Twisted's HostnameEndpoint).
"""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, TCP6ClientEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import ClientMilestone, Login, Rejected
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.tls import BackendContexts
from mailroute.route import Backend, Origin, Route, TLSMode

RETRIABLE = frozenset({FailureKind.BACKEND_UNREACHABLE})
"""What another address, or the same one a moment later, may do better."""
JITTER_SECONDS = (0.1, 0.3)

MakeDialogue = Callable[[Route, Login, Origin], ClientDialogue]


class Connector:
    """Makes connections to backends."""

    def __init__(
        self, reactor: Any, make_dialogue: MakeDialogue, seconds: float, retries: int
    ) -> None:
        """``seconds``: connect and login together; ``retries``: further rounds of addresses."""
        self._reactor = reactor
        self._make_dialogue = make_dialogue
        self._seconds = seconds
        self._retries = retries
        self.contexts = BackendContexts()

    async def connect(
        self, route: Route, login: Login, origin: Origin
    ) -> tuple[BackendPeer, ClientMilestone]:
        """A backend and its first milestone; raises Failure when none could be reached."""
        deadline = self._reactor.seconds() + self._seconds
        failures: list[Failure] = []
        for attempt in range(1 + self._retries):
            if attempt and self._reactor.seconds() < deadline:
                await deferLater(self._reactor, random.uniform(*JITTER_SECONDS))  # noqa: S311
            for number, host in enumerate(route.backend.hosts):
                left = deadline - self._reactor.seconds()
                if left <= 0:
                    break
                share = left / (len(route.backend.hosts) - number)
                try:
                    dialogue = self._make_dialogue(route, login, origin)
                    return await self._try(route.backend, host, dialogue, (share, deadline))
                except Failure as failure:
                    if failure.kind not in RETRIABLE:
                        raise
                    failures.append(failure)
        raise failures[-1] if failures else Failure(FailureKind.BACKEND_TIMED_OUT, "no time left")

    async def _try(
        self, backend: Backend, host: str, dialogue: ClientDialogue, times: tuple[float, float]
    ) -> tuple[BackendPeer, ClientMilestone]:
        """One address; raises Failure when it was not reached."""
        connect_seconds, deadline = times
        is_plain = backend.tls is TLSMode.PLAIN
        tls = None if is_plain else self.contexts.side(backend.trust, host)

        def make_peer() -> BackendPeer:
            is_implicit = backend.tls is TLSMode.IMPLICIT
            left = max(deadline - self._reactor.seconds(), 0.0)
            return BackendPeer(dialogue, tls, is_implicit, self._reactor, left)

        where = f"{host}:{backend.port}"
        peer = await self._dial(where, (host, backend.port), make_peer, connect_seconds)
        try:
            milestone = await peer.milestone()
        except BaseException:
            peer.abandon()
            raise
        if not isinstance(milestone, Rejected):
            return peer, milestone
        failure = Failure(milestone.failure.kind, f"{where}: {milestone.failure.reason}")
        if failure.kind in RETRIABLE:
            peer.abandon()
            raise failure
        return peer, Rejected(failure, milestone.words, milestone.untagged)

    async def _dial(
        self,
        where: str,
        address: tuple[str, int],
        make_peer: Callable[[], BackendPeer],
        seconds: float,
    ) -> BackendPeer:
        """A connection; raises Failure when there is none in time."""
        factory: Any = Factory.forProtocol(make_peer)
        factory.noisy = False
        connecting = _leavable(self._endpoint(*address, seconds).connect(factory))
        try:
            peer: BackendPeer = await connecting.addTimeout(seconds, self._reactor)
            return peer
        except TimeoutError:
            reason = f"{where}: no connection within {seconds:.1f} s"
        except DNSLookupError:
            reason = f"{where}: the name does not resolve"
        except ValueError:
            reason = f"{where}: this is no host name"
        except (ConnectError, OSError) as error:
            reason = f"{where}: {error}"
        raise Failure(FailureKind.BACKEND_UNREACHABLE, reason)

    def _endpoint(self, host: str, port: int, seconds: float) -> Any:
        """An address needs no resolver: those threads may be busy with names that hang."""
        if isIPAddress(host):
            return TCP4ClientEndpoint(self._reactor, host, port, timeout=seconds)
        if isIPv6Address(host):
            return TCP6ClientEndpoint(self._reactor, host, port, timeout=seconds)
        return HostnameEndpoint(self._reactor, host, port, timeout=seconds)


def _leavable(connecting: Deferred[Any]) -> Deferred[Any]:
    """The same, but cancelling it always ends in CancelledError.

    A cancelled HostnameEndpoint reports a name that does not resolve or an error of its own, as
    if the network were at fault: whoever left would be taken for somebody who is still there.
    """

    def leave(outcome: Deferred[Any]) -> None:
        outcome.errback(CancelledError())
        connecting.cancel()

    def arrived(result: Any) -> None:
        if not outcome.called:
            outcome.callback(result)
        elif isinstance(result, BackendPeer):
            result.abandon()

    outcome: Deferred[Any] = Deferred(leave)
    connecting.addBoth(arrived)
    return outcome
