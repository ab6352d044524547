"""A small pool of txpostgres connections that no hung server can hold up.

A query that is not answered in time ends by closing its connection.  It is never cancelled:
psycopg2's ``cancel`` is libpq's PQcancel, which blocks the whole process while the server
hangs.  For the same reason no Deferred of txpostgres leaves this module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import psycopg2
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone
from txpostgres import txpostgres

from mailroute.errors import LookupFailed
from mailroute.tables.deadline import Reactor, in_time
from mailroute.tables.kept_connections import ConnectionGone, KeptConnections
from mailroute.tables.resolving import Resolver, is_socket_folder
from mailroute.tables.sql_table import FirstRow, one_line
from mailroute.tables.sql_url import PostgresHost

T = TypeVar("T")


class Connection(txpostgres.Connection):  # type: ignore[misc]
    """A connection that is closed quietly when the server ends it while it is idle."""

    def doRead(self) -> None:
        """Read what came without a question: a notice, or the end."""
        try:
            super().doRead()
        except (psycopg2.Error, ValueError):
            # txpostgres lets it reach the reactor, which logs an unhandled error.  ValueError:
            # the descriptor was gone when it was to be watched on; who waits is told all the same.
            self.close()

    def close(self) -> None:
        """Close at once; allowed in every state."""
        if self._connection is not None:
            super().close()

    abort = close

    @property
    def is_usable(self) -> bool:
        """Whether it can be asked."""
        return self._connection is not None and not self._connection.closed

    def first_row(self, sql: str, parameters: tuple[str, ...]) -> Deferred[FirstRow | None]:
        """Ask; the Deferred must not be cancelled."""
        cursor = self.cursor()
        asked = cursor.execute(sql, parameters or None)
        return asked.addCallback(lambda _: _first_row(cursor))  # type: ignore[no-any-return]


class PostgresPool:
    """Connections to the first server of several that answers."""

    def __init__(
        self,
        hosts: Sequence[PostgresHost],
        parameters: Mapping[str, Any],
        size: int,
        reactor: Reactor,
    ) -> None:
        """``parameters`` are libpq's, without host, hostaddr and port."""
        self._hosts = tuple(hosts)
        self._parameters = dict(parameters)
        self._reactor = reactor
        self._resolver = Resolver(reactor)
        self._kept: KeptConnections[Connection] = KeptConnections(size, reactor, self._connected)
        self._preferred: PostgresHost | None = None
        self._closed = False

    @property
    def connections(self) -> int:
        """How many connections are open or being opened."""
        return len(self._kept)

    async def first_row(
        self, sql: str, parameters: tuple[str, ...], until: float
    ) -> FirstRow | None:
        """Return the first row.  Raises what ``ask`` raises."""
        return await self.ask(lambda connection: connection.first_row(sql, parameters), until)

    async def ask(self, question: Callable[[Connection], Deferred[T]], until: float) -> T:
        """Put a question to a connection; its Deferred is never cancelled.

        It is asked a second time, of another connection, where the first one was dead.  Raises
        LookupFailed, at ``until`` at the latest, and what psycopg2 says of the query.
        """
        try:
            return await self._kept.ask(lambda kept: self._ask(kept, question, until), until)
        except ConnectionGone as error:
            raise LookupFailed(f"the connection was lost: {error}") from None

    async def close(self) -> None:
        """Refuse new questions, close every connection, in bounded time."""
        self._closed = True
        await self._kept.close()

    async def _ask(
        self,
        connection: Connection,
        question: Callable[[Connection], Deferred[T]],
        until: float,
    ) -> T:
        try:
            answer = await self._guarded(connection, question(connection), until)
        except TimeoutError:
            # The others lead to the same server: better to connect anew.
            self._kept.forget_idle()
            raise LookupFailed("the database did not answer in time") from None
        except _ServerCancelled:
            self._kept.keep(connection)
            raise LookupFailed("the database ended the query (statement_timeout?)") from None
        except (psycopg2.Error, ConnectionDone, ValueError, LookupFailed) as error:
            if is_dead(connection, error):
                self._kept.discard(connection)
                raise ConnectionGone(one_line(error)) from None
            self._kept.keep(connection)
            raise
        except BaseException:
            self._kept.discard(connection)
            raise
        self._kept.keep(connection)
        return answer

    async def _connected(self, until: float) -> Connection:
        """Open a connection to the first candidate that answers, the last good one first."""
        candidates = await self._candidates(until)
        if self._preferred in candidates:
            candidates.remove(self._preferred)
            candidates.insert(0, self._preferred)
        faults = []
        for tried, candidate in enumerate(candidates):
            now = self._reactor.seconds()
            share = (until - now) / (len(candidates) - tried)
            try:
                connection = await self._connect(candidate, now + share)
            except LookupFailed as failed:
                faults.append(failed.reason)
            else:
                self._preferred = candidate
                return connection
        raise LookupFailed("; ".join(faults))

    async def _candidates(self, until: float) -> list[PostgresHost]:
        candidates: list[PostgresHost] = []
        fault: LookupFailed | None = None
        for host in self._hosts:
            if host.address or is_socket_folder(host.name):
                candidates.append(host)
                continue
            try:
                addresses = await self._resolver.addresses(host.name, until)
            except LookupFailed as failed:
                fault = failed
                continue
            candidates += [PostgresHost(host.name, address, host.port) for address in addresses]
        if not candidates and fault is not None:
            raise fault
        return candidates

    async def _connect(self, host: PostgresHost, until: float) -> Connection:
        if self._closed:
            raise LookupFailed("the table is closed")
        connection = Connection(self._reactor)
        self._kept.add(connection)
        where = {"host": host.name, "hostaddr": host.address, "port": host.port}
        named = {name: value for name, value in where.items() if value}
        try:
            connecting = connection.connect(**self._parameters, **named)
            await self._guarded(connection, connecting, until)
            # The reading of the query's strings depends on it.
            if connection.get_parameter_status("standard_conforming_strings") != "on":
                raise LookupFailed(f"{host}: standard_conforming_strings is off")
        except TimeoutError:
            raise LookupFailed(f"{host}: no connection in time") from None
        except (psycopg2.Error, ConnectionDone, OSError) as error:
            self._kept.discard(connection)
            raise LookupFailed(f"{host}: {one_line(error)}") from None
        except BaseException:
            self._kept.discard(connection)
            raise
        return connection

    async def _guarded(self, connection: Connection, under_way: Deferred[T], until: float) -> T:
        """Wait for a Deferred of txpostgres without ever cancelling it.

        At ``until``, or when the caller is cancelled, the connection is closed.
        """
        given_up = False

        def give_up(_: Deferred[T]) -> None:
            nonlocal given_up
            given_up = True
            self._kept.discard(connection)

        answer: Deferred[T] = Deferred(give_up)

        def ended(result: Any) -> None:
            if not given_up:
                answer.callback(result)

        under_way.addErrback(_no_cancellation)
        under_way.addBoth(ended)
        return await in_time(answer, until, self._reactor)


class _ServerCancelled(Exception):
    """txpostgres reports a query that the server ended as if we had cancelled it."""


def _no_cancellation(failure: Any) -> Any:
    if failure.check(CancelledError):
        raise _ServerCancelled
    return failure


def is_dead(connection: Connection, error: BaseException) -> bool:
    """Whether this error is about the connection rather than about the query.

    An OperationalError alone says nothing: it is also a lock or too many connections.
    """
    code = getattr(error, "pgcode", None) or ""
    return not connection.is_usable or code.startswith("08") or code in ("57P01", "57P02", "57P03")


def _first_row(cursor: Any) -> FirstRow | None:
    try:
        if cursor.description is None:
            raise LookupFailed("the query returns no columns: it has to be a SELECT")
        values = cursor.fetchone()
        names = [column[0] for column in cursor.description]
        return None if values is None else FirstRow(names, values)
    finally:
        cursor.close()
