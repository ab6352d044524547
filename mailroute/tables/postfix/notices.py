"""What a table tells the administrator while it serves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

from twisted.internet.defer import DeferredLock
from twisted.logger import Logger

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import Aside

T = TypeVar("T")

_log = Logger(namespace="mailroute.tables")


def warn(text: str) -> None:
    """Log something that should be looked at."""
    _log.warn("{text}", text=text)


class Renewal(Generic[T]):
    """Reads something anew while what was read before is served."""

    def __init__(
        self, read: Callable[[], tuple[T, list[str]]], take: Callable[[T], None], aside: Aside
    ) -> None:
        """``read`` returns the content and warnings, beside the reactor; ``take`` is given it."""
        self._read = read
        self._take = take
        self._aside = aside
        self._reading = DeferredLock()

    async def again(self) -> None:
        """Read, and serve that from now on.

        Warnings are logged, and so is a ConfigurationError, with which the old content stays.
        """
        # One after the other: the last one asked for is the last to count.
        await self._reading.acquire()
        try:
            content, warnings = await self._aside(self._read)
            for warning in warnings:
                warn(warning)
            self._take(content)
        except ConfigurationError as error:
            for complaint in error.complaints:
                _log.error("{text}; the old content stays", text=complaint)
        finally:
            self._reading.release()
