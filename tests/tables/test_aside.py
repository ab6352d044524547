"""Jobs beside the reactor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.tables.aside import aside_of
from tests.support.threads import ThreadlessReactor


class _Reactor(ThreadlessReactor):
    """Notes what threads hand over to it."""

    def __init__(self) -> None:
        super().__init__()
        self.handed_over: list[Callable[[], Any]] = []

    def callFromThread(self, callable: Callable[..., Any], *args: Any) -> None:
        self.handed_over.append(lambda: callable(*args))


class AsideTests(SynchronousTestCase):
    """A job in a thread of the reactor's."""

    def test_result(self) -> None:
        """The result comes back in the reactor's own thread, not in that of the job."""
        reactor = _Reactor()
        done = aside_of(reactor)(lambda: "done")
        self.assertNoResult(done)
        reactor.handed_over.pop()()
        self.assertEqual(self.successResultOf(done), "done")

    def test_failure(self) -> None:
        """So does what it raises."""
        reactor = _Reactor()
        done = aside_of(reactor)(lambda: {}["absent"])
        reactor.handed_over.pop()()
        self.failureResultOf(done, KeyError)
