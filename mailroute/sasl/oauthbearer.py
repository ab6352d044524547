"""OAUTHBEARER (RFC 7628): a GS2 header with the account, then key/value pairs, one the token.

``n,a=user@example.org,^Ahost=...^Aport=...^Aauth=Bearer TOKEN^A^A``.  The account may be left
out by the RFC, but a router cannot do without it.  A refusal comes as a JSON challenge that the
client answers with ``^A``; only then does the server's final reply follow (section 3.2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, sasl_name


class OAuthBearer:
    """The mechanism OAUTHBEARER."""

    name = "OAUTHBEARER"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = True

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        message = answers[0]
        header, separator, rest = message.partition(b"\x01")
        pieces = header.split(b",")
        if not separator or not rest.endswith(b"\x01") or len(pieces) != 3 or pieces[2]:
            raise BadMessage("Malformed OAUTHBEARER message")
        if pieces[0] not in (b"n", b"y"):
            raise BadMessage("Channel binding is not supported")
        if not pieces[1].startswith(b"a=") or pieces[1] == b"a=":
            raise BadMessage("OAUTHBEARER message names no user")
        return Login(Identity(sasl_name(pieces[1][2:])), self.name, message)
