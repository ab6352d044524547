"""``mailroute table``: asks a table or the mapping by its name, lists it, changes it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

import click

from mailroute.cli import statuses
from mailroute.cli.invocation import Invocation, everywhere
from mailroute.cli.output import Output, visible
from mailroute.configured import default_config
from mailroute.errors import ConfigurationError

if TYPE_CHECKING:
    from mailroute.tables.string_table import StringTable

Action = Callable[["Entries", Sequence[str]], Coroutine[Any, Any, int]]


def complete_names(context: click.Context, _: click.Parameter, incomplete: str) -> list[str]:
    """The tables of the configuration that begin so; faults in it are not the shell's affair."""
    given = context.parent.params.get("config") if context.parent is not None else None
    names = ["mapping"]
    try:
        with open(given or default_config(os.environ), "rb") as file:
            names += tomllib.load(file).get("table", {})
    except (OSError, ValueError, TypeError):
        pass
    return [name for name in names if name.startswith(incomplete)]


# Not -h: it would be found in every key that begins with a dash and has an "h".
@click.command(context_settings={"ignore_unknown_options": True, "help_option_names": ["--help"]})
@click.argument("name", shell_complete=complete_names)
@click.argument("action", type=click.Choice(["get", "set", "delete", "list"]))
@click.argument("words", nargs=-1, metavar="[KEY [VALUE]]...", type=click.UNPROCESSED)
@everywhere
@click.pass_obj
def command(invocation: Invocation, name: str, action: str, words: Sequence[str]) -> None:
    """Ask the table NAME, or change it.  NAME may be mapping: who lives where.

    \b
    mailroute table NAME get KEY...         the values of each key
    mailroute table NAME set KEY VALUE...   replace the values of one key
    mailroute table NAME delete KEY...      remove keys
    mailroute table NAME list               every key and its values

    Exit statuses: 0 found or done, 1 absent or refused, 75 temporary failure, 78 the
    configuration is at fault, or lacks a statement that the change needs.
    """
    _check(action, words)
    from mailroute.cli.opened import opened_table
    from mailroute.tables.string_table import ReadOnly

    configuration, output = invocation.configuration(), invocation.output

    async def work(reactor: Any) -> int:
        async with opened_table(configuration, name, reactor, output.note) as table:
            return await ACTIONS[action](Entries(table, output), words)

    try:
        status = invocation.run(work)
    except ReadOnly as refused:
        raise ConfigurationError([str(refused)]) from None
    except ValueError as error:
        output.note(str(error))
        status = statuses.ABSENT
    raise SystemExit(status)


class Entries:
    """What the actions do with a table."""

    def __init__(self, table: StringTable, output: Output) -> None:
        self._table = table
        self._output = output

    async def get(self, keys: Sequence[str]) -> int:
        """Print the values of each key: of a single one nothing else."""
        missing = 0
        for key in keys:
            values = await self._table.get(key)
            self._put({"key": key, "values": None if values is None else list(values)})
            if values is None:
                missing += 1
                self._output.note(f"{key}: absent")
            elif len(keys) > 1:
                self._line(key, *values)
            else:
                for value in values:
                    self._line(value)
        return statuses.ABSENT if missing else statuses.OK

    async def set(self, words: Sequence[str]) -> int:
        """Make the values those of the key."""
        key, *values = words
        await self._table.set(key, tuple(values))
        self._put({"key": key, "values": values})
        return statuses.OK

    async def delete(self, keys: Sequence[str]) -> int:
        """Remove each key."""
        missing = 0
        for key in keys:
            is_gone = await self._table.delete(key)
            self._put({"key": key, "deleted": is_gone})
            if not is_gone:
                missing += 1
                self._output.note(f"{key}: absent")
        return statuses.ABSENT if missing else statuses.OK

    async def list(self, _: Sequence[str]) -> int:
        """Print every entry."""
        for key, values in await self._table.list():
            self._put({"key": key, "values": list(values)})
            self._line(key, *values)
        return statuses.OK

    def _put(self, data: object) -> None:
        if self._output.as_json:
            self._output.put(data)

    def _line(self, *words: str) -> None:
        if not self._output.as_json:
            click.echo("\t".join(map(visible, words)))


ACTIONS: dict[str, Action] = {
    "get": Entries.get,
    "set": Entries.set,
    "delete": Entries.delete,
    "list": Entries.list,
}


def _check(action: str, words: Sequence[str]) -> None:
    """Raise UsageError for too few words, or too many."""
    if action == "list" and words:
        raise click.UsageError("list takes no key")
    if action == "set" and len(words) < 2:
        raise click.UsageError("set needs a key and its value")
    if action in ("get", "delete") and not words:
        raise click.UsageError(f"{action} needs a key")
