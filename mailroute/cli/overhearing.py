"""Listens in on the conversation with a backend: what was said, over which TLS, how long it took.

Nothing is changed: dialogue, dialer and TLS are the ones that sessions use, each behind a thin
wall that notes what passes.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from OpenSSL import SSL

from mailroute.cli.redaction import Redaction
from mailroute.cli.story import Story
from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure
from mailroute.events import Accepted, Event, Rejected, TLSInfo, Write
from mailroute.net.backend_peer import BackendPeer
from mailroute.net.connector import Dial
from mailroute.net.tls import BackendContexts, TLSSide, tls_info
from mailroute.route import Trust

LINES_LIMIT = 1000
LINE_LIMIT = 2000


@dataclass(frozen=True, slots=True)
class Heard:
    """One line: from us (C), from the backend (S), or a remark (*)."""

    who: str
    text: str

    def __str__(self) -> str:
        return f"{self.who}: {self.text}"


class Recorder:
    """The transcript, and the stages of the story."""

    def __init__(self, story: Story, redaction: Redaction) -> None:
        self.transcript: list[Heard] = []
        self.replies: list[bytes] = []
        """The backend's lines over the last channel: those of a channel before TLS do not count."""
        self.tls: dict[str, object] = {}
        """What is known of the last handshake."""
        self._story = story
        self._redaction = redaction
        self._since = story.seconds()
        self._rest = b""

    def dialled(self, dial: Dial) -> Dial:
        """The same way to connect, noted."""

        def noted(
            host: str,
            port: int,
            make: Callable[[], BackendPeer],
            seconds: float,
            sources: tuple[str, ...],
        ) -> Awaitable[BackendPeer]:
            self._begin()

            def made() -> BackendPeer:
                self.mark("connect", {"to": f"{host}:{port}"})
                return make()

            return dial(host, port, made, seconds, sources)

        return noted

    def mark(self, stage: str, facts: dict[str, object]) -> None:
        """A stage has ended now that began with the end of the one before it."""
        self._story.tell(stage, facts, self._since)
        self._since = self._story.seconds()

    def handshake(self, facts: dict[str, object]) -> None:
        """A handshake has ended, one way or the other."""
        self.mark("tls", facts)
        self.tls = facts
        self.replies.clear()
        self._note(Heard("*", ", ".join(str(value) for value in facts.values())))

    def sent(self, data: bytes, is_login: bool) -> None:
        """We have written something; ``is_login``: there may be a secret in it."""
        for line in data.removesuffix(b"\r\n").split(b"\r\n"):
            text = self._redaction.login(line) if is_login else self._redaction.reply(line)
            self._note(Heard("C", text))

    def received(self, data: bytes) -> None:
        """The backend has written something."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(line.removesuffix(b"\r"))

    def finish(self) -> None:
        """The conversation is over: what came without a line end came as well."""
        rest, self._rest = self._rest, b""
        if rest:
            self._heard(rest)

    def _begin(self) -> None:
        self.finish()
        self.replies.clear()
        self.tls = {}
        self._since = self._story.seconds()

    def _heard(self, line: bytes) -> None:
        if len(self.replies) < LINES_LIMIT:
            self.replies.append(line[:LINE_LIMIT])
        self._note(Heard("S", self._redaction.reply(line)))

    def _note(self, heard: Heard) -> None:
        if len(self.transcript) < LINES_LIMIT:
            self.transcript.append(Heard(heard.who, heard.text[:LINE_LIMIT]))


class Overheard:
    """A client dialogue whose words are noted."""

    def __init__(self, dialogue: ClientDialogue, recorder: Recorder) -> None:
        self._dialogue = dialogue
        self._recorder = recorder
        self._greeted = False
        self._begun = False

    @property
    def login_is_used(self) -> bool:
        """See ClientDialogue."""
        return self._dialogue.login_is_used

    @property
    def is_untold(self) -> bool:
        """See ClientDialogue."""
        return self._dialogue.is_untold

    @property
    def extension(self) -> str:
        """See ClientDialogue."""
        return self._dialogue.extension

    @property
    def trailing_data(self) -> bytes:
        """See Dialogue."""
        return self._dialogue.trailing_data

    @property
    def full(self) -> bool:
        """See Dialogue."""
        return self._dialogue.full

    def start(self) -> list[Event]:
        """See ClientDialogue."""
        return self._passed(self._dialogue.start())

    def receive_data(self, data: bytes) -> list[Event]:
        """See Dialogue."""
        if not self._greeted:
            self._greeted = True
            self._recorder.mark("greeting", {})
        self._recorder.received(data)
        return self._passed(self._dialogue.receive_data(data))

    def respond(self, response: bytes | None) -> list[Event]:
        """See ClientDialogue."""
        return self._passed(self._dialogue.respond(response))

    def tls_established(self, info: TLSInfo) -> list[Event]:
        """See Dialogue."""
        return self._passed(self._dialogue.tls_established(info))

    def timed_out(self) -> list[Event]:
        """See ClientDialogue."""
        return self._passed(self._dialogue.timed_out())

    def reminded(self) -> list[Event]:
        """See Dialogue."""
        return self._passed(self._dialogue.reminded())

    def ended(self, failure: Failure) -> list[Event]:
        """See ClientDialogue."""
        return self._passed(self._dialogue.ended(failure))

    def _passed(self, events: list[Event]) -> list[Event]:
        for event in events:
            if isinstance(event, Write):
                self._sent(event.data)
            elif isinstance(event, Accepted | Rejected):
                self._recorder.mark("login" if self._begun else "negotiation", {})
                self._recorder.finish()
        return events

    def _sent(self, data: bytes) -> None:
        is_login = self._dialogue.login_is_used
        if is_login and not self._begun:
            self._begun = True
            self._recorder.mark("negotiation", {})
        self._recorder.sent(data, is_login)


class WitnessedContexts(BackendContexts):
    """Contexts whose handshakes are noted."""

    def __init__(self, recorder: Recorder) -> None:
        super().__init__()
        self._recorder = recorder

    def side(self, trust: Trust, host: str) -> Any:
        """See BackendContexts."""
        return _Witness(super().side(trust, host), self._recorder)


class _Witness:
    """Our side of a handshake, which tells of the other."""

    def __init__(self, side: TLSSide, recorder: Recorder) -> None:
        self._side = side
        self._recorder = recorder
        self.connection = side.connection
        self.explain = side.explain

    def verify(self, connection: SSL.Connection) -> None:
        """See TLSSide."""
        facts = _tls_facts(connection)
        try:
            self._side.verify(connection)
        except Failure as failure:
            self._recorder.handshake({**facts, "refused": failure.reason})
            raise
        self._recorder.handshake(facts)


def _tls_facts(connection: SSL.Connection) -> dict[str, object]:
    info = tls_info(connection)
    facts: dict[str, object] = {"version": info.version, "cipher": info.cipher}
    certificate = connection.get_peer_certificate(as_cryptography=True)
    if certificate is not None:
        facts["certificate"] = certificate.subject.rfc4514_string()
        facts["issuer"] = certificate.issuer.rfc4514_string()
        facts["valid until"] = f"{certificate.not_valid_after_utc:%Y-%m-%d}"
    return facts
