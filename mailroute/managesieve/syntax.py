"""The parts of ManageSieve's grammar that matter before a login (RFC 5804 section 4).

Wire data stays ``bytes``; a name becomes ``str`` in ``sasl``.  Strings are quoted or literals;
only clients mark a literal as non-synchronizing, and no literal of this protocol is waited for.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailroute.wire.strings import BadSyntax, Command

QUOTED_OCTETS = 1024
"""What every receiver takes inside quotes; anything longer goes as a literal."""
START_OCTETS = 64
"""Enough of a command to see its verb."""

_VERB = re.compile(rb"[A-Za-z]*")
_AUTHENTICATE = re.compile(rb"AUTHENTICATE(?![A-Za-z])", re.IGNORECASE)
_STATUS = re.compile(rb"(OK|NO|BYE)(?= |\Z)", re.IGNORECASE)
_CODE_NAME = re.compile(rb'[^\x00-\x20\x7f-\xff(){"\\]+')
_UNQUOTABLE = re.compile(rb"[\x00\r\n]")
_SPECIAL = re.compile(rb'(["\\])')


def verb_of(command: Command) -> str:
    """The verb in upper case, empty without one; the command moves on to its arguments."""
    match = _VERB.match(command.text)
    verb = match[0] if match else b""
    command.position = len(verb)
    return verb.decode("ascii").upper()


def is_authenticate(beginning: bytes) -> bool:
    """Whether a command that begins so, complete or not, is AUTHENTICATE."""
    return _AUTHENTICATE.match(beginning) is not None


def only_string(line: Command) -> bytes:
    """The string that is the whole line: a challenge or a response.  Raises BadSyntax."""
    value = line.string()
    line.end()
    return value


def is_string(line: Command) -> bool:
    """Whether the line begins with a string: then it is no final reply."""
    return line.text[:1] in (b'"', b"{")


def capability(line: Command) -> tuple[bytes, bytes]:
    """A capability's name in upper case and its value, empty without one.  Raises BadSyntax."""
    name, value = line.string(), b""
    if not line.at_end():
        line.space()
        value = line.string()
    line.end()
    return name.upper(), value


@dataclass(frozen=True, slots=True)
class Reply:
    """A backend's final reply to one of our commands, or the end of its greeting."""

    status: str
    """OK, NO or BYE."""
    code: bytes = b""
    """The response code in upper case, without its arguments; empty without one."""
    argument: bytes | None = None
    """The code's first string: the data of SASL, the URL of REFERRAL."""
    text: bytes | None = None
    """For people."""


def reply(line: Command) -> Reply:
    """Read a final reply; raises BadSyntax for any other line."""
    match = _STATUS.match(line.text)
    if match is None:
        raise BadSyntax("OK, NO or BYE expected")
    line.position = match.end()
    code, argument, text = b"", None, None
    if line.text[line.position : line.position + 2] == b" (":
        code, argument = _response_code(line)
    if not line.at_end():
        line.space()
        text = line.string()
    line.end()
    return Reply(match[1].decode("ascii").upper(), code, argument, text)


def _response_code(line: Command) -> tuple[bytes, bytes | None]:
    """Read `` (NAME arguments)``: strings, numbers and parenthesized lists of them."""
    name = _CODE_NAME.match(line.text, line.position + 2)
    if name is None:
        raise BadSyntax("Response code expected")
    line.position = name.end()
    argument, depth = None, 1
    while depth:
        following = line.text[line.position : line.position + 1]
        if following in (b'"', b"{"):
            found = line.string()
            argument = found if argument is None else argument
            continue
        if not following:
            raise BadSyntax("Response code has no end")
        depth += {b"(": 1, b")": -1}.get(following, 0)
        line.position += 1
    return name[0].upper(), argument


def string(octets: bytes) -> bytes:
    """Write a string as a server does: quoted where that can hold it, else a literal."""
    return _quoted(octets) or b"{%d}\r\n" % len(octets) + octets


def client_string(octets: bytes) -> bytes:
    """Write a string as a client does: its literals are not waited for."""
    return _quoted(octets) or b"{%d+}\r\n" % len(octets) + octets


def _quoted(octets: bytes) -> bytes | None:
    if len(octets) > QUOTED_OCTETS or _UNQUOTABLE.search(octets):
        return None
    try:
        octets.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return b'"' + _SPECIAL.sub(rb"\\\1", octets) + b'"'
