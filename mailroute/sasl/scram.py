"""SCRAM-SHA-1 (RFC 5802) and SCRAM-SHA-256 (RFC 7677), relayed.

The first message, ``n,,n=user,r=nonce``, names the account in clear text.  Everything behind it
is a proof between client and backend: we see no password and could not log in again with what
we saw.  ``-PLUS`` is never offered, since a channel that ends here cannot bind the two ends; so
a client may say that it could bind (``y``), and not that it does (``p=``).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, sasl_name

_NONCE = re.compile(rb"r=[\x21-\x2b\x2d-\x7e]+")


class Scram:
    """The mechanisms SCRAM-SHA-1 and SCRAM-SHA-256: the hash is the ends' affair."""

    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = False

    def __init__(self, name: str) -> None:
        self.name = name

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism; the message is the ``client-first-message`` of RFC 5802 section 7."""
        message = answers[0]
        fields = message.split(b",")
        if len(fields) < 4:
            raise BadMessage("Malformed SCRAM message")
        flag, authzid, name, nonce = fields[:4]
        if flag not in (b"n", b"y"):
            raise BadMessage("Channel binding is not supported")
        if name.startswith(b"m="):
            raise BadMessage("SCRAM extension is not supported")
        if not name.startswith(b"n=") or not _NONCE.fullmatch(nonce):
            raise BadMessage("Malformed SCRAM message")
        if authzid and not authzid.startswith(b"a="):
            raise BadMessage("Malformed SCRAM message")
        return Login(_identity(name[2:], authzid[2:]), self.name, message)


def _identity(name: bytes, authzid: bytes) -> Identity:
    authcid, acts_for = sasl_name(name), sasl_name(authzid)
    if not authcid:
        raise BadMessage("Empty user name")
    return Identity(authcid, acts_for if acts_for != authcid else "")
