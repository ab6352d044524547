"""Lookups in a Redis server, by txredisapi: the value of a key with a prefix before it."""

from __future__ import annotations

import re
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from twisted.internet.defer import Deferred

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.deadline import Reactor
from mailroute.tables.redis_pool import RedisPool
from mailroute.tables.redis_url import RedisTarget, parse_redis_url
from mailroute.tables.sql_table import CHECK_SECONDS, one_line
from mailroute.tables.string_table import Changes, Entry, StringTable, Values

if TYPE_CHECKING:
    from mailroute.tables.redis_protocol import RedisConnection

LIST_SECONDS = 60.0
_KEYS_AT_ONCE = 500
_REPLY_LIMIT_OCTETS = 4096
_MAY_PASS = ("-LOADING", "-BUSY", "-MASTERDOWN", "-CLUSTERDOWN", "-TRYAGAIN")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class RedisSettings:
    """How a server is asked; a lookup may take ``lookup_seconds``."""

    url: str = field(repr=False)
    key_prefix: str = "route:"
    pool_size: int = 16
    lookup_seconds: float = 5.0


class RedisTable(StringTable):
    """Each key has one value, a text."""

    kind = "redis"
    batch_size = _KEYS_AT_ONCE

    def __init__(self, place: str, settings: RedisSettings, reactor: Reactor) -> None:
        """``place`` is the table's in the configuration.  Raises ConfigurationError."""
        self._place = f"{place}.url"
        self._target = parse_redis_url(settings.url, self._place)
        self._prefix = settings.key_prefix
        self._seconds = settings.lookup_seconds
        self._reactor = reactor
        self._pool = RedisPool(self._target, settings.pool_size, reactor)

    async def get(self, key: str) -> Values | None:
        """Return the value of the key.  Raises LookupFailed."""
        name = self._name(key)
        value = await self._ask(lambda connection: connection.get(name))
        return None if value is None else (_text(value),)

    async def set(self, key: str, values: Values) -> None:
        """Set the key; a life time that it had ends.  Raises LookupFailed."""
        self.admit(key, values)
        name, value = self._name(key), values[0].encode("utf-8")
        await self._ask(lambda connection: connection.set(name, value))

    async def write(self, changes: Changes) -> None:
        """Set all keys by one command; life times that they had end.  Raises LookupFailed."""
        pairs = {
            self._name(key): values[0].encode("utf-8")
            for key, values in (*changes.new, *changes.changed)
        }
        if pairs:
            await self._ask(lambda connection: connection.mset(pairs))

    async def delete(self, key: str) -> bool:
        """Remove the key; tell whether it was there.  Raises LookupFailed."""
        name = self._name(key)
        return bool(await self._ask(lambda connection: connection.delete(name)))

    async def list(self) -> Sequence[Entry]:
        """Return the keys with the prefix that are there all the while, sorted."""
        prefix = self._prefix.encode("utf-8")
        pattern = re.sub(rb"([*?\[\]\\])", rb"\\\1", prefix) + b"*"
        until = self._reactor.seconds() + LIST_SECONDS
        found: dict[str, Values] = {}
        cursor: Any = b"0"
        while True:
            scan = partial(_scan, cursor=cursor, pattern=pattern)
            cursor, names = await self._pool.ask(scan, until)
            for value, name in zip(await self._values(names, until), names, strict=True):
                # None: removed meanwhile, or no text.
                if value is not None:
                    found[_text(name[len(prefix) :])] = (_text(value),)
            if int(cursor) == 0:
                return sorted(found.items())

    async def _values(self, names: Sequence[bytes], until: float) -> Sequence[bytes | None]:
        if not names:
            return ()
        return await self._pool.ask(lambda connection: connection.mget(names), until)

    def check(self) -> Sequence[str]:
        """Ask the server, blocking, whether it lets us in.  Raises ConfigurationError if not."""
        try:
            reply = _greeting(self._target)
        except (OSError, ValueError) as error:
            why = one_line(error)
        else:
            if not reply.startswith("-"):
                return []
            if not reply.startswith(_MAY_PASS):
                raise ConfigurationError([f"{self._place}: the server refuses us: {reply[1:]}"])
            why = reply[1:]
        return [f"{self._place}: Redis at {self._target.place} cannot be asked now: {why}"]

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.close()

    def _name(self, key: str) -> bytes:
        try:
            return f"{self._prefix}{key}".encode()
        except UnicodeEncodeError:
            raise LookupFailed("the key is no text that Redis could be asked for") from None

    async def _ask(self, question: Callable[[RedisConnection], Deferred[T]]) -> T:
        return await self._pool.ask(question, self._reactor.seconds() + self._seconds)


def _scan(connection: RedisConnection, cursor: object, pattern: bytes) -> Deferred[Any]:
    scanned: Deferred[Any] = connection.scan(cursor, pattern, _KEYS_AT_ONCE)
    return scanned


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise LookupFailed("the answer is no value: what answers may not be Redis")
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise LookupFailed("a value in Redis is not UTF-8") from None


def _greeting(target: RedisTarget) -> str:
    """Log in and ping, blocking; return the first refusal, else the last reply."""
    commands = [["PING"]]
    if target.database is not None:
        commands.insert(0, ["SELECT", str(target.database)])
    if target.password is not None:
        login = [target.user] if target.user else []
        commands.insert(0, ["AUTH", *login, target.password])
    with _socket(target) as connection, connection.makefile("rb") as replies:
        reply = ""
        for words in commands:
            octets = [word.encode("utf-8") for word in words]
            parts = [b"*%d\r\n" % len(octets)]
            parts += [b"$%d\r\n%s\r\n" % (len(word), word) for word in octets]
            connection.sendall(b"".join(parts))
            reply = replies.readline(_REPLY_LIMIT_OCTETS).decode("utf-8").strip()
            if not reply:
                raise ValueError("the server closed the connection")
            if reply.startswith("-"):
                break
    return reply


def _socket(target: RedisTarget) -> socket.socket:
    if target.socket is not None:
        local = socket.socket(socket.AF_UNIX)
        local.settimeout(CHECK_SECONDS)
        local.connect(target.socket)
        return local
    plain = socket.create_connection((target.host, target.port), CHECK_SECONDS)
    if not target.tls:
        return plain
    context = ssl.create_default_context(cafile=target.ca_file)
    return context.wrap_socket(plain, server_hostname=target.host)
