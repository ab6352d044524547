"""The parts of IMAP's grammar that matter before a login (RFC 9051 section 9).

Wire data stays ``bytes``; a name becomes ``str`` in ``sasl``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from mailroute.wire.strings import BadSyntax, Command

_TAG = re.compile(rb"""[^\x00-\x20\x7f-\xff(){%*"\\+]{1,256}\Z""")
_START = re.compile(rb"([^ ]*) ?([A-Za-z0-9.]*)")
_AUTHENTICATE = re.compile(rb"[^ \r\n]* AUTHENTICATE(?![A-Za-z0-9.])", re.IGNORECASE)
_TAGGED = re.compile(rb"([^ ]+) (OK|NO|BAD)(?: (.*))?\Z", re.IGNORECASE | re.DOTALL)
_STATUS = re.compile(rb"[^ ]+ (?:OK|NO|BAD|BYE|PREAUTH)(?: |\Z)", re.IGNORECASE)
_UNAUTHENTICATE = re.compile(rb" UNAUTHENTICATE(?=[ \]]|\Z)", re.IGNORECASE)
# Only ever matched where a code may stand: searching for it would take quadratic time.
_CODE = re.compile(rb"\[([^\] ]+)(?: ([^\]]*))?\]")

START_OCTETS = 512
"""Enough of a command to see its tag and its verb."""

ID_PAIRS = 30
ID_FIELD_OCTETS = 30
ID_VALUE_OCTETS = 1024


@dataclass(frozen=True, slots=True)
class Start:
    """The beginning of a command: enough to decide whether it is welcome."""

    tag: bytes
    """Empty where the command has no valid tag."""
    verb: str


def start_of(text: bytes) -> Start:
    """The tag and the verb (upper case) at the start of a command."""
    match = _START.match(text)
    tag, verb = (match[1], match[2]) if match else (b"", b"")
    return Start(tag if _TAG.match(tag) else b"", verb.decode("ascii").upper())


def is_authenticate(beginning: bytes) -> bool:
    """Whether a command that begins so, complete or not, is AUTHENTICATE."""
    return _AUTHENTICATE.match(beginning) is not None


def arguments_of(command: Command) -> Command:
    """Move to the end of tag and verb, so that the arguments can be taken."""
    match = _START.match(command.text)
    command.position = match.end() if match else 0
    return command


def id_fields(command: Command) -> tuple[tuple[bytes, bytes | None], ...]:
    """The arguments of ID as pairs (RFC 2971 section 3.3); raises BadSyntax."""
    command.space()
    if command.text[command.position :].upper() == b"NIL":
        return ()
    if command.text[command.position : command.position + 1] != b"(":
        raise BadSyntax("Parenthesized list expected")
    command.position += 1
    fields: list[tuple[bytes, bytes | None]] = []
    while command.text[command.position : command.position + 1] != b")":
        if fields:
            command.space()
        if len(fields) == ID_PAIRS:
            raise BadSyntax("Too many ID fields")
        name = _id_string(command, ID_FIELD_OCTETS)
        if command.text[command.position : command.position + 1] == b")":
            raise BadSyntax("ID field without a value")
        command.space()
        is_nil = command.text[command.position : command.position + 3].upper() == b"NIL"
        if is_nil:
            command.position += 3
        fields.append((name, None if is_nil else _id_string(command, ID_VALUE_OCTETS)))
    command.position += 1
    command.end()
    return tuple(fields)


def _id_string(command: Command, limit: int) -> bytes:
    value = command.string()
    if len(value) > limit:
        raise BadSyntax("ID field too long")
    return value


@dataclass(frozen=True, slots=True)
class Tagged:
    """A backend's final reply to one of our commands."""

    status: str
    words: bytes
    """What stands behind the status: a response code perhaps, and text."""

    @property
    def code(self) -> bytes:
        """The response code in upper case, without its arguments; empty without one."""
        match = _CODE.match(self.words)
        return match[1].upper() if match else b""


def tagged(line: bytes, tag: bytes) -> Tagged | None:
    """The final reply under this tag of ours, or None for any other line."""
    match = _TAGGED.match(line)
    if match is None or match[1] != tag:
        return None
    return Tagged(match[2].decode("ascii").upper(), match[3] or b"")


def is_status(line: bytes) -> bool:
    """Whether the line ends in text for humans, in which a ``{n}`` announces no literal."""
    return line.startswith(b"+") or _STATUS.match(line) is not None


def without_unauthenticate(text: bytes) -> bytes:
    """A list of capabilities without UNAUTHENTICATE (RFC 8437).

    Behind it the next account would be looked for at the backend of the last one.
    """
    return _UNAUTHENTICATE.sub(b"", text)


def capabilities_in(line: bytes) -> frozenset[bytes] | None:
    """The list in an untagged CAPABILITY line or in a CAPABILITY response code, in upper case."""
    if line[:13].upper() == b"* CAPABILITY ":
        return frozenset(line[13:].upper().split())
    status = _STATUS.match(line)
    code = _CODE.match(line, status.end()) if status else None
    if code is None or code[1].upper() != b"CAPABILITY":
        return None
    return frozenset((code[2] or b"").upper().split())
