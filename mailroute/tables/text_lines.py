"""The lines of a text file, read by a thread while the reactor goes on.

The reactor waits for the interpreter's lock while the thread computes.  It is given the lock when
it has waited for 5 ms (``sys.getswitchinterval``), but that time begins anew whenever the thread
lets go of the lock meanwhile, were it as shortly as for a ``read()`` that the page cache answers:
the thread has it again before the reactor has woken up.  With 64 KiB at a time, and so a read
every 2 to 3 ms, a file of a million lines held the reactor for 25 to 150 ms on end; with the same
code and 1 MiB at a time, for 10 to 17.  Hence a block that takes several times those 5 ms.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Sequence
from typing import BinaryIO

from mailroute.errors import ConfigurationError

LINE_LIMIT_OCTETS = 65536
_BLOCK_OCTETS = 1 << 20
_COMPLAINTS_SHOWN = 20
_LONGEST_CHARACTER_OCTETS = 4


def read_lines(path: str, take: Callable[[str], None]) -> None:
    """Give each line, without its line feed, to ``take``, which raises ValueError for a bad one.

    Raises OSError, and ConfigurationError with file and line of the first faults, which are also
    lines that are too long or not UTF-8; the lines after a fault are given all the same.
    """
    complaints: list[str] = []
    number = 0
    with open(path, "rb") as file:
        for lines in _blocks(file):
            for line in lines:
                number += 1
                try:
                    take(line if isinstance(line, str) else _decoded(line))
                except ValueError as error:
                    complaints.append(f"{path}:{number}: {error}")
                    if len(complaints) == _COMPLAINTS_SHOWN:
                        raise ConfigurationError(complaints) from None
    if complaints:
        raise ConfigurationError(complaints)


def _blocks(file: BinaryIO) -> Iterator[Sequence[str] | Sequence[bytes]]:
    """The lines, many at a time; octets where one of them needs a closer look.

    Of a line that is longer than a block its beginning comes, and nothing after it.
    """
    rest = b""
    block = file.read(_BLOCK_OCTETS).removeprefix(codecs.BOM_UTF8)
    while block:
        whole, line_feed, end = block.rpartition(b"\n")
        if line_feed:
            yield _split(rest + whole)
            rest = end
        else:
            rest += block
            if len(rest) > LINE_LIMIT_OCTETS:
                break
        block = file.read(_BLOCK_OCTETS)
    if rest:
        yield [rest[: LINE_LIMIT_OCTETS + 1]]


def _split(whole: bytes) -> Sequence[str] | Sequence[bytes]:
    try:
        lines = whole.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return whole.split(b"\n")
    if max(map(len, lines)) * _LONGEST_CHARACTER_OCTETS > LINE_LIMIT_OCTETS:
        return whole.split(b"\n")
    return lines


def _decoded(line: bytes) -> str:
    if len(line) > LINE_LIMIT_OCTETS:
        raise ValueError(f"the line is longer than {LINE_LIMIT_OCTETS} octets")
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the line is not UTF-8 text") from None
