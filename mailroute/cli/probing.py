"""Dials every backend up to where a login would begin: greeting, TLS, capabilities.

The dialogue is the one that logs in, with a mechanism that no server has: it asks for the
capabilities and then finds no way to go on.  Nothing secret is there to be said.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from twisted.internet.defer import Deferred, DeferredSemaphore

from mailroute.cli.connecting import backends
from mailroute.cli.overhearing import Recorder
from mailroute.cli.redaction import Redaction
from mailroute.cli.story import Story
from mailroute.config.model import Configuration
from mailroute.credentials import Identity
from mailroute.destination_composition import make_destinations
from mailroute.errors import Failure
from mailroute.events import Login, Rejected
from mailroute.imap import syntax as imap
from mailroute.patterns import is_pattern
from mailroute.protocols import PASS_THROUGH
from mailroute.route import Backend, Origin, Route

MECHANISM = "X-MAILROUTE-CHECK"
PARALLEL = 16
"""Connections at the same time."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One address of one destination for one protocol."""

    destination: str
    protocol: str
    backend: Backend
    """With a single host."""

    def __str__(self) -> str:
        return f"destination.{self.destination}.protocol.{self.protocol}"


@dataclass(frozen=True, slots=True)
class Probed:
    """What was found at an endpoint."""

    endpoint: Endpoint
    fault: str
    """Empty: a login could begin there."""
    tls: Mapping[str, object]
    capabilities: Sequence[str]

    def data(self) -> dict[str, object]:
        """For JSON."""
        backend = self.endpoint.backend
        tls = {name.replace(" ", "_"): value for name, value in self.tls.items()}
        return {
            "destination": self.endpoint.destination,
            "protocol": self.endpoint.protocol,
            "host": backend.hosts[0],
            "port": backend.port,
            "mode": backend.tls.value,
            "fault": self.fault or None,
            "tls": tls,
            "capabilities": list(self.capabilities),
        }

    def words(self) -> str:
        """For people."""
        offers = " | ".join(self.capabilities) or "no capabilities"
        backend = self.endpoint.backend
        place = f"{self.endpoint}: {backend.hosts[0]}:{backend.port}"
        return f"{place}: {self._tls_words() or 'no TLS'}; {offers}"

    def complaint(self) -> str:
        """The fault with its place, and what the other side has shown of itself."""
        shown = self._tls_words()
        return f"{self.endpoint}: {self.fault}" + (f" ({shown})" if shown else "")

    def _tls_words(self) -> str:
        return ", ".join(f"{n} {v}" for n, v in self.tls.items() if n != "refused")


def endpoints(configuration: Configuration) -> Iterator[Endpoint]:
    """Every address of every destination that is no pattern."""
    destinations = make_destinations(configuration)
    for name in configuration.destinations:
        destination = None if is_pattern(name) else destinations.get(name)
        if destination is None:
            continue
        for protocol, backend in destination.endpoints.items():
            for host in backend.hosts:
                yield Endpoint(name, protocol, _single(backend, host))


async def probe_all(configuration: Configuration, reactor: Any) -> list[Probed]:
    """Dial all of them, some at a time; never fails."""
    room = DeferredSemaphore(PARALLEL)

    def begin(endpoint: Endpoint) -> Deferred[Probed]:
        return Deferred.fromCoroutine(probe(configuration, endpoint, reactor))

    waiting = [room.run(begin, endpoint) for endpoint in endpoints(configuration)]
    return [await each for each in waiting]


async def probe(configuration: Configuration, endpoint: Endpoint, reactor: Any) -> Probed:
    """Dial one."""
    recorder = Recorder(Story(reactor.seconds), Redaction(b""))
    route = Route("", endpoint.destination, endpoint.backend)
    origin = Origin("check", endpoint.protocol, "", 0, "", 0)
    login = Login(Identity("mailroute-check"), MECHANISM, None)
    async with backends(configuration, reactor, recorder) as connector:
        try:
            peer, milestone = await connector.connect(route, login, origin)
        except Failure as failure:
            fault = failure.reason
        else:
            peer.abandon()
            fault = _fault(endpoint.protocol, milestone)
    recorder.finish()
    offered = capabilities(endpoint.protocol, recorder.replies)
    return Probed(endpoint, fault, recorder.tls, offered)


def capabilities(protocol: str, replies: Sequence[bytes]) -> list[str]:
    """What a backend advertises, out of its replies; the replies for a protocol not known here."""
    read = _READERS.get(protocol)
    found = list(replies) if read is None else read(replies)
    return [each.decode("utf-8", "backslashreplace") for each in found]


def _single(backend: Backend, host: str) -> Backend:
    return replace(backend, hosts=(host,))


def _fault(protocol: str, milestone: object) -> str:
    if not isinstance(milestone, Rejected):
        # What is passed through has no login: the connection is all.
        return "" if protocol in PASS_THROUGH else "it accepted a login that was none"
    reason = milestone.failure.reason
    # The dialogue came as far as it could: it looked for our mechanism among those offered.
    return "" if reason.endswith(MECHANISM) else reason


def _imap(replies: Sequence[bytes]) -> list[bytes]:
    found = [listed for reply in replies if (listed := imap.capabilities_in(reply)) is not None]
    return sorted(found[-1]) if found else []


def _pop3(replies: Sequence[bytes]) -> list[bytes]:
    """The lines of the list behind CAPA (RFC 2449 section 5)."""
    if b"." not in replies:
        return []
    lines = list(replies[: replies.index(b".")])
    while lines and not lines[0].startswith(b"+OK"):
        lines.pop(0)
    heads = [number for number, line in enumerate(lines) if line.startswith(b"+OK")]
    return lines[heads[-1] + 1 :] if heads else []


def _submission(replies: Sequence[bytes]) -> list[bytes]:
    """The lines behind the first of the answer to EHLO (RFC 5321 section 4.1.1.1)."""
    return [line[4:] for line in replies if line.startswith(b"250")][1:]


def _managesieve(replies: Sequence[bytes]) -> list[bytes]:
    """The names and values of the list, without their quotes (RFC 5804 section 1.7)."""
    return [line.replace(b'"', b"") for line in replies if line.startswith(b'"')]


_READERS: dict[str, Callable[[Sequence[bytes]], list[bytes]]] = {
    "imap": _imap,
    "pop3": _pop3,
    "submission": _submission,
    "managesieve": _managesieve,
}
