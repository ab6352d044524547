"""What every command is given: the configuration, somewhere to print, a reactor to wait on."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from mailroute.cli.output import Output

if TYPE_CHECKING:
    from mailroute.cli.running import Work
    from mailroute.config.model import Configuration

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])


@dataclass(slots=True)
class Invocation:
    """One call of the console script.  Imports wait for the command that needs them.

    The options that say what it is may stand before and behind the command's name.
    """

    config: str
    """The configuration file."""
    output: Output

    def configuration(self) -> Configuration:
        """Read the configuration; raises ConfigurationError, which ``main`` words."""
        from mailroute.config.reader import read

        return read(self.config, environment=os.environ)

    def run(self, work: Work[T]) -> T:
        """See ``running.run``; the reactor is the process's."""
        from twisted.internet import reactor

        from mailroute.cli import running

        running.tell_log()
        return running.run(work, reactor)


def everywhere(function: F) -> F:
    """Give a command the options that may also stand before its name."""

    def choose_config(context: click.Context, option: click.Parameter, value: str | None) -> None:
        if value is not None:
            context.obj.config = os.path.abspath(value)

    def choose_json(context: click.Context, option: click.Parameter, value: bool) -> None:
        if value:
            context.obj.output.as_json = True

    config = click.option(
        "--config",
        metavar="FILE",
        type=click.Path(readable=False),
        expose_value=False,
        callback=choose_config,
        help="The configuration.",
    )
    as_json = click.option(
        "--json", is_flag=True, expose_value=False, callback=choose_json, help="Print JSON."
    )
    return config(as_json(function))
