"""The exchange of base64 lines that carries a mechanism, for both sides of every protocol.

RFC 4954, RFC 5034 and RFC 3501 section 6.2.2 differ only in what stands around the base64
text, so the protocols frame a line and this room decides what it means:

* ``=`` as an initial response is an empty one, none at all is another thing (RFC 4959)
* ``*`` cancels; anything that is not base64 is an error, not a guess
* our own prompts come first, then the backend's challenges pass through
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable

from mailroute.events import Login, Response
from mailroute.sasl import plain
from mailroute.sasl.mechanism import BadMessage, Mechanism

_TELLING = 8
"""Octets of a secret that tell it from other text."""


class Cancelled(Exception):
    """The client cancelled the exchange with ``*`` before it asked for a login."""


def decode(text: bytes) -> bytes:
    """Decode strict base64; raises BadMessage."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise BadMessage("Invalid base64 data") from None


def encode(octets: bytes) -> bytes:
    """Encode for a line of the exchange."""
    return base64.b64encode(octets)


def initial_argument(octets: bytes) -> bytes:
    """Encode for the place of an initial response, where nothing at all is written ``=``."""
    return encode(octets) or b"="


def traces(message: bytes) -> list[bytes]:
    """What betrays that a text repeats a first message: beginnings of the message and its secret.

    Both as they are and in base64; text that is to be shown to an operator must hold none.
    """
    if b"\0" in message:
        secret = message.rpartition(b"\0")[2]
    else:
        secret = message.partition(b"auth=")[2].partition(b"\x01")[0].rpartition(b" ")[2]
    marks = [secret[:_TELLING], encode(secret)[:_TELLING], encode(message)[: 2 * _TELLING]]
    return [mark for mark in marks if mark]


class ServerExchange:
    """Our side of an exchange in which the client is to be authenticated."""

    def __init__(self, mechanism: Mechanism) -> None:
        self._mechanism = mechanism
        self._answers: list[bytes] = []
        self._relaying = False
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether a relayed challenge was answered with a cancellation."""
        return self._cancelled

    @property
    def relaying(self) -> bool:
        """Whether the account is known and the client now talks with the backend."""
        return self._relaying

    def begin(self, initial: bytes | None) -> bytes | Login:
        """Take the initial response as it stood in the command, or None without one.

        Returns the next prompt (base64) or the Login.  Raises BadMessage.
        """
        if initial is None:
            return encode(self._mechanism.prompts[0])
        return self._collect(b"" if initial == b"=" else decode(initial))

    def receive(self, line: bytes) -> bytes | Login | Response:
        """Take one line of the client.

        Returns the next prompt (base64), the Login, or the Response to a relayed challenge.
        Raises BadMessage, Cancelled.
        """
        if line == b"*":
            if self._relaying:
                return self.cancel()
            raise Cancelled
        return Response(decode(line)) if self._relaying else self._collect(decode(line))

    def cancel(self) -> Response:
        """Cancel the relayed exchange; the verdict is still the backend's to give."""
        self._cancelled = True
        return Response(None)

    def _collect(self, answer: bytes) -> bytes | Login:
        self._answers.append(answer)
        if len(self._answers) < len(self._mechanism.prompts):
            return encode(self._mechanism.prompts[len(self._answers)])
        answers, self._answers = self._answers, []
        login = self._mechanism.login(answers)
        # Not before: a message that asks for no login is answered by us, there is no backend yet.
        self._relaying = True
        return login


class ClientExchange:
    """Our side of an exchange in which we authenticate to the backend with a Login."""

    def __init__(self, login: Login) -> None:
        self._mechanism = login.mechanism
        self._first = login.initial_response
        self._answers: list[bytes] = [] if self._first is None else [self._first]
        """What we have to say by ourselves and have not said yet."""
        self.only: str | None = None
        """The mechanism in which this login is to be said, and no other way; None: any."""

    def choose(self, offers: Callable[[str], bool]) -> str | None:
        """The mechanism in which this login can be said to a backend, None if there is none.

        A name and a password can be said in AUTH LOGIN as well, which has no place for the name
        of somebody to act for.
        """
        if self.only in (None, self._mechanism) and offers(self._mechanism):
            return None if self.is_downgraded(offers) else self._mechanism
        may_be_login = self._mechanism == "PLAIN" and self.only in (None, "LOGIN")
        if may_be_login and self._first is not None and offers("LOGIN"):
            credentials = plain.decode(self._first)
            if not credentials.identity.authzid:
                self._answers = [credentials.identity.authcid.encode(), credentials.secret]
                return "LOGIN"
        return None

    def is_downgraded(self, offers: Callable[[str], bool]) -> bool:
        """Whether the backend would take this for an attack (RFC 5802 section 6, flag "y").

        The client says that it could bind the channel and was not offered to; a backend that
        does offer it has to conclude that somebody in between has left it out.
        """
        could_bind = self._mechanism.startswith("SCRAM-") and (self._first or b"")[:1] == b"y"
        return could_bind and offers(self._mechanism + "-PLUS")

    def initial(self, room: int) -> bytes | None:
        """The initial response for the command, if there is one and it fits ``room`` octets."""
        if len(self._answers) != 1:
            return None
        argument = initial_argument(self._answers[0])
        if len(argument) > room:
            return None
        self._answers.clear()
        return argument

    def challenged(self, line: bytes) -> bytes | None:
        """Take the base64 text of a challenge.

        Returns the line that answers it where the answer is ours, else None: then the challenge
        is the client's to answer.  Prompts differ between servers: their order is what counts.
        """
        return encode(self._answers.pop(0)) if self._answers else None

    @property
    def octets(self) -> int:
        """How long our first message is in base64."""
        return (len(self._first or b"") + 2) // 3 * 4

    @property
    def complete(self) -> bool:
        """Whether all that we have to say by ourselves was said."""
        return not self._answers

    def traces(self) -> list[bytes]:
        """What betrays that a text repeats our first message."""
        return traces(self._first or b"")

    def forget(self) -> None:
        """Drop the first message, and the secret in it."""
        self._first = None
        self._answers = []
