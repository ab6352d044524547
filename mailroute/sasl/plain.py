"""PLAIN (RFC 4616): ``authzid NUL authcid NUL passwd`` in one message.

It is also the form into which every login by name and password is brought, and out of which
the LOGIN command, USER and PASS, and AUTH LOGIN are made again at the backend.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.credentials import Credentials, Identity
from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, text


class Plain:
    """The mechanism PLAIN."""

    name = "PLAIN"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = True

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        return Login(decode(answers[0]).identity, self.name, answers[0])


def decode(message: bytes) -> Credentials:
    """Split a PLAIN message at its two NULs; raises BadMessage for any other number.

    A name that acts for itself is one name: a login by password command can carry it too.
    """
    pieces = message.split(b"\0")
    if len(pieces) != 3:
        raise BadMessage("Malformed PLAIN message")
    authzid, authcid, secret = pieces
    if not authcid or not secret:
        raise BadMessage("Empty user name or password")
    identity = Identity(text(authcid), text(authzid) if authzid != authcid else "")
    return Credentials(identity, secret)


def encode(credentials: Credentials) -> bytes:
    """Write a PLAIN message; raises ValueError when a part holds a NUL."""
    identity = credentials.identity
    parts = (identity.authzid.encode(), identity.authcid.encode(), credentials.secret)
    if any(b"\0" in part for part in parts):
        raise ValueError("NUL in credentials")
    return b"\0".join(parts)


def password_login(name: bytes, secret: bytes) -> Login:
    """The login that a name and a password ask for, as PLAIN; raises BadMessage."""
    if b"\0" in name or b"\0" in secret:
        raise BadMessage("NUL in user name or password")
    return Plain().login([b"\0" + name + b"\0" + secret])
