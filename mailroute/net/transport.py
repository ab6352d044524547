"""What this floor needs of a transport and of time, as types.

Streams and coarse clocks fit these shapes, and so do Twisted's clocks and the tests' doubles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from mailroute.net.tls import TLSSide


class DelayedCall(Protocol):
    """A call in the future."""

    def cancel(self) -> None:
        """Never make it."""


class Clock(Protocol):
    """Time."""

    def seconds(self) -> float:
        """Seconds since some fixed moment."""

    def callLater(
        self, delay: float, callable: Callable[..., object], *args: object
    ) -> DelayedCall:
        """Call something after this many seconds."""


class Transport(Protocol):
    """A connection, with or without TLS."""

    def write(self, data: bytes) -> None:
        """Send, or buffer to send."""

    def loseConnection(self) -> None:
        """Close after what was written."""

    def abortConnection(self) -> None:
        """Close at once."""

    def loseWriteConnection(self) -> None:
        """Close our half after what was written."""

    def pauseProducing(self) -> None:
        """Stop reading."""

    def resumeProducing(self) -> None:
        """Read on."""

    def startTLS(self, side: TLSSide) -> None:
        """Begin the handshake."""

    def getHandle(self) -> object:
        """The socket, or the TLS connection."""

    def getPeer(self) -> object:
        """The other end's address."""

    def getHost(self) -> object:
        """Our end's address."""
