"""What an import has to do, and how it does it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from mailroute.cli.csv_form import Fault, Line
from mailroute.cli.loading import Plan, Step, carry_out, make_plan
from mailroute.errors import LookupFailed
from mailroute.tables.mapping_store import MappingRules, MappingStore
from mailroute.tables.static import StaticTable
from mailroute.tables.string_table import Changes, Entry, ReadOnly, StringTable, TableSource
from tests.cli.calling import finished


class Memory(StringTable):
    """Entries in memory, two of which may be written together."""

    batch_size = 2

    def __init__(self, entries: dict[str, str]) -> None:
        self.entries = entries
        self.lots: list[Changes] = []
        self.failing = ""

    async def list(self) -> Sequence[Entry]:
        return [(key, (value,)) for key, value in self.entries.items()]

    async def write(self, changes: Changes) -> None:
        pairs = {key: values[0] for key, values in (*changes.new, *changes.changed)}
        if self.failing in pairs:
            raise LookupFailed("gone")
        self.lots.append(changes)
        self.entries.update(pairs)


LINES = (
    Line(2, "Joe", "east"),
    Line(3, "amy", "west"),
    Fault(4, "odd"),
    Line(5, "bob", "west"),
    Line(6, "eve", "north"),
    Line(7, "", "east"),
    Line(8, "JOE", "west"),
)


class LoadingTests(SynchronousTestCase):
    """Joe and Amy are there."""

    def setUp(self) -> None:
        self.memory = Memory({"joe": "west", "amy": " west "})

    def store(self, table: StringTable | None = None) -> MappingStore:
        """The mapping."""
        entries = table or self.memory
        rules = MappingRules(frozenset({"east", "west"}), lower)
        return MappingStore(TableSource(entries), entries, rules)

    def plan(self, lines: Sequence[Line | Fault] = LINES) -> Plan:
        """What there is to do."""
        plan: Plan = finished(make_plan(lines, self.store()))
        return plan

    def test_plan(self) -> None:
        """New, changed, unchanged, refused; nothing is written."""
        plan = self.plan()
        self.assertEqual(
            plan.steps,
            [Step(2, ("joe", ("east",)), "west"), Step(5, ("bob", ("west",)), None)],
        )
        self.assertEqual(plan.unchanged, 1)
        self.assertEqual(
            plan.faults,
            [
                Fault(4, "odd"),
                Fault(6, "there is no destination 'north'"),
                Fault(7, "the account's name is empty"),
                Fault(8, "the account 'joe' is in line 2 already"),
            ],
        )
        self.assertEqual(self.memory.entries, {"joe": "west", "amy": " west "})

    def test_read_only(self) -> None:
        """A mapping that cannot be changed says so before a line is read."""

        def lines() -> Any:
            raise AssertionError("read")
            yield

        with self.assertRaises(ReadOnly):
            finished(make_plan(lines(), self.store(StaticTable([("joe", ("east",))]))))

    def carried_out(self, plan: Plan) -> list[Sequence[Step]]:
        """The lots that were written."""
        lots: list[Sequence[Step]] = []

        async def work() -> None:
            async for steps in carry_out(plan, self.store()):
                lots.append(steps)

        try:
            finished(work())
        except LookupFailed:
            self.assertTrue(self.memory.failing)
        return lots

    def test_lots(self) -> None:
        """So many together as suits the table, in the order of the lines."""
        lines = [Line(number, f"n{number}", "east") for number in range(2, 7)]
        plan = self.plan([*lines, Line(7, "joe", "east")])
        lots = self.carried_out(plan)
        self.assertEqual([[step.line for step in lot] for lot in lots], [[2, 3], [4, 5], [6, 7]])
        self.assertEqual(
            self.memory.lots[1:],
            [
                Changes([("n2", ("east",)), ("n3", ("east",))], []),
                Changes([("n4", ("east",)), ("n5", ("east",))], []),
                Changes([("n6", ("east",))], [("joe", ("east",))]),
            ],
        )

    def test_at_once(self) -> None:
        """A table that rewrites itself is written once."""
        self.memory.batch_size = None  # type: ignore[assignment]
        lots = self.carried_out(self.plan([Line(n, f"n{n}", "east") for n in range(2, 7)]))
        self.assertEqual([len(lot) for lot in lots], [5])

    def test_again(self) -> None:
        """After a failure the same file is written to its end; what is there is left alone."""
        lines = [Line(number, f"n{number}", "east") for number in range(2, 8)]
        self.memory.failing = "n5"
        self.assertEqual(len(self.carried_out(self.plan(lines))), 1)
        self.memory.failing = ""
        plan = self.plan(lines)
        self.assertEqual((plan.unchanged, len(plan.steps)), (2, 4))
        self.carried_out(plan)
        self.assertEqual(self.plan(lines).unchanged, 6)


def lower(identifier: str) -> str:
    """A key."""
    if not identifier:
        raise ValueError("the account's name is empty")
    return identifier.lower()
