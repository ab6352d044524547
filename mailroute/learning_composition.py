"""What makes the dialogues of listeners, where their promises are learnt from the destinations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from twisted.logger import Logger

from mailroute import composition
from mailroute.client_dialogue import ClientDialogue
from mailroute.config import model
from mailroute.credentials import Identity
from mailroute.destination_composition import declared_destinations
from mailroute.errors import Failure
from mailroute.events import Accepted, ClientMilestone, Login, Rejected
from mailroute.learning import Learner
from mailroute.net.connector import Connector, Dial, Limits
from mailroute.net.transport import Clock
from mailroute.offer import Policy
from mailroute.patterns import is_pattern
from mailroute.protocols import PROTOCOLS, MakeServer, Probing
from mailroute.route import Origin, Route, TLSMode
from mailroute.server_dialogue import ServerDialogue
from mailroute.session import Backend, Connect

_NOBODY = Login(Identity("nobody"), "PLAIN", None)
"""A probe leaves before the login."""


class Learning:
    """The learners of a configuration; without any it costs nothing."""

    def __init__(
        self, configuration: model.Configuration, connector: Connector, dial: Dial, clock: Clock
    ) -> None:
        self._connector = connector
        self._offers: dict[str, _LearntOffer] = {}
        for protocol, capabilities in configuration.capabilities.items():
            is_served = any(each.protocol == protocol for each in configuration.listeners)
            if capabilities.learn and is_served:
                prober = _prober(configuration, connector, dial, clock)
                self._offers[protocol] = _LearntOffer(configuration, protocol, prober, clock)

    def start(self) -> None:
        """Begin to ask."""
        for offer in self._offers.values():
            offer.learner.start(offer.interval_seconds)

    def stop(self) -> None:
        """Ask no more."""
        for offer in self._offers.values():
            offer.learner.stop()

    def make_server(self, protocol: str) -> MakeServer | None:
        """What makes the dialogues of this protocol, where its promises are learnt."""
        offer = self._offers.get(protocol)
        return None if offer is None else offer.make

    @property
    def connect(self) -> Connect:
        """What connects sessions with backends, and has those asked that fail."""
        return self._connect if self._offers else self._connector.connect

    async def _connect(
        self, route: Route, login: Login, origin: Origin
    ) -> tuple[Backend, ClientMilestone]:
        offer = self._offers.get(origin.protocol)
        try:
            backend, milestone = await self._connector.connect(route, login, origin)
        except Failure:
            if offer is not None:
                offer.learner.failed(route.destination)
            raise
        is_refused = isinstance(milestone, Rejected) and milestone.failure.kind.temporary
        if offer is not None and is_refused:
            offer.learner.failed(route.destination)
        return backend, milestone


class _LearntOffer:
    """What one protocol's clients are offered."""

    def __init__(
        self, configuration: model.Configuration, protocol: str, prober: Connector, clock: Clock
    ) -> None:
        self._protocol = PROTOCOLS[protocol]
        self._probing = _probing(protocol)
        self._prober = prober
        self._looks = composition.appearance(configuration, protocol)
        self._make: MakeServer = self._protocol.make_server(self._looks)
        self.interval_seconds = configuration.capabilities[protocol].learn_interval_seconds
        self._backends = {
            name: destination.endpoints[protocol]
            for name, destination in declared_destinations(configuration).items()
            if protocol in destination.endpoints and not is_pattern(name)
        }
        log = Logger(namespace=f"mailroute.learn.{protocol}")
        self.learner = Learner(tuple(self._backends), self._ask, self._kept, clock, log)
        self.learner.when_learnt = self._learnt

    def make(self, policy: Policy, secure: bool, attempts: int) -> ServerDialogue:
        """See MakeServer."""
        return self._make(policy, secure, attempts)

    def _kept(self, learnt: Sequence[frozenset[str]]) -> tuple[str, ...]:
        own = self._looks.keywords
        return self._probing.kept(self._probing.default if own is None else own, learnt)

    def _learnt(self, kept: tuple[str, ...]) -> None:
        self._make = self._protocol.make_server(replace(self._looks, keywords=kept))

    async def _ask(self, name: str) -> frozenset[str]:
        protocol = self._protocol.name
        # Without an address: a PROXY header then says that this is nobody's connection but ours.
        origin = Origin("learn", protocol, "none", 0, "none", 0)
        route = Route("", name, self._backends[name])
        peer, milestone = await self._prober.connect(route, _NOBODY, origin)
        peer.abandon()
        if isinstance(milestone, Rejected):
            raise Failure(milestone.failure.kind, milestone.failure.reason)
        words = milestone.words if isinstance(milestone, Accepted) else ()
        return frozenset(word.decode("ascii", "replace").upper() for word in words)


def _prober(
    configuration: model.Configuration, connector: Connector, dial: Dial, clock: Clock
) -> Connector:
    """A connector whose dialogues ask, and leave."""
    hostname = configuration.server.hostname

    def make(route: Route, login: Login, origin: Origin) -> ClientDialogue:
        upgrades = route.backend.tls is TLSMode.STARTTLS
        # Nothing secret is said, so nothing has to be secure.
        return _probing(origin.protocol).make(login, upgrades, True, hostname)

    limits = Limits(configuration.server.backend_timeout_seconds, 0)
    prober = Connector(clock, dial, make, limits)
    prober.contexts = connector.contexts
    return prober


def _probing(protocol: str) -> Probing:
    probing = PROTOCOLS[protocol].probing
    if probing is None:
        raise RuntimeError(f"{protocol} is not ours to promise anything in")
    return probing
