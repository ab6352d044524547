"""The backend's connection: the resolved server, from its greeting to the join."""

from __future__ import annotations

from typing import cast

from OpenSSL import SSL
from twisted.python.failure import Failure as Caught

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import ClientMilestone
from mailroute.net.allowance import Allowance
from mailroute.net.peer import Peer, why_lost
from mailroute.net.tls import TLSSide
from mailroute.net.transport import Clock


class BackendPeer(Peer):
    """The resolved server."""

    def __init__(
        self,
        dialogue: ClientDialogue,
        tls: TLSSide | None,
        tls_first: bool,
        clock: Clock,
        seconds: float,
    ) -> None:
        """``seconds``: what is left for the backend to say how the login ended."""
        super().__init__(tls, tls_first, clock)
        self._dialogue: ClientDialogue | None = dialogue
        self._allowance = Allowance(clock, seconds, self._out_of_time)
        self.preamble = b""
        """What is sent before anything else, TLS included."""

    def connectionMade(self) -> None:
        """Say what comes first, then begin."""
        if self.preamble:
            self.transport.write(self.preamble)
        super().connectionMade()

    async def milestone(self) -> ClientMilestone:
        """The backend's challenge or its verdict."""
        return cast(ClientMilestone, await self._next_milestone())

    def respond(self, response: bytes | None) -> None:
        """Relay the client's response; None cancels."""
        if self._dialogue is not None:
            self._allowance.run()
            self.perform(self._dialogue.respond(response))
            self._resume_if_drained()

    def abandon(self) -> None:
        """Leave the backend at once: nobody waits for it any more."""
        self._dialogue = None
        self._allowance.hold()
        if self.is_connected:
            self._leave()

    def _out_of_time(self) -> None:
        if self._dialogue is not None:
            self.perform(self._dialogue.timed_out())
            self._abort()

    def _distrust(self, failure: Failure) -> None:
        # Told at once: what came in together with the handshake's end must find nobody to
        # answer it with a password.
        super()._distrust(failure)
        if self._dialogue is not None:
            self.perform(self._dialogue.ended(failure))

    def _end_of_dialogue(self, reason: Caught) -> None:
        dialogue = self._dialogue
        if dialogue is not None:
            self.perform(dialogue.ended(self._diagnosis(reason)))

    def _diagnosis(self, reason: Caught) -> Failure:
        if self._tls is not None and reason.check(SSL.Error):
            return Failure(FailureKind.BACKEND_UNTRUSTED, self._tls.explain(reason))
        return Failure(FailureKind.BACKEND_UNREACHABLE, f"connection lost ({why_lost(reason)})")
