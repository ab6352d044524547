"""What this floor needs of a transport and of time, as types.

Twisted's transports and clocks fit these shapes, and so do its test doubles.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol


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
    """A TCP connection, with or without TLS (ITCPTransport and ITLSTransport)."""

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

    def registerProducer(self, producer: object, streaming: bool) -> None:
        """Tell this producer to pause while much is buffered."""

    def unregisterProducer(self) -> None:
        """Forget the producer."""

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Send small writes at once."""

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Probe a silent connection."""

    def startTLS(self, contextFactory: object) -> None:
        """Begin the handshake."""

    def getHandle(self) -> object:
        """The socket, or the TLS connection."""

    def getPeer(self) -> object:
        """The other end's address."""

    def getHost(self) -> object:
        """Our end's address."""
