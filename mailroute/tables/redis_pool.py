"""Connections to a Redis server, made when they are needed; none of them waits without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Reactor, in_time
from mailroute.tables.kept_connections import ConnectionGone, KeptConnections
from mailroute.tables.redis_url import RedisTarget
from mailroute.tables.sql_table import one_line

if TYPE_CHECKING:
    from mailroute.tables.redis_protocol import RedisConnection

T = TypeVar("T")


class RedisPool:
    """At most ``size`` connections, one question on each at a time."""

    def __init__(self, target: RedisTarget, size: int, reactor: Reactor) -> None:
        self._target = target
        self._reactor = reactor
        self._endpoint: Any = None
        self._kept: KeptConnections[RedisConnection] = KeptConnections(
            size, reactor, self._connected
        )

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return len(self._kept)

    async def ask(self, question: Callable[[RedisConnection], Deferred[T]], until: float) -> T:
        """Put a question; once more, on a new connection, where the first one was dead.

        Raises LookupFailed, at ``until`` at the latest.
        """
        try:
            return await self._kept.ask(lambda kept: self._ask(kept, question, until), until)
        except ConnectionGone as error:
            raise self._failed(str(error)) from None

    async def close(self) -> None:
        """Refuse new questions, close every connection, in bounded time."""
        await self._kept.close()

    async def _ask(
        self,
        connection: RedisConnection,
        question: Callable[[RedisConnection], Deferred[T]],
        until: float,
    ) -> T:
        from mailroute.tables.redis_protocol import Lost, Refused

        try:
            answer = await in_time(question(connection), until, self._reactor)
        except TimeoutError:
            self._kept.discard(connection)
            raise self._failed("no answer in time") from None
        except Lost:
            self._kept.discard(connection)
            raise ConnectionGone(connection.lost_because) from None
        except Refused as error:
            self._kept.keep(connection)
            raise self._failed(one_line(error)) from None
        except BaseException:
            self._kept.discard(connection)
            raise
        self._kept.keep(connection)
        return answer

    async def _connected(self, until: float) -> RedisConnection:
        # txredisapi imports the reactor: by now the one that we were given is installed.
        from mailroute.tables.redis_protocol import RedisConnections

        try:
            if self._endpoint is None:
                self._endpoint = endpoint_of(self._target, self._reactor)
            connecting = self._endpoint.connect(RedisConnections(self._target))
            connection: RedisConnection = await in_time(connecting, until, self._reactor)
        except TimeoutError:
            raise self._failed("no connection in time") from None
        except Exception as error:
            # Whatever a resolver, a socket or TLS may raise.
            raise self._failed(one_line(error)) from None
        self._kept.add(connection)
        try:
            await in_time(connection.opened, until, self._reactor)
        except BaseException as error:
            self._kept.discard(connection)
            if isinstance(error, TimeoutError):
                raise self._failed("the server did not let us in in time") from None
            if isinstance(error, LookupFailed):
                raise self._failed(error.reason) from None
            raise
        return connection

    def _failed(self, why: str) -> LookupFailed:
        return LookupFailed(f"Redis at {self._target.place}: {why}")


def endpoint_of(target: RedisTarget, reactor: Any) -> Any:
    """Where to connect.  Raises ConfigurationError for a bad file of authorities."""
    if target.socket is not None:
        return UNIXClientEndpoint(reactor, target.socket)
    endpoint: Any = HostnameEndpoint(reactor, target.host, target.port)
    if not target.tls:
        return endpoint
    trust = None
    if target.ca_file is not None:
        try:
            with open(target.ca_file, "rb") as file:
                trust = trustRootFromCertificates([Certificate.loadPEM(file.read())])
        except Exception as error:
            # pyOpenSSL has errors of its own for what is no certificate.
            text = f"{target.ca_file} cannot be read: {one_line(error)}"
            raise ConfigurationError([text]) from None
    return wrapClientTLS(optionsForClientTLS(target.host, trustRoot=trust), endpoint)
