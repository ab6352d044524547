"""The engine that moves bytes through our memory: for TLS on either leg.

Back-pressure is the transports' own: a side that cannot be written to pauses the reading of
the other, so a session never holds more than the transports' buffers.
"""

from __future__ import annotations

from mailroute.net.joint import Joint, Side


class Pump(Joint):
    """A joint whose sides write what the other one reads."""

    def _begin(self) -> None:
        for side in (self.client, self.backend):
            side.peer.transport.registerProducer(side.other.peer.transport, True)
        for side in (self.client, self.backend):
            if side.peer.is_connected:
                side.peer.resume_reading()

    def _stop_moving(self) -> None:
        for side in (self.client, self.backend):
            if side.peer.is_connected:
                side.peer.transport.unregisterProducer()
                # The other side's close_notify has to be seen; its bytes go nowhere.
                side.peer.resume_reading()

    def _pass_end_on(self, side: Side) -> None:
        side.peer.transport.unregisterProducer()
        side.peer.transport.loseWriteConnection()
