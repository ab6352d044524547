"""What a submission server offers, asked without a login, and what we may promise in its place.

Nobody asks again behind AUTH: what we promise in EHLO is the server's to keep (RFC 5321 section
4.1.1.1).  It sees every command behind the login, so whatever all servers offer can be promised.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailroute.events import Accepted
from mailroute.smtp import syntax
from mailroute.smtp.client import SmtpClient, State
from mailroute.smtp.syntax import Reply

_PASSED = frozenset(
    {
        *("PIPELINING", "8BITMIME", "SMTPUTF8", "BINARYMIME", "CHUNKING", "DSN", "SIZE"),
        *("ENHANCEDSTATUSCODES", "DELIVERBY", "FUTURERELEASE", "MT-PRIORITY", "LIMITS"),
    }
)
"""Extensions of mail transactions, which come behind the login."""
_PRINTABLE = re.compile("[ -~]+")
"""RFC 5321 section 4.1.1.1: keywords and parameters have no other octets."""


class SmtpProbe(SmtpClient):
    """Ends with the keywords of EHLO, over the channel that a login would take."""

    def _introduced(self, reply: Reply) -> None:
        if reply.code == 250 and not self._starttls:
            self._command(State.EHLO, b"QUIT")
            self._accept(Accepted(reply.texts[1:]))
        else:
            super()._introduced(reply)


def kept(own: Sequence[str], learnt: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """The keywords that every server has, ours first; ``learnt`` is in upper case.

    A parameter has to be the same everywhere, but SIZE, where the least counts.
    """
    lists = [frozenset(_unsized(line) for line in found) for found in learnt]
    common = frozenset.intersection(*lists)
    names = [line for line in map(_unsized, own) if line.upper() in common]
    known = {name.upper() for name in names}
    names += sorted(line for line in common - known if _is_passed(line))
    size = _least_size([own, *learnt])
    return tuple(f"SIZE {size}" if size and name.upper() == "SIZE" else name for name in names)


def _is_passed(line: str) -> bool:
    """Whether a server's line may be repeated: we answer EHLO for all of them."""
    return line.partition(" ")[0] in _PASSED and _PRINTABLE.fullmatch(line) is not None


def _unsized(line: str) -> str:
    return line[:4] if line[:5].upper() == "SIZE " else line


def _least_size(lists: Sequence[Sequence[str] | frozenset[str]]) -> int:
    """RFC 1870 section 4: no number, or zero, is no fixed limit; 0 if nobody has one."""
    words = (line.split() for lines in lists for line in lines)
    sizes = [
        int(found[1])
        for found in words
        if len(found) == 2 and found[0].upper() == "SIZE" and syntax.is_size(found[1])
    ]
    return min((size for size in sizes if size), default=0)
