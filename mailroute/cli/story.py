"""What happened on the way to an answer: steps with their facts, each with the time it took."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from mailroute.tables.contract import Row

MASK = "****"

_SECRET = re.compile("pass|secret|token", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Step:
    """One step.  Facts are texts, numbers, or lists and dictionaries of them."""

    name: str
    facts: Mapping[str, object]
    milliseconds: float | None = None

    def data(self) -> dict[str, object]:
        """For JSON: names are single words there."""
        time = {} if self.milliseconds is None else {"ms": self.milliseconds}
        facts = {name.replace(" ", "_"): value for name, value in self.facts.items()}
        return {"step": self.name.replace(" ", "_"), **time, **facts}

    def cells(self) -> tuple[str, str, str]:
        """Name, time, and a line for each fact."""
        time = "" if self.milliseconds is None else f"{self.milliseconds:.3f}"
        lines = [f"{name}: {_words(value)}" for name, value in self.facts.items()]
        return self.name, time, "\n".join(lines)


class Story:
    """The steps in their order."""

    def __init__(self, seconds: Callable[[], float]) -> None:
        """``seconds``: the time, finely enough to measure one step."""
        self.seconds = seconds
        self.steps: list[Step] = []

    def tell(self, name: str, facts: Mapping[str, object], since: float | None = None) -> None:
        """A step has ended that began at ``since``; None: it took no time."""
        took = None if since is None else round((self.seconds() - since) * 1000, 3)
        self.steps.append(Step(name, facts, took))


def row_facts(row: Row | None) -> object:
    """A row as facts; what may be a secret in it is masked."""
    if row is None:
        return "absent"
    return {"destination": row.destination, **masked(row.columns)}


def masked(columns: Mapping[str, str]) -> dict[str, str]:
    """The columns of a row, without what may be a secret."""
    return {
        name: MASK if _SECRET.search(name) and value else value for name, value in columns.items()
    }


def _words(value: object) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={_words(each)}" for name, each in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(map(_words, value)) or "none"
    return "none" if value is None else str(value)
