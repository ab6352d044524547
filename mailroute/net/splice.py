"""Joining two connections: one function, and the engine that fits them."""

from __future__ import annotations

from mailroute.net.joint import Joint, Totals
from mailroute.net.kernel import FDReactor, KernelSplice
from mailroute.net.peer import Peer
from mailroute.net.pipes import PipePool
from mailroute.net.pump import Pump

__all__ = ["Joint", "Splicer", "Totals"]


class Splicer:
    """Joins peers, and knows the joints that are alive."""

    def __init__(self, reactor: FDReactor, idle_seconds: float) -> None:
        self._reactor = reactor
        self._idle_seconds = idle_seconds
        self._pool = PipePool()
        self.joints: set[Joint] = set()

    async def splice(self, client: Peer, backend: Peer) -> Totals:
        """Join the two until both connections are gone."""
        joint = self._joint(client, backend)
        self.joints.add(joint)
        try:
            joint.start()
            return await joint.finished
        except Exception:
            joint.end("error")
            raise
        finally:
            self.joints.discard(joint)

    def close(self) -> None:
        """Give the pooled pipes back."""
        self._pool.close()

    def _joint(self, client: Peer, backend: Peer) -> Joint:
        if client.has_plain_socket and backend.has_plain_socket:
            return KernelSplice(client, backend, self._reactor, self._idle_seconds, self._pool)
        return Pump(client, backend, self._reactor, self._idle_seconds)
