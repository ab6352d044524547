"""``mailroute import``: loads accounts from a CSV file into the mapping."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.cli.output import Output
from mailroute.errors import ConfigurationError

if TYPE_CHECKING:
    from mailroute.cli.import_report import Report
    from mailroute.tables.mapping_store import MappingStore


@dataclass(frozen=True, slots=True)
class Wish:
    """What the command line asks for."""

    file: IO[bytes]
    dry_run: bool
    skip_bad: bool
    verbose: bool


@click.command()
@click.argument("file", type=click.File("rb"))
@click.option("--dry-run", is_flag=True, help="Say what would change, and change nothing.")
@click.option("--skip-bad", is_flag=True, help="Leave out lines that cannot be used.")
@click.option("-v", "--verbose", is_flag=True, help="Name every account that changes.")
@everywhere
@click.pass_obj
def command(
    invocation: Invocation, file: IO[bytes], dry_run: bool, skip_bad: bool, verbose: bool
) -> None:
    """Load accounts from FILE, in CSV, into the mapping; - is standard input.

    The first line names the columns: identifier,destination.  Accounts that are not in the file
    stay as they are.  Unless --skip-bad is given, one line that cannot be used stops everything
    before anything is written.  After an interruption run it again: what is there is left alone.

    Exit statuses: 0 done, 1 refused for lines that cannot be used, 75 temporary failure,
    78 the configuration is at fault, or lacks a statement that is needed.
    """
    from mailroute.tables.string_table import ReadOnly

    configuration = invocation.configuration()
    wish = Wish(file, dry_run, skip_bad, verbose)

    async def work(reactor: Any) -> int:
        from mailroute.cli.opened import opened_mapping

        async with opened_mapping(configuration, reactor, invocation.output.note) as store:
            return await _load(wish, store, invocation.output)

    try:
        status = invocation.run(work)
    except ReadOnly as refused:
        raise ConfigurationError([str(refused)]) from None
    raise SystemExit(status)


async def _load(wish: Wish, store: MappingStore, output: Output) -> int:
    from mailroute.cli.csv_form import ENCODING, ERRORS, NotCsv, read_lines
    from mailroute.cli.import_report import Report
    from mailroute.cli.loading import make_plan

    text = io.TextIOWrapper(wish.file, encoding=ENCODING, errors=ERRORS, newline="")
    try:
        plan = await make_plan(read_lines(text), store)
    except NotCsv as error:
        output.note(f"{error}: nothing was written")
        return statuses.ABSENT
    report = Report(plan, output, wish.dry_run, wish.verbose)
    report.tell_faults()
    is_refused = bool(plan.faults) and not wish.skip_bad
    if wish.dry_run:
        report.wrote(plan.steps)
    if wish.dry_run or is_refused:
        report.tell()
    else:
        await _write(store, report)
    if is_refused:
        output.note("no line is written while some cannot be used: correct them, or --skip-bad")
    return statuses.ABSENT if is_refused else statuses.OK


async def _write(store: MappingStore, report: Report) -> None:
    from mailroute.cli.loading import carry_out

    try:
        with _progress(len(report.plan.steps), report.names_all) as advance:
            async for steps in carry_out(report.plan, store):
                report.wrote(steps)
                advance(len(steps))
    finally:
        # Also of an import that failed or was interrupted.
        report.tell()
        report.tell_rest()


@contextmanager
def _progress(total: int, is_verbose: bool) -> Iterator[Callable[[int], None]]:
    """A bar on a terminal; yields what is told of every advance."""
    if is_verbose or not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeRemainingColumn

    columns = ("accounts", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("", total=total)
        yield lambda count: bar.advance(task, count)
