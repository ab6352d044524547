"""The outcome as files: Markdown and plots, and the generated part of docs/performance.md."""

from __future__ import annotations

from pathlib import Path

from benchmarks.layout import SECTIONS
from benchmarks.plots import section_plot
from benchmarks.results import Results
from benchmarks.tables import markdown, report

ROOT = Path(__file__).parents[1]
DOCUMENT = ROOT / "docs" / "performance.md"
PLOTS = ROOT / "docs" / "performance"


class DocumentBroken(Exception):
    """The document has no place for what is to be written."""


def replace_between(text: str, name: str, generated: str) -> str:
    """Put the generated text between its two comments.  Raises DocumentBroken."""
    begin, end = f"<!-- begin {name} -->\n", f"<!-- end {name} -->\n"
    if text.count(begin) != 1 or text.count(end) != 1 or text.index(begin) > text.index(end):
        raise DocumentBroken(f"{DOCUMENT.name} needs the lines {begin.strip()} and {end.strip()}")
    head, tail = text.split(begin)[0], text.split(end)[1]
    return f"{head}{begin}\n{generated.strip()}\n\n{end}{tail}"


def write_plots(results: Results, folder: Path) -> list[str]:
    """A file for each section that has figures; returns their names without suffix."""
    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for section in SECTIONS:
        plot = section_plot(results, section)
        if plot is not None:
            (folder / f"{section.name}.svg").write_text(plot)
            written.append(section.name)
    return written


def write_results(results: Results, folder: Path) -> None:
    """JSON, Markdown and plots into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    results.save(folder / "results.json")
    (folder / "results.md").write_text(markdown(results))
    write_plots(results, folder)


def write_document(results: Results) -> None:
    """Renew the figures and plots of docs/performance.md.  Raises DocumentBroken."""
    plots = write_plots(results, PLOTS)
    parts = []
    for name, title, text in report(results):
        picture = f"![{title}]({PLOTS.name}/{name}.svg)\n\n" if name in plots else ""
        parts.append(f"### {title}\n\n{picture}{text}\n")
    DOCUMENT.write_text(replace_between(DOCUMENT.read_text(), "figures", "\n".join(parts)))
