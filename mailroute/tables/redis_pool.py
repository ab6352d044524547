"""Connections to a Redis server, made when they are needed; none of them waits without an end."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, UNIXClientEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate, optionsForClientTLS, trustRootFromCertificates

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Reactor, in_time
from mailroute.tables.redis_url import RedisTarget
from mailroute.tables.slots import Slots
from mailroute.tables.sql_table import one_line

if TYPE_CHECKING:
    from mailroute.tables.redis_protocol import RedisConnection

CLOSE_SECONDS = 2.0
"""How long ``close`` waits for questions that are under way."""

T = TypeVar("T")


class _Gone(Exception):
    """The connection turned out to be dead: a new one may work."""


class RedisPool:
    """At most ``size`` connections, one question on each at a time."""

    def __init__(self, target: RedisTarget, size: int, reactor: Reactor) -> None:
        self._target = target
        self._reactor = reactor
        self._endpoint: Any = None
        self._slots = Slots(size, reactor)
        self._idle: list[RedisConnection] = []
        self._open: set[RedisConnection] = set()

    @property
    def connections(self) -> int:
        """How many connections are open."""
        return sum(connection.is_usable for connection in self._open)

    async def ask(self, question: Callable[[RedisConnection], Deferred[T]], until: float) -> T:
        """Put a question; once more, on a new connection, where the first one was dead.

        Raises LookupFailed, at ``until`` at the latest.
        """
        await self._slots.acquire(until)
        try:
            connection = self._unused()
            if connection is not None:
                try:
                    return await self._ask(connection, question, until)
                except _Gone:
                    # The server was restarted since.
                    self._forget_idle()
            connection = await self._connected(until)
            try:
                return await self._ask(connection, question, until)
            except _Gone as error:
                raise self._failed(str(error)) from None
        finally:
            self._slots.release()

    async def close(self) -> None:
        """Refuse new questions, close every connection; those in use after CLOSE_SECONDS."""
        self._forget_idle()
        await self._slots.close(self._reactor.seconds() + CLOSE_SECONDS)
        for connection in tuple(self._open):
            self._discard(connection)

    def _unused(self) -> RedisConnection | None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                return connection
            self._discard(connection)
        return None

    def _forget_idle(self) -> None:
        while self._idle:
            self._discard(self._idle.pop())

    def _discard(self, connection: RedisConnection) -> None:
        self._open.discard(connection)
        connection.abort()

    async def _ask(
        self,
        connection: RedisConnection,
        question: Callable[[RedisConnection], Deferred[T]],
        until: float,
    ) -> T:
        from mailroute.tables.redis_protocol import ConnectionGone, Refused

        try:
            answer = await in_time(question(connection), until, self._reactor)
        except TimeoutError:
            self._discard(connection)
            raise self._failed("no answer in time") from None
        except ConnectionGone:
            self._discard(connection)
            raise _Gone(connection.lost_because) from None
        except Refused as error:
            self._idle.append(connection)
            raise self._failed(one_line(error)) from None
        except BaseException:
            self._discard(connection)
            raise
        self._idle.append(connection)
        return answer

    async def _connected(self, until: float) -> RedisConnection:
        # txredisapi imports the reactor: by now the one that we were given is installed.
        from mailroute.tables.redis_protocol import RedisConnections

        if self._endpoint is None:
            self._endpoint = endpoint_of(self._target, self._reactor)
        try:
            connecting = self._endpoint.connect(RedisConnections(self._target))
            connection: RedisConnection = await in_time(connecting, until, self._reactor)
        except TimeoutError:
            raise self._failed("no connection in time") from None
        except Exception as error:
            # Whatever a resolver, a socket or TLS may raise.
            raise self._failed(one_line(error)) from None
        self._open.add(connection)
        try:
            await in_time(connection.opened, until, self._reactor)
        except BaseException as error:
            self._discard(connection)
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
