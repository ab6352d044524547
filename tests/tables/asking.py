"""Asking tables of texts, in tests where nothing waits."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from twisted.internet.defer import Deferred, execute
from twisted.trial.unittest import SynchronousTestCase

from mailroute.errors import LookupFailed
from mailroute.tables.string_table import StringTable, Values
from tests.tables.contract_tests import ODD_KEYS

T = TypeVar("T")


def at_once(job: Callable[[], T]) -> Deferred[T]:
    """A thread's place, where nothing waits."""
    return execute(job)


class AskingCase(SynchronousTestCase):
    """A test whose tables answer at once."""

    def done(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine."""
        return self.successResultOf(Deferred.fromCoroutine(coroutine))

    def ask(self, table: StringTable, key: str) -> Values | None:
        """What the table says of a key."""
        return self.done(table.get(key))

    def fails(self, table: StringTable, key: str) -> str:
        """The lookup fails; returns the reason."""
        failure = self.failureResultOf(Deferred.fromCoroutine(table.get(key)), LookupFailed)
        return str(failure.value.reason)

    def answers(self, table: StringTable, examples: Mapping[str, Values | None]) -> None:
        """The table says this of these keys."""
        for key, values in examples.items():
            self.assertEqual(self.ask(table, key), values, repr(key))

    def survives_odd_keys(self, table: StringTable) -> None:
        """Every key, however odd, is answered: with values or as absent."""
        for key in ODD_KEYS:
            values = self.ask(table, key)
            self.assertTrue(values is None or len(values) > 0, repr(key))
