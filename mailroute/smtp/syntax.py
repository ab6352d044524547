"""The parts of SMTP's grammar that matter before a login (RFC 5321 section 4, RFC 4954).

Wire data stays ``bytes``; a name becomes ``str`` in ``sasl``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mailroute.wire.strings import BadSyntax

_MECHANISM = re.compile(rb"[A-Za-z0-9_-]{1,20}\Z")
_CHUNK = re.compile(rb"([0-9]{1,18})(?: +LAST)?\Z", re.IGNORECASE)
_SIZE = re.compile(r"[0-9]{1,20}\Z")
_REPLY = re.compile(rb"([2-5][0-9]{2})(?:([ -])(.*))?\Z", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Command:
    """One command line of a client."""

    verb: str
    """In upper case."""
    argument: bytes = field(repr=False)
    """What stands behind the first space; it may hold a password."""

    def no_argument(self) -> None:
        """Raises BadSyntax if there is an argument."""
        if self.argument:
            raise BadSyntax(f"{self.verb} takes no argument")

    def some_argument(self) -> None:
        """Raises BadSyntax unless there is an argument."""
        if not self.argument:
            raise BadSyntax(f"{self.verb} needs an argument")


def command(line: bytes) -> Command:
    """Split a line; white space at its end is tolerated (RFC 5321 section 4.1.1)."""
    verb, _, argument = line.rstrip(b" \t").partition(b" ")
    return Command(verb.upper().decode("latin-1"), argument.lstrip(b" "))


def auth_arguments(argument: bytes) -> tuple[str, bytes | None]:
    """The mechanism and the initial response of AUTH (RFC 4954 section 4); raises BadSyntax."""
    words = argument.split(b" ")
    if len(words) > 2 or _MECHANISM.match(words[0]) is None:
        raise BadSyntax("AUTH takes a mechanism and perhaps an initial response")
    return words[0].decode("ascii"), words[1] if len(words) == 2 else None


def chunk_octets(argument: bytes) -> int | None:
    """How many octets follow this BDAT (RFC 3030 section 2), or None where it does not say."""
    match = _CHUNK.match(argument)
    return int(match[1]) if match else None


def is_size(text: str) -> bool:
    """Whether this is a number of octets (RFC 1870 section 3)."""
    return _SIZE.match(text) is not None


@dataclass(frozen=True, slots=True)
class ReplyLine:
    """One line of a reply."""

    code: int
    is_last: bool
    text: bytes


def reply_line(line: bytes) -> ReplyLine | None:
    """A line of a reply, or None if it is none; the text may be missing (RFC 5321 section 4.2)."""
    match = _REPLY.match(line)
    if match is None:
        return None
    return ReplyLine(int(match[1]), match[2] != b"-", match[3] or b"")


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole reply: the code that its lines share, and their texts."""

    code: int
    texts: tuple[bytes, ...]

    @property
    def lines(self) -> tuple[bytes, ...]:
        """As it is written, without the ends of lines."""
        code = b"%d" % self.code
        *more, last = self.texts
        return (*(code + b"-" + text for text in more), code + b" " + last)


def whole_reply(lines: tuple[bytes, ...]) -> Reply | None:
    """The reply that these lines are, or None if they are not exactly one."""
    parsed = [line for line in map(reply_line, lines) if line is not None]
    codes = {line.code for line in parsed}
    ends = [line.is_last for line in parsed]
    if len(parsed) != len(lines) or len(codes) != 1 or ends != [False] * (len(ends) - 1) + [True]:
        return None
    return Reply(codes.pop(), tuple(line.text for line in parsed))


@dataclass(frozen=True, slots=True)
class Extensions:
    """What a reply to EHLO offers, as far as a login needs it."""

    starttls: bool
    mechanisms: frozenset[str]
    xclient: frozenset[bytes] = frozenset()
    """The attributes that XCLIENT may have."""


def extensions(reply: Reply) -> Extensions:
    """Read the keywords behind the first line, which is the server's name.

    ``AUTH=PLAIN LOGIN`` is what servers said to the first clients of AUTH; some still say only
    that.
    """
    starttls = False
    mechanisms: set[str] = set()
    xclient: frozenset[bytes] = frozenset()
    for text in reply.texts[1:]:
        keyword, *parameters = text.upper().replace(b"AUTH=", b"AUTH ", 1).split() or [b""]
        if keyword == b"STARTTLS":
            starttls = True
        elif keyword == b"AUTH":
            mechanisms.update(name.decode("latin-1") for name in parameters)
        elif keyword == b"XCLIENT":
            xclient = frozenset(parameters)
    return Extensions(starttls, frozenset(mechanisms), xclient)
