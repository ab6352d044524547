"""Joined sessions, plain and over TLS on either leg, ready to be stressed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from mailroute.events import Accepted
from mailroute.net.joint import HALF_CLOSED_SECONDS, Joint
from mailroute.route import Trust
from tests.support.backends import CAPABILITIES, Visit
from tests.support.local_reactor import Script
from tests.support.peers import Settings, World
from tests.support.secured import Certificates, server_tls
from tests.test_session import JOINED, SessionCase

LEGS = ((False, False), (True, False), (False, True), (True, True))
"""Whether the client's and the backend's leg are encrypted."""


@dataclass
class Joined:
    """One joined session."""

    world: World
    client: Script
    backend: Visit

    @property
    def joint(self) -> Joint:
        """What joins them."""
        (joint,) = self.world.splicer.joints
        return joint

    def ended(self) -> tuple[str, int, int]:
        """Who closed, and the octets each way, as the log says."""
        fields = self.world.fields("session")
        return fields["closed_by"], fields["in"], fields["out"]


class JoinedCase(SessionCase):
    """Makes joined sessions."""

    def setUp(self) -> None:
        super().setUp()
        self._issued: Any = None

    def issued(self) -> Any:
        if self._issued is None:
            self._issued = Certificates(self).issue("localhost")
        return self._issued

    def join(self, secure_client: bool, secure_backend: bool, trailing: bytes = b"") -> Joined:
        """A session whose streams have just been joined."""
        settings = Settings(
            front=server_tls(self.issued()) if secure_client else None,
            trust=Trust(allow_invalid=True) if secure_backend else None,
        )
        self.world = world = World(self.reactor, settings)
        world.east.tls = server_tls(self.issued()) if secure_backend else None
        world.east.verdict = Accepted(CAPABILITIES)
        world.east.trailing = trailing
        client, _ = world.log_in()
        heard = client.take()
        self.assertEqual(heard, JOINED + trailing)
        return Joined(world, client, world.east.last)

    def joins(self) -> Any:
        """A joined session for each combination of legs, one after the other."""
        for secure_client, secure_backend in LEGS:
            yield self.join(secure_client, secure_backend)
            self.end()

    def leave(self, client: Script) -> None:
        """The client closes, and the session ends.

        That a plain client has left altogether cannot be told from a half-close, which cannot
        be passed on to a backend behind TLS: it has its bounded time.
        """
        client.leave()
        self.settle()
        if self.world.settings.trust and not self.world.settings.front:
            self.advance(HALF_CLOSED_SECONDS * 2)
