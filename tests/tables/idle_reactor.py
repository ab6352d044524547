"""A reactor for tables that ask nothing while they are tested."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.testing import MemoryReactorClock


class IdleReactor(MemoryReactorClock):
    """A reactor in memory, which no thread ever calls."""

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        """There is no thread."""
        raise AssertionError(f"{callable} called from a thread")
