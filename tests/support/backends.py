"""Backends in memory: our own IMAP server dialogue with accounts behind it.

A backend can be told to fall silent, or to hang up, at each step of a login.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.interfaces import IHalfCloseableProtocol, IHandshakeListener
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure as Caught
from zope.interface import implementer

from mailroute.errors import Failure, FailureKind
from mailroute.events import Accepted, Close, Event, Login, Rejected, Response, Verdict, Write
from mailroute.imap.server import Greeting, ImapServer
from mailroute.offer import Policy
from mailroute.sasl import plain
from mailroute.sasl.plain import Plain
from tests.support.toy import Toy, ToyVerifier

CAPABILITIES = (b"[CAPABILITY IMAP4rev1 IDLE] Logged in",)
WRONG = Rejected(
    Failure(FailureKind.CREDENTIALS_REJECTED, "wrong"), (b"[AUTHENTICATIONFAILED] Not you.",)
)


@dataclass
class House:
    """A mail server: its accounts, its manners, and the connections it has had."""

    secrets: dict[str, bytes] = field(default_factory=dict)
    silent_at: str = ""
    """greeting, login or response: from there on nothing is said."""
    leaves_at: str = ""
    """The same, but the connection is closed."""
    verdict: Verdict | None = None
    """Given instead of looking at the password."""
    trailing: bytes = b""
    """Said in the same breath as an acceptance."""
    tls: object = None
    """Begins every connection with a handshake, where it is set."""
    stays: bool = False
    """Goes on speaking after the other side has finished, where the transport can."""
    visits: list[Visit] = field(default_factory=list)
    when_asked: Callable[[], None] = lambda: None
    """Called when a login has arrived, before it is answered."""

    def accept(self) -> Visit:
        """A new connection."""
        self.visits.append(Visit(self) if self.tls is None else SecureVisit(self))
        return self.visits[-1]

    @property
    def last(self) -> Visit:
        """The latest connection."""
        return self.visits[-1]


@implementer(IHalfCloseableProtocol)
class Visit(Protocol):
    """One connection to a house."""

    transport: Any

    def __init__(self, house: House) -> None:
        self.house = house
        policy = Policy((Plain(), Toy()), starttls=False)
        self._dialogue: ImapServer | None = ImapServer(policy, True, 3, Greeting())
        self._verifier = ToyVerifier(house.secrets, Accepted(CAPABILITIES))
        self.logins: list[Login] = []
        self.responses: list[bytes | None] = []
        self.joined = b""
        """What came behind the accepted login."""
        self.lost: Caught | None = None
        self.has_heard_the_end = False

    def connectionMade(self) -> None:
        if self._goes_on("greeting") and self._dialogue is not None:
            self._perform(self._dialogue.start())

    def dataReceived(self, data: bytes) -> None:
        if self._dialogue is None:
            self.joined += data
        else:
            self._perform(self._dialogue.receive_data(data))

    def connectionLost(self, reason: Caught = None) -> None:  # type: ignore[assignment]
        self.lost = reason

    def readConnectionLost(self) -> None:
        self.has_heard_the_end = True
        if not self.house.stays:
            self.hang_up()

    def writeConnectionLost(self) -> None:
        """Our own half is closed."""

    def say(self, data: bytes) -> None:
        """Send."""
        self.transport.write(data)

    def hang_up(self) -> None:
        """Close."""
        self.transport.loseConnection()

    def answer(self, verdict: Verdict) -> None:
        """Give a verdict late."""
        self._conclude(verdict)

    def _perform(self, events: list[Event]) -> None:
        for event in events:
            if isinstance(event, Write):
                self.say(event.data)
            elif isinstance(event, Close):
                self.hang_up()
            elif isinstance(event, Login):
                self._asked(event)
            elif isinstance(event, Response):
                self.responses.append(event.data)
                if self._goes_on("response"):
                    self._step(self._verifier.receive(event.data))

    def _asked(self, login: Login) -> None:
        self.logins.append(login)
        self.house.when_asked()
        if not self._goes_on("login"):
            return
        if self.house.verdict is not None:
            self._conclude(self.house.verdict)
        elif login.mechanism == "PLAIN":
            given = plain.decode(login.initial_response or b"")
            right = self.house.secrets.get(given.identity.authcid)
            self._conclude(Accepted(CAPABILITIES) if right == given.secret else WRONG)
        else:
            self._step(self._verifier.begin(login))

    def _step(self, step: bytes | Verdict) -> None:
        if isinstance(step, bytes):
            assert self._dialogue is not None
            self._perform(self._dialogue.challenge(step))
        else:
            self._conclude(step)

    def _conclude(self, verdict: Verdict) -> None:
        assert self._dialogue is not None
        self._perform(self._dialogue.answer(verdict))
        if isinstance(verdict, Accepted):
            self.joined += self._dialogue.trailing_data
            self._dialogue = None
            if self.house.trailing:
                self.say(self.house.trailing)

    def _goes_on(self, step: str) -> bool:
        if self.house.leaves_at == step:
            self.hang_up()
        return step not in (self.house.leaves_at, self.house.silent_at)


@implementer(IHandshakeListener)
class SecureVisit(Visit):
    """A connection that begins with a handshake."""

    requested_name: str | None = None
    has_shaken_hands = False

    def connectionMade(self) -> None:
        self.transport.startTLS(self.house.tls)

    def handshakeCompleted(self) -> None:
        self.has_shaken_hands = True
        name = self.transport.getHandle().get_servername()
        self.requested_name = name.decode() if name else None
        super().connectionMade()
