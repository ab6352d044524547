"""XOAUTH2 (Google's protocol): ``user=NAME ^A auth=Bearer TOKEN ^A ^A``.

After a refusal the server sends a JSON challenge, which the client answers with an empty
response; both pass through to the backend's own words.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Login
from mailroute.sasl.mechanism import BadMessage, identity


class XOAuth2:
    """The mechanism XOAUTH2."""

    name = "XOAUTH2"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = True

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        message = answers[0]
        fields = message.split(b"\x01")
        if not fields[0].startswith(b"user=") or fields[-2:] != [b"", b""]:
            raise BadMessage("Malformed XOAUTH2 message")
        return Login(identity(fields[0][len(b"user=") :]), self.name, message)
