"""The contract of a mechanism, as a relay needs it.

mailroute follows a mechanism only until it knows the account.  ``prompts`` are the challenges
that we send ourselves until then; for a mechanism in which the client speaks first that is one
empty challenge.  ``login`` turns the client's answers into a ``Login``; everything after that
passes between client and backend unread.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mailroute.credentials import Identity
from mailroute.events import Login


class BadMessage(Exception):
    """The client's message does not follow the mechanism; the text is fit for the client."""


class NotAllowed(Exception):
    """The client asks for an account that is not its own; the text is for the log."""


class Mechanism(Protocol):
    """One mechanism; instances hold no state."""

    name: str
    prompts: tuple[bytes, ...]
    """Our challenges, in order; an initial response answers the first."""
    reveals_secret: bool
    """Whether who reads the exchange can log in: such a mechanism wants TLS."""

    def login(self, answers: Sequence[bytes]) -> Login:
        """The login that these answers, one a prompt, ask for.  Raises BadMessage, NotAllowed."""


def text(octets: bytes) -> str:
    """A name out of a message: UTF-8 and without NUL (RFC 4422 section 3.4.1)."""
    try:
        name = octets.decode("utf-8")
    except UnicodeDecodeError:
        raise BadMessage("Name is not valid UTF-8") from None
    if "\0" in name:
        raise BadMessage("NUL in a name")
    return name


def sasl_name(octets: bytes) -> str:
    """Undo the ``=2C`` and ``=3D`` of a saslname (RFC 5801 section 4, RFC 5802 section 7)."""
    name = text(octets)
    pieces = name.split("=")
    decoded = pieces[0]
    for piece in pieces[1:]:
        if piece[:2] not in ("2C", "3D"):
            raise BadMessage("Bad escape in a name")
        decoded += ("," if piece[:2] == "2C" else "=") + piece[2:]
    return decoded


def identity(octets: bytes) -> Identity:
    """An identity out of one name; raises BadMessage for an empty one."""
    name = text(octets)
    if not name:
        raise BadMessage("Empty user name")
    return Identity(name)
