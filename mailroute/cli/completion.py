"""``mailroute completion``: what makes a shell complete our commands and options."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

VARIABLE = "_MAILROUTE_COMPLETE"
"""How the shell asks the console script; click's rule for its name."""


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(context: click.Context, shell: str) -> None:
    """Print the completion for SHELL.

    For bash:  eval "$(mailroute completion bash)"
    """
    completion = get_completion_class(shell)
    if completion is None:
        raise click.UsageError(f"there is no completion for {shell}")
    root = context.find_root()
    click.echo(completion(root.command, {}, "mailroute", VARIABLE).source())
