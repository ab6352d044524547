"""The shell sessions of a document: what is typed and what is printed."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_BLOCK = re.compile(r"^```(\w+) ?(\S*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Block:
    """A block of a document: its kind, the word behind that, and what stands in it."""

    kind: str
    name: str
    content: str


@dataclass(frozen=True, slots=True)
class Command:
    """One command of a session."""

    line: str
    printed: list[str] = field(default_factory=list)

    def is_shown_by(self, output: str) -> bool:
        """Whether this is what the document says; ``...`` stands for anything in a line.

        Where columns have a rule below their headings, how far they are apart does not count.
        """
        lines = output.removesuffix("\n").split("\n") if output else []
        wanted = self.printed
        if any("─" in line for line in wanted):
            lines, wanted = [_folded(line) for line in lines], [_folded(line) for line in wanted]
        pattern = r"\n".join(re.escape(line).replace(r"\.\.\.", ".*") for line in wanted)
        return re.fullmatch(pattern, "\n".join(lines)) is not None


def read_blocks(path: Path) -> list[Block]:
    """All blocks, in their order."""
    return [Block(*found) for found in _BLOCK.findall(path.read_text(encoding="utf-8"))]


def commands(block: Block) -> Iterator[Command]:
    """The commands of a session; raises ValueError for one that does not begin with a command."""
    found: list[Command] = []
    for line in block.content.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:]))
        elif found:
            found[-1].printed.append(line)
        else:
            raise ValueError(f"a session begins with a command, not with {line!r}")
    yield from found


def _folded(line: str) -> str:
    return re.sub("─+", "─", " ".join(line.split()))
