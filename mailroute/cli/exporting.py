"""``mailroute export``: prints the mapping as the CSV file that ``mailroute import`` reads."""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

import click

from mailroute.cli.invocation import Invocation, everywhere
from mailroute.errors import ConfigurationError


@click.command()
@everywhere
@click.pass_obj
def command(invocation: Invocation) -> None:
    """Print every account and its destination as CSV, sorted by account.

    The first line names the columns: identifier,destination.  mailroute import reads it.

    Exit statuses: 0 done, 75 temporary failure, 78 the configuration is at fault, or lacks the
    statement that lists.
    """
    from mailroute.tables.string_table import ReadOnly

    configuration, output = invocation.configuration(), invocation.output

    async def work(reactor: Any) -> Sequence[tuple[str, str]]:
        from mailroute.cli.opened import opened_mapping

        async with opened_mapping(configuration, reactor, output.note) as store:
            return await store.list()

    try:
        listed = invocation.run(work)
    except ReadOnly as refused:
        raise ConfigurationError([str(refused)]) from None
    accounts = sorted((key, destination.strip()) for key, destination in listed)
    homeless = sum(not destination for _, destination in accounts)
    if homeless:
        output.note(f"left out: {homeless} without a destination")
    accounts = [account for account in accounts if account[1]]
    if output.as_json:
        for key, destination in accounts:
            output.put({"identifier": key, "destination": destination})
    else:
        _print(accounts)


def _print(accounts: Sequence[tuple[str, str]]) -> None:
    from mailroute.cli.csv_form import write_lines

    text = io.StringIO(newline="")
    write_lines(accounts, text)
    # Octets: the file is the same in every locale.
    sys.stdout.buffer.write(text.getvalue().encode("utf-8", "surrogateescape"))
    sys.stdout.flush()
