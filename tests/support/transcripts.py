"""The shell sessions of a document: what is typed, what is printed, the exit status."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_STATUS = re.compile(r"\(exit status (\d+)\)")


@dataclass(slots=True)
class Command:
    """One command of a session."""

    line: str
    printed: list[str] = field(default_factory=list)
    status: int = 0

    def is_shown_by(self, output: str) -> bool:
        """Whether this is what the document says.

        ``...`` stands for anything; how far columns are apart does not count.
        """
        wanted = r"\n".join(
            re.escape(_folded(line)).replace(r"\.\.\.", ".*") for line in self.printed
        )
        got = "\n".join(_folded(line) for line in output.splitlines())
        return re.fullmatch(wanted, got) is not None


@dataclass(slots=True)
class Blocks:
    """The blocks of a document."""

    toml: str = ""
    files: dict[str, str] = field(default_factory=dict)
    databases: dict[str, str] = field(default_factory=dict)
    commands: list[Command] = field(default_factory=list)


def read_blocks(path: Path) -> Blocks:
    """Read all blocks; raises ValueError for one of an unknown kind."""
    blocks = Blocks()
    for kind, name, content in _BLOCK.findall(path.read_text(encoding="utf-8")):
        if kind == "toml":
            blocks.toml += content
        elif kind == "file":
            blocks.files[name] = content
        elif kind == "sqlite":
            blocks.databases[name] = content
        elif kind == "console":
            blocks.commands += _commands(content)
        else:
            raise ValueError(f"what is a block of {kind}?")
    return blocks


def _commands(content: str) -> Iterator[Command]:
    command: Command | None = None
    for line in content.splitlines():
        if line.startswith("$ "):
            if command is not None:
                yield command
            command = Command(line[2:])
        elif command is None:
            raise ValueError(f"a session begins with a command, not with {line!r}")
        elif status := _STATUS.fullmatch(line):
            command.status = int(status[1])
        else:
            command.printed.append(line)
    if command is not None:
        yield command


def _folded(line: str) -> str:
    return re.sub("─+", "─", " ".join(line.split()))
