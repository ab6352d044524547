"""``mailroute run``: the service itself, in the foreground, without ``twistd`` at hand."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from mailroute.cli.invocation import Invocation, everywhere

_TWISTD = "from twisted.scripts.twistd import run; run()"


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("options", nargs=-1, type=click.UNPROCESSED)
@everywhere
@click.pass_obj
def command(invocation: Invocation, options: tuple[str, ...]) -> None:
    """Serve in the foreground, until SIGTERM or SIGINT.

    The same as "twistd --nodaemon --pidfile= OPTIONS mailroute --config FILE", by the Python that
    mailroute is installed for; OPTIONS are twistd's, such as --logfile=PATH.
    """
    words = command_line(invocation.config, options)
    os.execv(words[0], words)  # noqa: S606


def command_line(config: str, options: Sequence[str]) -> list[str]:
    """What is carried out in the place of this process.

    Not the ``twistd`` of the search path: on Debian that is another Python's.
    """
    # -P: modules in the present folder are not ours.
    python = [sys.executable, "-P", "-c", _TWISTD]
    return [*python, "--nodaemon", "--pidfile=", *options, "mailroute", "--config", config]
