"""The parts of POP3's grammar that matter before a login (RFC 1939, RFC 2449, RFC 5034).

Wire data stays ``bytes``; a name becomes ``str`` in ``sasl``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COMMAND_LINE_LIMIT = 255
"""RFC 2449 section 4: octets of a command line, CRLF included, that a backend must take."""
LIST_END = b"."

_STATUS = re.compile(rb"(\+OK|-ERR)(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_CODE = re.compile(rb"\[([^\[\] ]+)\]")
_UNFIT_FOR_NAME = re.compile(rb"[\x00-\x20\x7f]")
_UNFIT_FOR_LINE = re.compile(rb"[\x00\r\n]")


class BadSyntax(Exception):
    """The command does not follow the grammar; the text is a short reason fit for the client."""


@dataclass(frozen=True, slots=True)
class Request:
    """A client's command: the verb in upper case, and the rest of the line as it came."""

    verb: bytes
    argument: bytes
    """All behind the first space, for PASS takes spaces as octets of the password."""

    def end(self) -> None:
        """Raises BadSyntax when there is an argument; a stray space is none."""
        if self.argument.strip(b" "):
            raise BadSyntax("Too many arguments")

    def words(self, most: int) -> list[bytes]:
        """The argument split at spaces; raises BadSyntax for more words than ``most``."""
        words = self.argument.split()
        if len(words) > most:
            raise BadSyntax("Too many arguments")
        return words


def request_of(line: bytes) -> Request:
    """Split a line of the client; any line has some verb, though it may be unknown."""
    verb, _, argument = line.partition(b" ")
    return Request(verb.upper(), argument)


@dataclass(frozen=True, slots=True)
class Reply:
    """A backend's reply, or the first line of one: its status indicator and its words."""

    ok: bool
    words: bytes
    """What stands behind the status indicator: a response code perhaps, and text."""

    def has_code(self, *codes: bytes) -> bool:
        """Whether the response code is one of these or below one of them (RFC 2449 section 8)."""
        match = _CODE.match(self.words)
        code = match[1].upper() + b"/" if match else b""
        return any(code.startswith(known + b"/") for known in codes)


def reply_of(line: bytes) -> Reply | None:
    """The reply that this line is, or None where it has no status indicator."""
    match = _STATUS.match(line)
    if match is None:
        return None
    return Reply(match[1].upper() == b"+OK", match[2] or b"")


def challenge_in(line: bytes) -> bytes | None:
    """The base64 text of a challenge (RFC 5034 section 4), or None for any other line."""
    return line[2:].strip(b" ") if line == b"+" or line.startswith(b"+ ") else None


def unstuffed(line: bytes) -> bytes:
    """A line of a multi-line reply as it was meant (RFC 1939 section 3); not for LIST_END."""
    return line[1:] if line.startswith(b".") else line


def fits_user(name: bytes) -> bool:
    """Whether USER can carry the name: one word without controls (RFC 1939 section 3)."""
    return _UNFIT_FOR_NAME.search(name) is None


def fits_line(command: bytes) -> bool:
    """Whether this is one command line, and one that every backend reads as a whole."""
    return len(command) + 2 <= COMMAND_LINE_LIMIT and _UNFIT_FOR_LINE.search(command) is None
