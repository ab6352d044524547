"""The client's connection: the user's agent, from its first byte to the join."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from OpenSSL import SSL
from twisted.python.failure import Failure as Caught

from mailroute.events import Event, Rejected, ServerMilestone, Verdict
from mailroute.net.allowance import Allowance
from mailroute.net.peer import Peer, why_lost
from mailroute.net.tls import TLSSide
from mailroute.net.transport import Clock
from mailroute.route import NO_INTRODUCTION, Introduction
from mailroute.server_dialogue import ServerDialogue


class ClientPeer(Peer):
    """The user's agent."""

    def __init__(
        self,
        dialogue: ServerDialogue,
        tls: TLSSide | None,
        tls_first: bool,
        clock: Clock,
        preauth_seconds: float,
    ) -> None:
        super().__init__(tls, tls_first, clock)
        self._dialogue: ServerDialogue | None = dialogue
        self._allowance = Allowance(clock, preauth_seconds, self._out_of_time)
        self.closed_detail = ""
        """More than a word about the end, where there is more to say."""
        self.when_lost: Callable[[], None] | None = None
        """Called when the client leaves before the streams are joined."""
        self.when_made: Callable[[ClientPeer], None] | None = None
        """Called when the connection stands, before anything is said."""

    def connectionMade(self) -> None:
        """Tell who waits for it, then greet."""
        when_made, self.when_made = self.when_made, None
        if when_made is not None:
            when_made(self)
        super().connectionMade()

    @property
    def introduction(self) -> Introduction:
        """What the client has said of itself."""
        return self._dialogue.introduction if self._dialogue is not None else NO_INTRODUCTION

    async def milestone(self) -> ServerMilestone:
        """The next login, or the response to a challenge."""
        return cast(ServerMilestone, await self._next_milestone())

    def challenge(self, data: bytes) -> None:
        """Relay the backend's challenge."""
        self._grant_time()
        self._say(lambda dialogue: dialogue.challenge(data))

    def answer(self, verdict: Verdict) -> None:
        """Tell the client how its login ended; if it failed, it has its time again."""
        if isinstance(verdict, Rejected):
            self._grant_time()
        self._say(lambda dialogue: dialogue.answer(verdict))

    def hand_over(self, heir: object) -> bytes:
        """Give the connection away; returns the trailing data."""
        self.when_lost = None
        return super().hand_over(heir)

    def shut_down(self) -> None:
        """Say goodbye to a client that is not joined yet."""
        self._end("shutting-down", lambda dialogue: dialogue.shut_down())

    def _grant_time(self) -> None:
        if self.is_open:
            self._allowance.renew()

    def _say(self, speak: Callable[[ServerDialogue], list[Event]]) -> None:
        if self._dialogue is not None:
            self.perform(speak(self._dialogue))
            self._resume_if_drained()

    def _out_of_time(self) -> None:
        self._end("timeout", lambda dialogue: dialogue.timed_out())

    def _end(self, why: str, speak: Callable[[ServerDialogue], list[Event]]) -> None:
        if self._tls_first:
            # In the middle of a handshake there are no words.
            self.closed_because = self.closed_because or why
            self._abort()
        else:
            self._say(speak)

    def _end_of_dialogue(self, reason: Caught) -> None:
        if not self.closed_because:
            self.closed_because = why_lost(reason)
            if self._tls is not None and reason.check(SSL.Error):
                self.closed_detail = self._tls.explain(reason)
        when_lost, self.when_lost = self.when_lost, None
        if when_lost is not None:
            when_lost()
