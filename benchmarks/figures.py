"""Medians, ranges, ratios."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Spread:
    """What several rounds say about one thing."""

    median: float
    low: float
    high: float
    rounds: int


def spread(values: Iterable[float]) -> Spread | None:
    """The median with its range; None if there is nothing."""
    found = sorted(values)
    if not found:
        return None
    return Spread(statistics.median(found), found[0], found[-1], len(found))


def ratios(above: Mapping[int, float], below: Mapping[int, float]) -> Spread | None:
    """Pair by pair: each round's figure divided by the other one of the same round."""
    pairs = [(above[number], below[number]) for number in above.keys() & below.keys()]
    return spread(over / under for over, under in pairs if under > 0)


def short(value: float) -> str:
    """A number for people: three digits that count, thousands apart."""
    size = abs(value)
    if size >= 100:
        return f"{value:,.0f}"
    if size >= 10:
        return f"{value:.1f}"
    return f"{value:.2f}"


def told(found: Spread | None) -> str:
    """The median and, if there was more than one round, the range."""
    if found is None:
        return "-"
    if found.rounds == 1 or short(found.low) == short(found.high):
        return short(found.median)
    return f"{short(found.median)} ({short(found.low)}-{short(found.high)})"
