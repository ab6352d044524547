"""The outcome as Markdown, which is legible in a terminal too."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.catalogue import OURS, PEERS, REFERENCE
from benchmarks.figures import Spread, short, told
from benchmarks.layout import BOUNDS, COMPARISONS, RATES, SECTIONS, Section
from benchmarks.results import Results

_NOISY_PERCENT = 10.0


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of even width; numbers stand to the right."""
    widths = [max(len(row[i]) for row in [head, *rows]) for i in range(len(head))]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]

    def line(cells: Sequence[str]) -> str:
        first, *others = cells
        padded = [first.ljust(widths[0])]
        padded += [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
        return f"| {' | '.join(padded)} |"

    return "\n".join([line(head), line(rule), *(line(row) for row in rows)])


def verdict(found: Spread | None, at_most: float | None, at_least: float | None = None) -> str:
    """Whether the median, as it is shown, reaches what it must."""
    if found is None or (at_most is None and at_least is None):
        return ""
    shown = round(found.median, 2)
    good = shown <= at_most if at_most is not None else shown >= (at_least or 0)
    return "reached" if good else "missed"


def limit(at_most: float | None, at_least: float | None = None) -> str:
    """What must be reached, in words."""
    if at_most is not None:
        return f"at most {at_most:.2f}"
    return f"at least {at_least:.2f}" if at_least is not None else ""


def _peers(results: Results) -> list[str]:
    measured = {sample.peer for sample in results.samples}
    return [peer for peer in PEERS if peer in measured]


def ratio_table(results: Results) -> str:
    """Every peer beside the reference, and what mailroute must reach."""
    others = [peer for peer in _peers(results) if peer not in (REFERENCE, OURS)]
    rows = []
    for section in SECTIONS:
        for line in section.lines:
            ours = results.ratio(line.comparison(OURS))
            rest = [results.ratio(line.comparison(peer)) for peer in others]
            if not any(rest) and (ours is None or line.at_most is None):
                continue
            aim = short(line.aim) if line.aim is not None else ""
            row = [f"{line.title}: {section.measure}", told(ours), limit(line.at_most), aim]
            rows.append([*row, verdict(ours, line.at_most), *(told(found) for found in rest)])
    return table(["", OURS, "target", "aim", "", *others], rows) if rows else ""


def section_table(results: Results, section: Section) -> str:
    """The figures themselves."""
    found = {
        (line, peer): results.spread(line.cell(peer))
        for line in section.lines
        for peer in _peers(results)
    }
    peers = [peer for peer in PEERS if any(found.get((line, peer)) for line in section.lines)]
    rows = [
        [f"{line.title}, {line.unit}", *(told(found[line, peer]) for peer in peers)]
        for line in section.lines
        if any(found[line, peer] for peer in peers)
    ]
    return table(["", *peers], rows) if rows else ""


def growth_table(results: Results) -> str:
    """Comparisons of a peer with itself, and figures with a limit of their own."""
    rows = []
    for comparison in COMPARISONS:
        found = results.ratio(comparison)
        if found is None:
            continue
        words = limit(comparison.at_most, comparison.at_least)
        judged = verdict(found, comparison.at_most, comparison.at_least)
        rows.append([comparison.title, told(found), words, judged])
    for bound in BOUNDS:
        found = results.spread(bound.cell)
        if found is not None:
            words, judged = limit(bound.at_most), verdict(found, bound.at_most)
            rows.append([bound.title, told(found), words, judged])
    return table(["", "", "target", ""], rows) if rows else ""


def circumstances(results: Results) -> str:
    """Machine, versions, what was left out, what went wrong."""
    lines = [f"- {name}: {value}" for name, value in results.machine.items()]
    lines += [f"- {name}: {value}" for name, value in results.peers.items()]
    lines += [f"- left out: {name}: {reason}" for name, reason in results.left_out.items()]
    problems = results.problems()
    lines += [f"- **not counted**: {problem}" for problem in problems]
    if not problems:
        lines.append("- every run had all its sessions, every octet was the right one")
    strangers = results.strangers_percent()
    if strangers > _NOISY_PERCENT:
        lines.append(f"- other programs used up to {strangers:.0f} % of the machine during a run")
    return "\n".join(lines)


def report(results: Results) -> list[tuple[str, str, str]]:
    """Everything: name, heading and table of each part that has something to say."""
    rounds = max((sample.round for sample in results.samples), default=0)
    title = f"Ratios to {REFERENCE}, pair by pair in the same round"
    parts = [("ratios", title, ratio_table(results))]
    parts += [
        (section.name, section.title, section_table(results, section))
        for section in (*SECTIONS, RATES)
    ]
    growth_title = "One run beside another, pair by pair in the same round"
    parts.append(("comparisons", growth_title, growth_table(results)))
    where = f"Circumstances ({rounds} rounds; median, and range in parentheses)"
    parts.append(("circumstances", where, circumstances(results)))
    return [part for part in parts if part[2]]


def markdown(results: Results, level: str = "##") -> str:
    """The whole report."""
    parts = [f"{level} {title}\n\n{text}\n" for _, title, text in report(results)]
    return "\n".join(parts)
