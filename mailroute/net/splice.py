"""Joining two connections."""

from __future__ import annotations

from mailroute.net.joint import Joint, Totals
from mailroute.net.peer import Peer
from mailroute.net.pipes import PipePool
from mailroute.net.transport import Clock

__all__ = ["Joint", "Splicer", "Totals"]


class Splicer:
    """Joins peers, and knows the joints that are alive."""

    def __init__(self, clock: Clock, idle_seconds: float) -> None:
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._pool = PipePool()
        self.joints: set[Joint] = set()

    async def splice(self, client: Peer, backend: Peer) -> Totals:
        """Join the two until both connections are gone."""
        joint = Joint(client, backend, self._clock, self._idle_seconds, self._pool)
        self.joints.add(joint)
        try:
            joint.start()
            return await joint.finished
        finally:
            self.joints.discard(joint)

    def close(self) -> None:
        """Give the pooled pipes back."""
        self._pool.close()
