"""The outcome as SVG: for each line of a section a panel, in it a bar for each peer.

Bars begin at zero and share a scale within their panel; the thin line is the range over the
rounds.  Colours are legible on light and on dark paper; text follows the paper where it can.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from benchmarks.catalogue import OURS, PEERS
from benchmarks.figures import Spread, short
from benchmarks.layout import Line, Section
from benchmarks.results import Results

_WIDTH = 760
_LABELS = 100
"""Room for the peers' names, to the left of the bars."""
_VALUES = 130
"""Room for the figures, to the right of the bars."""
_BAR = 16
_STEP = 22
_HEAD = 34
"""Height of a panel's title."""
_TITLE = 36
_STYLE = """<style>
text { font: 13px system-ui, sans-serif; fill: #6e7781 }
.title { font-size: 16px; font-weight: 600 }
.panel { font-weight: 600 }
.bar { fill: #8c959f }
.ours { fill: #2f81f7 }
.range { stroke: #bf8700; stroke-width: 2 }
.axis { stroke: #8c959f; stroke-width: 1 }
@media (prefers-color-scheme: light) { text { fill: #424a53 } }
@media (prefers-color-scheme: dark) { text { fill: #b1bac4 } }
</style>"""

Bar = tuple[str, Spread]


def _text(x: float, y: float, words: str, extra: str = "") -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}"{extra}>{escape(words)}</text>'


def _one_bar(top: float, scale: float, bar: Bar) -> list[str]:
    peer, found = bar
    middle = top + _BAR / 2
    length = max(1.0, found.median * scale)
    low, high = _LABELS + found.low * scale, _LABELS + found.high * scale
    kind = "ours" if peer.startswith(OURS) else "bar"
    parts = [
        _text(_LABELS - 8, middle + 4, peer, ' text-anchor="end"'),
        f'<rect class="{kind}" x="{_LABELS}" y="{top:.0f}" width="{length:.1f}" height="{_BAR}"/>',
        _text(max(high, _LABELS + length) + 8, middle + 4, short(found.median)),
    ]
    if found.high > found.low:
        ends = f'x1="{low:.1f}" x2="{high:.1f}" y1="{middle:.0f}" y2="{middle:.0f}"'
        parts.append(f'<line class="range" {ends}/>')
    return parts


def panel(top: float, title: str, bars: Sequence[Bar]) -> tuple[list[str], float]:
    """The parts of one panel, and where the next one begins."""
    longest = max(found.high for _, found in bars)
    scale = (_WIDTH - _LABELS - _VALUES) / longest if longest > 0 else 0.0
    parts = [_text(_LABELS, top + _HEAD - 10, title, ' class="panel"')]
    y = top + _HEAD
    axis_end = y + _STEP * len(bars) - (_STEP - _BAR)
    for index, bar in enumerate(bars):
        parts += _one_bar(y + index * _STEP, scale, bar)
    ends = f'x1="{_LABELS}" x2="{_LABELS}" y1="{y - 3:.0f}" y2="{axis_end + 3:.0f}"'
    parts.append(f'<line class="axis" {ends}/>')
    return parts, y + _STEP * len(bars)


def image(title: str, parts: Sequence[str], height: float) -> str:
    """A whole SVG file."""
    size = f'width="{_WIDTH}" height="{height:.0f}" viewBox="0 0 {_WIDTH} {height:.0f}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img">'
    name = f"<title>{escape(title)}</title>"
    heading = _text(_LABELS, 22, title, ' class="title"')
    return "\n".join([head, name, _STYLE, heading, *parts, "</svg>"]) + "\n"


def _bars(results: Results, line: Line) -> list[Bar]:
    found = ((peer, results.spread(line.cell(peer))) for peer in PEERS)
    return [(peer, value) for peer, value in found if value is not None]


def section_plot(results: Results, section: Section) -> str | None:
    """The section's plot; None if nothing was measured."""
    parts: list[str] = []
    y: float = _TITLE
    for line in section.lines:
        bars = _bars(results, line)
        if bars:
            more, y = panel(y, f"{line.title}, {line.unit}", bars)
            parts += more
    if not parts:
        return None
    return image(section.title, parts, y + 10)


def curve(title: str, unit: str, points: Sequence[tuple[float, float]]) -> str:
    """A line over time, from zero up; points are (seconds, value), at least one."""
    left, right, top, bottom = _LABELS, _WIDTH - 40, 50, 250
    last = max(points[-1][0], 1.0)
    highest = max(max(value for _, value in points), 1e-9) * 1.1
    placed = " ".join(
        f"{left + (right - left) * x / last:.1f},{bottom - (bottom - top) * y / highest:.1f}"
        for x, y in points
    )
    parts = [
        f'<line class="axis" x1="{left}" x2="{left}" y1="{top}" y2="{bottom}"/>',
        f'<line class="axis" x1="{left}" x2="{right}" y1="{bottom}" y2="{bottom}"/>',
        f'<polyline points="{placed}" fill="none" stroke="#2f81f7" stroke-width="2"/>',
        _text(left - 8, bottom + 4, "0", ' text-anchor="end"'),
        _text(left - 8, top + 12, f"{short(highest)} {unit}", ' text-anchor="end"'),
        _text(right, bottom + 18, f"{last / 60:.0f} min", ' text-anchor="end"'),
    ]
    return image(title, parts, bottom + 30)
