"""Joining two connections."""

from __future__ import annotations

from collections.abc import Callable

from mailroute.net.joint import Joint, Joints, Totals
from mailroute.net.peer import Peer
from mailroute.net.pipes import PipePool
from mailroute.net.transport import Clock

__all__ = ["Joint", "Splicer", "Totals"]


class Splicer:
    """Joins peers, and knows the joints that are alive."""

    def __init__(self, clock: Clock, idle_seconds: float) -> None:
        self._joints = Joints(clock, idle_seconds, PipePool())
        self.joints = self._joints.alive

    def splice(self, client: Peer, backend: Peer, ended: Callable[[Totals], None]) -> None:
        """Join the two; ``ended`` is called when both connections are gone.

        If that fails, both are closed, and ``ended`` is not called.
        """
        joint = Joint(client, backend, self._joints, ended)
        try:
            joint.start(client, backend)
        except BaseException:
            joint.fail()
            raise

    def close(self) -> None:
        """Give the pooled pipes back."""
        self._joints.pool.close()
