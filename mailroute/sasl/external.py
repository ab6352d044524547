"""EXTERNAL (RFC 4422 appendix A): the certificate of the TLS handshake has said who it is.

The message may name one of the certificate's own names, or nobody.  A backend never saw the
certificate: there the login becomes one by a password of our own.
"""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.credentials import Identity
from mailroute.events import Login
from mailroute.sasl.mechanism import NotAllowed, text


class External:
    """The mechanism EXTERNAL, for the holder of one certificate."""

    name = "EXTERNAL"
    prompts: tuple[bytes, ...] = (b"",)
    reveals_secret = False

    def __init__(self, names: tuple[str, ...]) -> None:
        """``names``: the certificate's, at least one, the most important first."""
        self._names = names

    def login(self, answers: Sequence[bytes]) -> Login:
        """See Mechanism."""
        wanted = text(answers[0])
        if wanted and wanted not in self._names:
            raise NotAllowed(f"the certificate is not for {wanted!r}")
        return Login(Identity(wanted or self._names[0]), self.name, answers[0])
