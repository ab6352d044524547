"""The console script: its commands, and what their ends mean as exit statuses."""

from __future__ import annotations

import errno
import io
import os
import signal
import sys
import traceback
from dataclasses import dataclass
from importlib import import_module
from typing import Any, NoReturn

import click
from click.shell_completion import CompletionItem

from mailroute import __version__
from mailroute.cli import statuses
from mailroute.cli.invocation import Invocation
from mailroute.cli.output import Output, visible
from mailroute.configured import CONFIG_VARIABLE, complain, default_config
from mailroute.errors import ConfigurationError, Failure


@dataclass(frozen=True, slots=True)
class Place:
    """Where a command lives: a module whose ``command`` it is, imported when it is called."""

    module: str
    summary: str


COMMANDS = {
    "run": Place("run", "Serve in the foreground, as twistd does."),
    "check": Place("check", "Check the whole configuration."),
    "lookup": Place("lookup", "Tell where accounts live, as a login would find out."),
    "explain": Place("explain", "Show every step from a login's name to its server."),
    "login-test": Place("login_test", "Log in as a client would, and show how it went."),
    "table": Place("table", "Ask a table or the mapping by its name, list it, change it."),
    "postmap": Place("postmap", "Ask a table of Postfix, as postmap does."),
    "import": Place("importing", "Load accounts from a CSV file into the mapping."),
    "export": Place("exporting", "Print the mapping as CSV."),
    "completion": Place("completion", "Print the completion for a shell."),
}


class Commands(click.Group):
    """The commands of ``COMMANDS``; only the one that is called is imported."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Their names, in the order of the list."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        place = COMMANDS.get(cmd_name)
        if place is None:
            return None
        command: click.Command = import_module(f"mailroute.cli.{place.module}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List them in the help without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, place.summary) for name, place in COMMANDS.items()])

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete their names without importing them."""
        names = [name for name in COMMANDS if name.startswith(incomplete)]
        items = [CompletionItem(name, help=COMMANDS[name].summary) for name in names]
        return items + click.Command.shell_complete(self, ctx, incomplete)

    def invoke(self, ctx: click.Context) -> Any:
        """Call the command; what it could not do becomes words and an exit status."""
        try:
            return super().invoke(ctx)
        except ConfigurationError as error:
            complain(ctx.obj.config, error, sys.stderr)
            raise SystemExit(statuses.CONFIGURATION) from None
        except Failure as failure:
            print(f"mailroute: {visible(str(failure))}", file=sys.stderr)
            raise SystemExit(statuses.of(failure)) from None
        except (click.ClickException, click.exceptions.Exit):
            raise
        except (KeyboardInterrupt, click.Abort):
            raise SystemExit(statuses.INTERRUPTED + signal.SIGINT) from None
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # Whoever reads what we print has had enough: click ends quietly.
            # Python's own status would say "absent".
            traceback.print_exc()
            raise SystemExit(statuses.DEFECT) from None


@click.group(
    cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100}
)
@click.option(
    "-c",
    "--config",
    metavar="FILE",
    # Who needs it finds out whether it can be read.
    type=click.Path(readable=False),
    default=lambda: default_config(os.environ),
    help=f"The configuration; without it ${CONFIG_VARIABLE} or /etc/mailroute/mailroute.toml.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON for programs.")
@click.version_option(__version__, prog_name="mailroute")
@click.pass_context
def mailroute(context: click.Context, config: str, as_json: bool) -> None:
    """Ask and tell mailroute, which routes mail logins to the servers that hold the accounts.

    Exit statuses: 0 done or found, 1 absent or refused, 2 wrong usage, 75 temporary failure,
    78 the configuration is at fault.
    """
    context.obj = Invocation(os.path.abspath(config), Output(as_json))


def main(arguments: list[str] | None = None) -> NoReturn:
    """Run the console script; ends the process."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # A name that the terminal's character set lacks is no reason to fail.
            stream.reconfigure(errors="backslashreplace")
    mailroute.main(arguments, prog_name="mailroute")
    raise AssertionError("click ends the process")
