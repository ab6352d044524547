"""``mailroute postmap``: asks a table of Postfix as ``postmap`` does, for scripts that call it."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

import click

from mailroute.cli.invocation import Invocation

FATAL = 1
"""postmap's exit status of every error."""

_REFUSED = {
    "d": "no entry is removed: mailroute table NAME delete KEY does that for a [table.NAME]",
    "b": "messages are not read: give the lines themselves to -q -",
    "h": "messages are not read: give the headers themselves to -q -",
    "m": "messages are not read: give the lines themselves to -q -",
    "F": "values in base64 are not read",
    "u": "keys and values are UTF-8 always",
}
_WITHOUT_EFFECT = "inNoprUvw"
"""What matters only where an index is made, or to Postfix itself."""


class _Fatal(Exception):
    """The command line cannot be carried out; postmap's words."""


class _Postmap(click.Command):
    """Complains as postmap does."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(ctx, args)
        except click.UsageError as error:
            _end(f"{error.format_message()}: see mailroute postmap --help")


@dataclass(frozen=True, slots=True)
class _Asked:
    """What the command line says."""

    key: str | None
    """None: list the first table."""
    names: tuple[str, ...]
    fold: bool
    as_json: bool
    config_directory: str


def _options(function: Any) -> Any:
    """The options that are refused or ignored, not listed in the help."""
    for letter in _REFUSED:
        takes_key = letter == "d"
        function = click.option(
            f"-{letter}", f"refused_{letter}", is_flag=not takes_key, hidden=True
        )(function)
    for letter in _WITHOUT_EFFECT:
        function = click.option(
            f"-{letter}", expose_value=False, count=True, hidden=True, default=0
        )(function)
    return function


@click.command(cls=_Postmap, context_settings={"help_option_names": ["--help"]})
@click.option("-q", "keys", metavar="KEY", multiple=True, help="Print KEY's value; -: see above.")
@click.option("-s", "is_list", is_flag=True, help="Print every key and value of the first table.")
@click.option("-f", "is_unfolded", is_flag=True, help="Leave the key's upper and lower case.")
@click.option("-j", "as_json", is_flag=True, help='Print lines of {"key": "value"}.')
@click.option("-c", "directory", metavar="DIR", help="The folder of main.cf.")
@click.argument("maps", nargs=-1, metavar="TYPE:NAME...")
@_options
@click.pass_obj
def command(invocation: Invocation, /, **given: Any) -> None:
    """Ask tables of Postfix, as postmap does: its output and its exit statuses.

    The first table that has the key answers.  -q - reads keys from standard input, one on each
    line, and prints key, tab and value of those that are found.

    Exit statuses: 0 found, 1 absent or any error; an error is a line on standard error.
    """
    try:
        asked = _asked(given)
    except _Fatal as fatal:
        _end(str(fatal))
    raise SystemExit(invocation.run(partial(_answer, asked)))


def _asked(given: dict[str, Any]) -> _Asked:
    """Read the command line.  Raises _Fatal."""
    for letter, why in _REFUSED.items():
        if given[f"refused_{letter}"]:
            raise _Fatal(f"-{letter}: {why}")
    keys, is_list, names = given["keys"], given["is_list"], given["maps"]
    if len(keys) + is_list > 1:
        raise _Fatal("specify only one of -s or -q")
    if not keys and not is_list:
        raise _Fatal("no index is made here, -q or -s is needed: mailroute reads texthash:FILE")
    if keys and not names:
        raise _Fatal("usage: postmap [-fj] [-c config_dir] -q key|-s [map_type:]file...")
    return _Asked(
        keys[0] if keys else None,
        names,
        not given["is_unfolded"],
        given["as_json"],
        _config_directory(given["directory"]),
    )


def _config_directory(given: str | None) -> str:
    """The folder of main.cf, as Postfix finds it.  Raises _Fatal."""
    named = given or os.environ.get("MAIL_CONFIG")
    if named is None:
        return "/etc/postfix"
    path = os.path.join(named, "main.cf")
    if not os.access(path, os.R_OK):
        raise _Fatal(f"open {path}: no such file, or it cannot be read")
    return named


async def _answer(asked: _Asked, reactor: Any) -> int:
    from mailroute.tables.postfix.opening import open_map
    from mailroute.tables.postfix.query import Maps, Streams, query, query_lines, sequence

    maps = Maps(
        asked.names,
        partial(
            open_map,
            config_directory=asked.config_directory,
            reactor=reactor,
            fold=asked.fold,
        ),
    )
    streams = Streams(_print, _complain, asked.as_json)
    try:
        if asked.key is None:
            return await sequence(maps, streams)
        if asked.key == "-":
            return await query_lines(_lines(), maps, streams)
        return await query(asked.key, maps, streams)
    finally:
        sys.stdout.flush()


def _lines() -> Iterator[str]:
    for line in sys.stdin.buffer:
        yield line.decode("utf-8", "surrogateescape")


def _print(text: str) -> None:
    # Octets: an answer is the same in every locale.
    sys.stdout.buffer.write(f"{text}\n".encode("utf-8", "surrogateescape"))


def _complain(text: str) -> None:
    click.echo(text, err=True)


def _end(text: str) -> NoReturn:
    _complain(f"postmap: fatal: {text}")
    raise SystemExit(FATAL)
