"""Our client dialogue plugged into our server dialogue in memory, and the law of the pair.

Nothing here knows a protocol: a protocol's test says how to make its pair.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from hypothesis import strategies as st

from mailroute.client_dialogue import ClientDialogue
from mailroute.credentials import Credentials, Identity
from mailroute.errors import Failure, FailureKind
from mailroute.events import Close, Event, Login, Milestone, Rejected, StartTLS, Write
from mailroute.sasl import plain
from mailroute.sasl.external import External
from mailroute.sasl.mechanism import Mechanism
from mailroute.sasl.scram import Scram
from mailroute.server_dialogue import ServerDialogue
from tests.support.conversations import EVERY
from tests.support.dialogues import TLS

PATIENCE = 10_000
"""Events after which a conversation that does not end is a fault."""


class Pair:
    """A client dialogue and a server dialogue with a pipe each way between them.

    Writes are delivered in order, ``chunk`` octets at a time (0: as they were written).  TLS
    begins when both sides have asked for it.  Milestones of either side are returned to the
    caller, who answers them: ``pair.server_does(pair.server.answer(verdict))``.
    """

    def __init__(self, client: ClientDialogue, server: ServerDialogue, chunk: int = 0) -> None:
        self.client = client
        self.server = server
        self.client_said = b""
        self.server_said = b""
        self.upgraded = False
        self.closed: str | None = None
        self._chunk = chunk
        self._queue: deque[tuple[bool, Event]] = deque()
        self._awaiting_tls: set[bool] = set()

    def start(self) -> list[Milestone]:
        """The connection stands."""
        return [*self.server_does(self.server.start()), *self.client_does(self.client.start())]

    def server_does(self, events: list[Event]) -> list[Milestone]:
        """Carry out what the server dialogue returned, and all that follows from it."""
        self._note(True, events)
        return self._run()

    def client_does(self, events: list[Event]) -> list[Milestone]:
        """Carry out what the client dialogue returned, and all that follows from it."""
        self._note(False, events)
        return self._run()

    def _note(self, by_server: bool, events: list[Event]) -> None:
        self._queue.extend((by_server, event) for event in events)

    def _run(self) -> list[Milestone]:
        milestones: list[Milestone] = []
        for _ in range(PATIENCE):
            if not self._queue:
                return milestones
            by_server, event = self._queue.popleft()
            if isinstance(event, Write):
                self._deliver(by_server, event.data)
            elif isinstance(event, StartTLS):
                self._upgrade(by_server)
            elif isinstance(event, Close):
                self._hang_up(by_server, event)
            else:
                milestones.append(event)
        raise AssertionError("the two sides talk without an end")

    def _deliver(self, by_server: bool, data: bytes) -> None:
        assert not self._awaiting_tls - {by_server}, f"{data!r} in the clear before the handshake"
        if by_server:
            self.server_said += data
        else:
            self.client_said += data
        receiver = self.client if by_server else self.server
        size = self._chunk or max(len(data), 1)
        for start in range(0, len(data), size):
            self._note(not by_server, receiver.receive_data(data[start : start + size]))

    def _upgrade(self, by_server: bool) -> None:
        self._awaiting_tls.add(by_server)
        if len(self._awaiting_tls) < 2:
            return
        self._awaiting_tls.clear()
        self.upgraded = True
        self._note(True, self.server.tls_established(TLS))
        self._note(False, self.client.tls_established(TLS))

    def _hang_up(self, by_server: bool, event: Close) -> None:
        self.closed = event.why
        if by_server:
            lost = Failure(FailureKind.BACKEND_UNREACHABLE, "backend closed the connection")
            self._note(False, self.client.ended(lost))


# -- credentials -------------------------------------------------------------------------------

_NASTY = ['"', "\\", "\r\n", "\n", "{3}", "{3+}\r\n", " ", "=", ",", "%", "*", "ß", "\x7f", "\t"]
_NAMES = st.lists(
    st.one_of(
        st.sampled_from(_NASTY),
        st.text(st.characters(codec="utf-8", exclude_characters="\0\1"), min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=6,
).map("".join)
_SECRETS = st.one_of(
    _NAMES.map(str.encode),
    st.binary(min_size=1, max_size=40).map(lambda secret: secret.replace(b"\0", b"\xff")),
)


def password(name: str, secret: bytes, authzid: str = "") -> Login:
    """A login by PLAIN."""
    credentials = Credentials(Identity(name, authzid), secret)
    return plain.Plain().login([plain.encode(credentials)])


def xoauth2(name: str, token: bytes = b"token") -> Login:
    """A login by XOAUTH2."""
    message = b"user=" + name.encode() + b"\x01auth=Bearer " + token + b"\x01\x01"
    return Login(Identity(name), "XOAUTH2", message)


def oauthbearer(name: str, token: bytes = b"token") -> Login:
    """A login by OAUTHBEARER."""
    escaped = name.replace("=", "=3D").replace(",", "=2C").encode()
    message = b"n,a=" + escaped + b",\x01auth=Bearer " + token + b"\x01\x01"
    return Login(Identity(name), "OAUTHBEARER", message)


def scram(mechanism: str, name: str, authzid: str = "") -> Login:
    """A login by SCRAM, as far as we see it."""
    names = [text.replace("=", "=3D").replace(",", "=2C") for text in (authzid, name)]
    acts_for = f"a={names[0]}" if authzid else ""
    message = f"n,{acts_for},n={names[1]},r=fyko+d2lbbFgONRv9qkxdawL"
    return Scram(mechanism).login([message.encode()])


def external(name: str, is_named: bool = True) -> Login:
    """A login by the certificate of somebody of this name, who says it or not."""
    return External((name,)).login([name.encode() if is_named else b""])


def offered_to(login: Login, mechanisms: tuple[Mechanism, ...] = EVERY) -> tuple[Mechanism, ...]:
    """Mechanisms, and EXTERNAL where it is the login of a certificate's holder."""
    if login.mechanism != "EXTERNAL":
        return mechanisms
    return (External((login.identity.account,)), *mechanisms)


def password_logins() -> st.SearchStrategy[Login]:
    """Any name and any password, without a name to act for."""
    return st.builds(password, _NAMES, _SECRETS)


def logins() -> st.SearchStrategy[Login]:
    """Any login that a server dialogue can report."""
    return st.one_of(
        password_logins(),
        st.builds(password, _NAMES, _SECRETS, _NAMES),
        st.builds(xoauth2, _NAMES),
        st.builds(oauthbearer, _NAMES),
        st.builds(scram, st.sampled_from(("SCRAM-SHA-1", "SCRAM-SHA-256")), _NAMES),
        st.builds(scram, st.just("SCRAM-SHA-256"), _NAMES, _NAMES),
        st.builds(external, _NAMES, st.booleans()),
    )


_DULL = {
    "PLAIN": password("n", b"s"),
    "XOAUTH2": xoauth2("n", b"t"),
    "OAUTHBEARER": oauthbearer("n", b"t"),
    "SCRAM-SHA-1": scram("SCRAM-SHA-1", "n"),
    "SCRAM-SHA-256": scram("SCRAM-SHA-256", "n"),
    "EXTERNAL": external("n"),
}


def carried(login: Login) -> Credentials | bytes | None:
    """What a login carries; PLAIN may name one name twice, and a password command once."""
    if login.mechanism != "PLAIN":
        return login.initial_response
    return plain.decode(login.initial_response or b"")


# -- laws --------------------------------------------------------------------------------------


def assert_pair_law(make: Callable[[Login], Pair], login: Login) -> bool:
    """The same credentials arrive, or the login is refused before a byte of it is written.

    Returns whether they arrived, so that a test can demand it.
    """
    pair = make(login)
    milestones = pair.start()
    assert len(milestones) == 1, (milestones, pair.server_said)
    outcome = milestones[0]
    if isinstance(outcome, Login):
        assert outcome.mechanism == login.mechanism, (outcome, login)
        assert outcome.identity == login.identity, (outcome, login)
        assert carried(outcome) == carried(login), (carried(outcome), carried(login))
        return True
    assert isinstance(outcome, Rejected), outcome
    # Whatever was written so far is what is written for anybody: it is free of the credentials.
    anybody = make(_DULL[login.mechanism])
    anybody.start()
    assert anybody.client_said.startswith(pair.client_said), pair.client_said
    return False


def assert_verdicts_survive(make: Callable[[Login], Pair], login: Login) -> None:
    """Our client understands every rejection that our server words: temporary or for good."""
    for kind in FailureKind:
        pair = make(login)
        pair.start()
        verdict = Rejected(Failure(kind, "private reason"))
        outcome = pair.server_does(pair.server.answer(verdict))[-1]
        assert isinstance(outcome, Rejected), (kind, outcome, pair.server_said)
        assert outcome.failure.kind.temporary == kind.temporary, (kind, outcome)
        if kind in (FailureKind.CREDENTIALS_REJECTED, FailureKind.ACCOUNT_UNKNOWN):
            assert outcome.failure.kind is FailureKind.CREDENTIALS_REJECTED, (kind, outcome)
