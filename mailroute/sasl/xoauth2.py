"""XOAUTH2 (Google's protocol): ``user=NAME ^A auth=Bearer TOKEN ^A ^A``.

After a refusal the server sends a JSON challenge, which the client answers with an empty
response; both pass through to the backend's own words.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, identity
from mailroute.sasl.tokens import claimed_identity


class XOAuth2:
    """The mechanism XOAUTH2."""

    name = "XOAUTH2"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = True

    def __init__(self, claim: str | None = None) -> None:
        """``claim``: the token's claim that names the account where ``user=`` is empty."""
        self._claim = claim

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        message = answers[0]
        fields = message.split(b"\x01")
        if not fields[0].startswith(b"user=") or fields[-2:] != [b"", b""]:
            raise BadMessage("Malformed XOAUTH2 message")
        if any(field[: len(b"user=")].lower() == b"user=" for field in fields[1:]):
            # A backend may heed another of them than we do, and log in somebody else.
            raise BadMessage("Several users in an XOAUTH2 message")
        name = fields[0][len(b"user=") :]
        account = identity(name) if name else claimed_identity(message, self._claim)
        return Login(account, self.name, message)
