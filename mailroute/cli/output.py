"""What a command prints: for people, or as JSON for programs.

Results go to standard output, everything else to standard error.  Values come from tables and
from other people's servers: what could steer a terminal is shown as an escape.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

_WIDE = 100_000
"""Columns of an output that is no terminal: nothing is folded or cut."""


class Output:
    """Where a command's results go, and in which form."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def put(self, data: object, people: object = None) -> None:
        """Print one result: ``data`` as a line of JSON, or what ``people`` read.

        ``people`` is text, a tuple of cells, or anything that rich renders and that has passed
        ``visible``; without it they are told nothing.
        """
        if self.as_json:
            # ASCII alone: no terminal is steered by what a table holds.
            print(json.dumps(data), flush=True)
        elif people is not None:
            self.show(people)

    def show(self, people: object) -> None:
        """Print for people, whatever the form is."""
        if isinstance(people, tuple):
            # For cut(1): no cell holds a tab or a line end.
            print(
                *(visible(str(cell)).replace("\n", "\\n") for cell in people), sep="\t", flush=True
            )
        elif isinstance(people, str):
            print(visible(people), flush=True)
        else:
            self.console.print(people, highlight=False, soft_wrap=True)

    def grid(self, headings: Sequence[str], rows: Iterable[Sequence[object]]) -> object:
        """Columns under headings, for ``put``; nothing in them needs to be made visible."""
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(*headings, box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
        for row in rows:
            table.add_row(*(Text(visible(str(cell))) for cell in row))
        return table

    def note(self, text: str) -> None:
        """Say something that is no result, on standard error."""
        print(f"mailroute: {visible(text)}", file=sys.stderr, flush=True)

    @cached_property
    def console(self) -> Console:
        """Standard output for rich."""
        return _console(sys.stdout)

    @cached_property
    def errors(self) -> Console:
        """Standard error for rich: progress."""
        return _console(sys.stderr)


def visible(text: str) -> str:
    """The text with everything that is no printable character as an escape; lines stay lines."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _console(stream: IO[str]) -> Console:
    # Imported here: a program that reads JSON does not wait for it.
    from rich.console import Console

    options: dict[str, Any] = {} if stream.isatty() else {"width": _WIDE}
    return Console(file=stream, **options)
