"""A connection to Redis by txredisapi's protocol, with bounds.

txredisapi imports the reactor: this module is imported where one is at work.
"""

from __future__ import annotations

from typing import Any

import txredisapi
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.internet.protocol import Factory

from mailroute.errors import LookupFailed
from mailroute.tables.redis_url import RedisTarget
from mailroute.tables.sql_table import one_line

VALUE_LIMIT_OCTETS = 65536
"""A longer value ends the connection."""

Lost = txredisapi.ConnectionError
Refused = txredisapi.RedisError


class RedisConnection(txredisapi.BaseRedisProtocol):  # type: ignore[misc]
    """A connection; keys and values are octets."""

    def __init__(self, target: RedisTarget) -> None:
        super().__init__(
            charset=None,
            password=target.password,
            username=target.user,
            dbid=target.database,
            convertNumbers=False,
        )
        self.opened: Deferred[RedisConnection] = Deferred()
        """Fires when the server has let us in; fails with LookupFailed."""
        self.lost_because = "the connection was lost"
        self.whenConnected().chainDeferred(self.opened)

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked."""
        return bool(self.connected)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Read on; what is no reply ends the connection."""
        try:
            super().dataReceived(data, unpause)
        except ValueError:
            # txredisapi's, for a line that is no text.
            self.lost_because += ": what answers does not speak Redis' protocol"
            self.transport.abortConnection()

    def lineReceived(self, line: str) -> None:
        """Read the head of a reply; one of a giant value ends the connection."""
        if line[:1] == "$" and len(line) > 1 and not _within_bound(line[1:]):
            self.transport.abortConnection()
            return
        super().lineReceived(line)

    def connectionLost(self, reason: Any) -> None:
        """Fail what waits for an answer."""
        if not reason.check(ConnectionDone):
            # A broken handshake shows in nothing else.
            self.lost_because += f": {one_line(reason.value)}"
        super().connectionLost(reason)
        if not self.opened.called:
            self.opened.errback(LookupFailed(self.factory.fault or self.lost_because))

    def abort(self) -> None:
        """Close at once."""
        if self.transport is not None:
            self.transport.abortConnection()


class RedisConnections(Factory):
    """Makes one connection and keeps what txredisapi says of its login."""

    noisy = False
    isLazy = False

    def __init__(self, target: RedisTarget) -> None:
        self._target = target
        self.fault = ""

    def buildProtocol(self, address: Any) -> RedisConnection:
        """Make the connection's protocol."""
        connection = RedisConnection(self._target)
        connection.factory = self
        return connection

    def stopTrying(self) -> None:
        """Nothing to stop: the pool connects when there is a question."""

    def connectionError(self, message: str) -> None:
        """Note why the server does not let us in."""
        self.fault = message.removeprefix("Redis error: ")


def _within_bound(length: str) -> bool:
    return len(length) <= 6 and length.lstrip("-").isdigit() and int(length) <= VALUE_LIMIT_OCTETS
