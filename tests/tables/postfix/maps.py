"""Small tables and servers for the tests of Postfix's tables."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.postfix.failover import Row, Values
from mailroute.tables.string_table import StringTable
from mailroute.tables.string_table import Values as Found

T = TypeVar("T")


class AwaitingCase(SynchronousTestCase):
    """Runs coroutines that wait for nothing."""

    def result(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """What it returns."""
        found: T = self.successResultOf(Deferred.fromCoroutine(coroutine))
        return found

    def failure(self, coroutine: Coroutine[Any, Any, Any]) -> str:
        """The reason of its LookupFailed."""
        failure = self.failureResultOf(Deferred.fromCoroutine(coroutine), LookupFailed)
        return str(failure.value.reason)

    def written(self, content: str) -> str:
        """The path of a new file."""
        path: str = self.mktemp()
        with open(path, "w", encoding="utf-8", errors="surrogateescape") as file:
            file.write(content)
        return path


class SmallMap(StringTable):
    """Answers from ``entries``; a value None fails.  Keeps what it was asked and its life."""

    kind = "small"

    def __init__(self, entries: Mapping[str, str | None]) -> None:
        self.entries = entries
        self.asked: list[str] = []
        self.life: list[str] = []

    async def get(self, key: str) -> Found | None:
        """Answer."""
        self.asked.append(key)
        if key in self.entries and self.entries[key] is None:
            raise LookupFailed("out of order")
        value = self.entries.get(key)
        return None if value is None else (value,)

    def check(self) -> Sequence[str]:
        """Warn."""
        return ["small: a warning"]

    async def reload(self) -> None:
        """Keep it in mind."""
        self.life.append("reloaded")

    def watch(self, changed: Callable[[], None]) -> None:
        """Change at once."""
        changed()

    async def start(self) -> None:
        """Keep it in mind."""
        self.life.append("started")

    async def close(self) -> None:
        """Keep it in mind."""
        self.life.append("closed")


class SmallServer:
    """Answers with ``answer``, or raises it; ``asked`` has the values and the time allowed."""

    def __init__(self, place: str, answer: Sequence[Row] | Exception = (), rank: int = 0) -> None:
        self.place = place
        self.rank = rank
        self.answer = answer
        self.warning: str | None = None
        self.asked: list[tuple[Values, float]] = []
        self.life: list[str] = []

    async def rows(self, values: Values, until: float) -> Sequence[Row]:
        """Answer."""
        self.asked.append((values, until))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def check(self) -> str | None:
        """Warn."""
        return self.warning

    def watch(self, changed: Callable[[], None]) -> None:
        """Change at once."""
        changed()

    async def start(self) -> None:
        """Keep it in mind."""
        self.life.append("started")

    async def close(self) -> None:
        """Keep it in mind."""
        self.life.append("closed")
