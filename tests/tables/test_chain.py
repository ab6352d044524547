"""Tables one behind the other."""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from typing import Any

from twisted.internet.defer import CancelledError, Deferred

from mailroute.errors import LookupFailed
from mailroute.tables.chain import VALUES_LIMIT, ChainTable, Step
from mailroute.tables.contract import Key
from mailroute.tables.dummy import DummyTable
from mailroute.tables.identity import IdentityTable
from mailroute.tables.regexp import RegexpSettings, RegexpTable
from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import StringTable, TableSource, Values
from tests.tables.asking import AskingCase
from tests.tables.contract_tests import ALICE, TableContract


def static(**entries: str) -> StaticTable:
    """A static table; blanks separate values."""
    return StaticTable([(key, tuple(values.split(" "))) for key, values in entries.items()])


def regexp(pattern: str, replacement: str) -> RegexpTable:
    """A table of type regexp."""
    return RegexpTable(RegexpSettings(pattern, (replacement,)))


class FailingTable(StringTable):
    """A table that cannot answer."""

    async def get(self, key: str) -> Values | None:
        raise LookupFailed("out of order")


class BreakableTable(StringTable):
    """Entries that can be taken away, or answered never."""

    def __init__(self, entries: Mapping[str, str]) -> None:
        self.entries = entries
        self.broken = self.silent = False

    async def get(self, key: str) -> Values | None:
        if self.silent:
            await Deferred()
        if self.broken:
            raise LookupFailed("broken")
        return (self.entries[key],) if key in self.entries else None


class ChainContractTests(TableContract, AskingCase):
    """A chain keeps the contract if its steps do."""

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Nothing waits."""
        self.done(coroutine)

    async def provide(self, rows: Mapping[str, str]) -> None:
        """Identifiers lead to numbers, numbers to destinations."""
        numbers = {name: str(number) for number, name in enumerate(rows)}
        self.second = BreakableTable({numbers[name]: value for name, value in rows.items()})
        first = BreakableTable(numbers)
        self.table = TableSource(ChainTable([Step(first), Step(self.second)]))
        self.first = first

    async def damage(self) -> None:
        """A step fails."""
        self.first.broken = True

    async def mend(self) -> None:
        """It answers again."""
        self.first.broken = False

    def test_slow(self) -> None:
        """A chain is as slow as its steps: who waits has a limit and may cancel."""
        self.finish(self.provide({ALICE: "east"}))
        self.second.silent = True
        waiting = Deferred.fromCoroutine(self.table.lookup(Key(ALICE)))
        self.assertNoResult(waiting)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)


class ChainTests(AskingCase):
    """A table of type chain."""

    def test_aliases(self) -> None:
        """An optional step passes on what it does not know; the next one decides."""
        aliases = StaticTable([("al@x", ("bob@y",))])
        chain = ChainTable([Step(aliases, optional=True), Step(regexp("(.+)@(.+)", "$1"))])
        self.answers(chain, {"al@x": ("bob",), "eve@x": ("eve",), "eve": None})

    def test_step(self) -> None:
        """What a step does not know is absent from the chain."""
        chain = ChainTable([Step(static(a="b")), Step(static(b="c"))])
        self.answers(chain, {"a": ("c",), "b": None})

    def test_any_value_absent(self) -> None:
        """One absent value of several makes a step absent, and leaves an optional one out whole."""
        several, numbers = static(a="b c"), static(b="1")
        self.answers(ChainTable([Step(several), Step(numbers)]), {"a": None})
        chain = ChainTable([Step(several, optional=True), Step(numbers, optional=True)])
        self.answers(chain, {"a": ("b", "c")})

    def test_several_values(self) -> None:
        """Values are mapped in their order, and stay if they are there twice."""
        chain = ChainTable([Step(static(a="c b c")), Step(static(b="2", c="3 4"))])
        self.answers(chain, {"a": ("3", "4", "2", "3", "4")})

    def test_dummy(self) -> None:
        """A dummy is absent in a chain, too."""
        self.answers(
            ChainTable([Step(IdentityTable()), Step(DummyTable(), optional=True)]), {"k": ("k",)}
        )
        self.answers(ChainTable([Step(IdentityTable()), Step(DummyTable())]), {"k": None})

    def test_greedy_group(self) -> None:
        """A regular expression takes what it can."""
        self.answers(
            ChainTable([Step(regexp(r"(.+)(\+.*)?@x", "$1"))]), {"j+t@x": ("j+t",), "j@x": ("j",)}
        )
        self.answers(ChainTable([Step(regexp(r"([^+]+)(\+.*)?@x", "$1"))]), {"j+t@x": ("j",)})

    def test_no_steps(self) -> None:
        """Without steps the key leads to itself."""
        self.answers(ChainTable([]), {"k": ("k",), "": ("",)})

    def test_empty_value(self) -> None:
        """A found empty text is a value and the next key."""
        empty = StaticTable([("a", ("",)), ("", ("end",))])
        self.answers(ChainTable([Step(empty), Step(empty)]), {"a": ("end",)})

    def test_failure(self) -> None:
        """A failing step fails the chain, an optional one too: it is no absence."""
        for optional in (False, True):
            chain = ChainTable([Step(static(a="b")), Step(FailingTable(), optional)])
            self.assertEqual(self.fails(chain, "a"), "out of order")
            self.assertIsNone(self.ask(chain, "z"))

    def test_bound(self) -> None:
        """Values that multiply end as a failure before they fill the memory."""
        double = ChainTable([Step(static(a="a a"))] * 30)
        self.assertIn(str(VALUES_LIMIT), self.fails(double, "a"))
