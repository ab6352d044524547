"""Writes the parts of the reference that the program itself knows: keys and commands.

They are made anew with each build and kept out of version control, so that they cannot drift.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from mailroute.cli.main import mailroute
from mailroute.config.reader import SECTIONS
from mailroute.config.schema import REQUIRED, Key, Section
from mailroute.config.tables import SECTIONS as TABLES

HERE = Path(__file__).parent


def configuration() -> str:
    """Every section with its keys, in the reader's own order."""
    return "\n".join(line for section in SECTIONS for line in _section(section))


def commands() -> str:
    """What each command says of itself with ``--help``."""
    return "\n".join(_command(mailroute, "mailroute", None))


def _section(section: Section) -> Iterator[str]:
    # "*" stands for a name that the file chooses.
    path = section.path.replace("protocol.*", "protocol.PROTOCOL").replace("*", "NAME")
    kind = "".join(f' type = "{name}"' for name, each in TABLES.items() if each is section)
    yield f"## [{path}]{kind}\n\n{section.doc}\n"
    for key in section.keys:
        if key.built:
            yield from _key(key)


def _key(key: Key) -> Iterator[str]:
    yield f"`{key.name}`\n\n: {key.doc}"
    if key.default is REQUIRED:
        yield "  Required."
    elif key.default is None:
        yield "  Unset by default."
    else:
        yield f"  Default: `{json.dumps(key.default, ensure_ascii=False)}`."
    if key.alias:
        yield f"  Also called `{key.alias}`."
    yield ""


def _command(command: click.Command, name: str, parent: click.Context | None) -> Iterator[str]:
    with click.Context(command, info_name=name, parent=parent, max_content_width=90) as context:
        yield f"## {context.command_path}\n"
        yield f"```text\n{command.get_help(context).rstrip()}\n```\n"
        if isinstance(command, click.Group):
            for each in command.list_commands(context):
                found = command.get_command(context, each)
                if found is not None:
                    yield from _command(found, each, context)


def main() -> None:
    """Write the files that the reference includes."""
    folder = HERE / "reference" / "generated"
    folder.mkdir(exist_ok=True)
    (folder / "configuration.md").write_text(configuration(), encoding="utf-8")
    (folder / "commands.md").write_text(commands(), encoding="utf-8")


if __name__ == "__main__":
    main()
