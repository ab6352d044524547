"""Loads many accounts into the mapping: what there is to do, and the doing of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

from mailroute.cli.csv_form import Fault, Line
from mailroute.tables.mapping_store import MappingStore
from mailroute.tables.string_table import Changes, Entry


@dataclass(frozen=True, slots=True)
class Step:
    """One account that is written."""

    line: int
    entry: Entry
    before: str | None
    """Where it lived; None: nowhere."""


@dataclass(slots=True)
class Plan:
    """What a file asks for, compared with what is there."""

    steps: list[Step] = field(default_factory=list)
    """What has to be written, in the order of the file."""
    faults: list[Fault] = field(default_factory=list)
    unchanged: int = 0
    """Accounts that are there already, as the file has them."""

    @property
    def added(self) -> int:
        """How many of the steps concern new accounts."""
        return sum(step.before is None for step in self.steps)


async def make_plan(lines: Iterable[Line | Fault], store: MappingStore) -> Plan:
    """Check every line and compare it with the mapping.  Nothing is written.

    Raises NotCsv, ReadOnly for a mapping that cannot be written or listed, LookupFailed.
    """
    # What is read-only says so before a long file is read.
    await store.write(Changes())
    there = {key: destination.strip() for key, destination in await store.list()}
    plan = Plan()
    first_lines: dict[str, int] = {}
    for line in lines:
        if isinstance(line, Fault):
            plan.faults.append(line)
            continue
        try:
            entry = store.entry(line.identifier, line.destination)
        except ValueError as error:
            plan.faults.append(Fault(line.number, str(error)))
            continue
        key = entry[0]
        if first_lines.setdefault(key, line.number) != line.number:
            reason = f"the account {key!r} is in line {first_lines[key]} already"
            plan.faults.append(Fault(line.number, reason))
        elif there.get(key) == line.destination:
            plan.unchanged += 1
        else:
            plan.steps.append(Step(line.number, entry, there.get(key)))
    return plan


async def carry_out(plan: Plan, store: MappingStore) -> AsyncIterator[Sequence[Step]]:
    """Write the steps, so many together as suits the mapping; yield each lot that is written.

    A lot is written whole or not at all.  Raises LookupFailed: the lots before stay written.
    """
    for steps in _lots(plan.steps, store.batch_size):
        new = [step.entry for step in steps if step.before is None]
        changed = [step.entry for step in steps if step.before is not None]
        await store.write(Changes(new, changed))
        yield steps


def _lots(steps: Sequence[Step], size: int | None) -> Iterator[list[Step]]:
    rest = iter(steps)
    while lot := list(islice(rest, size)):
        yield lot
