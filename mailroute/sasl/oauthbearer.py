"""OAUTHBEARER (RFC 7628): a GS2 header with the account, then key/value pairs, one the token.

``n,a=user@example.org,^Ahost=...^Aport=...^Aauth=Bearer TOKEN^A^A``.  The account may be left
out; then only a claim of the token can say where to go, if the operator names one.  A refusal
comes as a JSON challenge that the client answers with ``^A``; only then does the server's final
reply follow (section 3.2.3).
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, sasl_name
from mailroute.sasl.tokens import claimed_identity


class OAuthBearer:
    """The mechanism OAUTHBEARER."""

    name = "OAUTHBEARER"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = True

    def __init__(self, claim: str | None = None) -> None:
        """``claim``: the token's claim that names the account where the message does not."""
        self._claim = claim

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        message = answers[0]
        header, separator, rest = message.partition(b"\x01")
        pieces = header.split(b",")
        if not separator or not rest.endswith(b"\x01") or len(pieces) != 3 or pieces[2]:
            raise BadMessage("Malformed OAUTHBEARER message")
        if pieces[0] not in (b"n", b"y"):
            raise BadMessage("Channel binding is not supported")
        if pieces[1] and not pieces[1].startswith(b"a="):
            raise BadMessage("Malformed OAUTHBEARER message")
        name = sasl_name(pieces[1][2:])
        account = Identity(name) if name else claimed_identity(message, self._claim)
        return Login(account, self.name, message)
