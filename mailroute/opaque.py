"""Pass-through: a protocol that is none of our business.

Mail transfer (SMTP on port 25, LMTP) has no login by which an account could be looked up.  Its
client is joined to one backend as soon as there is a connection: both dialogues exist only until
then, and speak only where that fails.
"""

from __future__ import annotations

from mailroute.client_dialogue import ClientDialogue
from mailroute.credentials import Identity
from mailroute.events import Accepted, Event, Login, Rejected
from mailroute.offer import Policy
from mailroute.server_dialogue import ServerDialogue

NO_MECHANISM = "-"
"""Where the log has the mechanism of a login."""

_NOBODY = Login(Identity(""), NO_MECHANISM, None)
_NOTHING = Policy((), starttls=False)


class OpaqueServer(ServerDialogue):
    """Asks for a backend at once, and keeps what the client says meanwhile."""

    def __init__(self, refusal: bytes) -> None:
        """``refusal``: what a client hears, instead of a greeting, when there is no backend."""
        super().__init__(_NOTHING, True, 1)
        self._refusal = refusal

    def start(self) -> list[Event]:
        """The connection stands."""
        self._ask_for_login(_NOBODY)
        return self._advance()

    def _step(self) -> bool:
        return False

    def _forget(self) -> None:
        """There is nothing to forget."""

    def _greet(self) -> None:
        """The backend greets."""

    def _goodbye(self, why: str) -> None:
        self._write(self._refusal)

    def _write_accepted(self, verdict: Accepted) -> None:
        """The backend says everything."""

    def _write_rejected(self, verdict: Rejected) -> None:
        self._end("no-backend")

    def _write_challenge(self, text: bytes) -> None:
        """There is no exchange."""

    def _write_sasl_error(self, reason: str) -> None:
        """There is no exchange."""

    def _write_sasl_cancelled(self) -> None:
        """There is no exchange."""


class OpaqueClient(ClientDialogue):
    """Is content with a connection."""

    def start(self) -> list[Event]:
        """The connection stands, and TLS where there is any."""
        self._accept(Accepted())
        return self._advance()

    def _step(self) -> bool:
        return False

    def _forget(self) -> None:
        """There is nothing to forget."""

    def _waiting_for(self) -> str:
        return "while connecting"

    def _write_response(self, text: bytes) -> None:
        """There is no exchange."""
