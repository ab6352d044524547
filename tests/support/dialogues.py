"""Transcripts in the RFCs' notation, and a driver that plays the session for a dialogue.

A transcript is a text of lines:

``S: ...``  a line that the server says      ``C: ...``  a line that the client says
``S~ ...``  ``C~ ...``  the same without CRLF; ``\\xNN`` escapes are understood everywhere
``= Login alice PLAIN``  an event that must come now; ``= Close logout``, ``= StartTLS``,
``= Remind``, ``= Response x``, ``= Challenge x``, ``= Accepted x``, ``= Rejected kind``
``> tls``  the handshake is over; ``> accept WORDS``; ``> reject KIND WORDS``;
``> challenge X``; ``> respond X`` (``> respond *`` cancels); ``> remind``; ``> timeout``;
``> end``; ``> stop``
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator

from mailroute.client_dialogue import ClientDialogue
from mailroute.errors import Failure, FailureKind
from mailroute.events import (
    Accepted,
    Challenge,
    Close,
    Event,
    Login,
    Rejected,
    Remind,
    Response,
    StartTLS,
    TLSInfo,
    Write,
)
from mailroute.server_dialogue import ServerDialogue

AnyDialogue = ServerDialogue | ClientDialogue
TLS = TLSInfo("TLSv1.3", "TLS_AES_128_GCM_SHA256")


def written(events: list[Event]) -> bytes:
    """All that these events send."""
    return b"".join(event.data for event in events if isinstance(event, Write))


def describe(event: Event) -> str:
    """An event as a transcript writes it."""
    if isinstance(event, Login):
        return f"Login {event.identity.account} {event.mechanism}"
    if isinstance(event, Close):
        return f"Close {event.why}"
    if isinstance(event, (StartTLS, Remind)):
        return type(event).__name__
    if isinstance(event, Response):
        return _line("Response", b"*" if event.data is None else event.data)
    if isinstance(event, Challenge):
        return _line("Challenge", event.data)
    if isinstance(event, Accepted):
        return _line("Accepted", b"|".join(event.words))
    if isinstance(event, Rejected):
        return "Rejected " + event.failure.kind.value
    return "Write"


def _line(name: str, octets: bytes) -> str:
    return f"{name} {octets.decode('latin-1')}".rstrip(" ")


def unescape(text: str) -> bytes:
    """The octets of a transcript's text."""
    return codecs.escape_decode(text.encode("latin-1", "backslashreplace"))[0]


def command(dialogue: AnyDialogue, text: str) -> list[Event]:
    """Carry out a ``>`` line."""
    verb, _, rest = text.partition(" ")
    if verb == "tls":
        return dialogue.tls_established(TLS)
    if verb == "remind":
        return dialogue.reminded()
    if verb == "timeout":
        return dialogue.timed_out()
    if isinstance(dialogue, ClientDialogue):
        if verb == "end":
            failure = Failure(FailureKind.BACKEND_UNREACHABLE, "connection lost")
            return dialogue.ended(failure)
        return dialogue.respond(None if rest == "*" else unescape(rest))
    if verb == "challenge":
        return dialogue.challenge(unescape(rest))
    if verb == "stop":
        return dialogue.shut_down()
    if verb == "accept":
        return dialogue.answer(Accepted((unescape(rest),) if rest else ()))
    kind, _, words = rest.partition(" ")
    failure = Failure(FailureKind(kind), "private reason")
    return dialogue.answer(Rejected(failure, (unescape(words),) if words else ()))


def _chunks(data: bytes, size: int) -> Iterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


class Replay:
    """One run of a transcript against a fresh dialogue."""

    def __init__(self, dialogue: AnyDialogue, chunk: int) -> None:
        self.dialogue = dialogue
        self._chunk = chunk
        self._is_server = isinstance(dialogue, ServerDialogue)
        self._input = b""
        self._seen: list[str] = []
        self._written = b""

    def run(self, transcript: str, trailing: bytes) -> None:
        """Play the whole transcript; raises AssertionError at the first difference."""
        self._take(self.dialogue.start())
        lines = [line.strip() for line in transcript.strip().splitlines() if line.strip()]
        inputs = [number for number, line in enumerate(lines) if self._is_input(line)]
        for number, line in enumerate(lines):
            if self._is_input(line):
                self._input += self._octets(line)
                if inputs and number == inputs[-1]:
                    self._input += trailing
                continue
            self._feed()
            self._expect(line)
        self._feed()
        assert not self._written, f"said beyond the transcript: {self._written!r}"
        assert not self._seen, f"events beyond the transcript: {self._seen}"

    def _is_input(self, line: str) -> bool:
        return line[:1] == ("C" if self._is_server else "S")

    def _octets(self, line: str) -> bytes:
        return unescape(line[3:]) + (b"" if line[1] == "~" else b"\r\n")

    def _feed(self) -> None:
        data, self._input = self._input, b""
        for chunk in _chunks(data, self._chunk or max(len(data), 1)):
            self._take(self.dialogue.receive_data(chunk))

    def _take(self, events: list[Event]) -> None:
        self._written += written(events)
        self._seen += [describe(event) for event in events if not isinstance(event, Write)]

    def _expect(self, line: str) -> None:
        if line[0] == "=":
            assert self._seen, f"missing event: {line}; said {self._written!r}"
            event = self._seen.pop(0)
            assert event == line[2:], f"expected {line[2:]!r}, got {event!r}"
        elif line[0] == ">":
            assert not self._seen, f"unexpected events before {line!r}: {self._seen}"
            self._take(command(self.dialogue, line[2:]))
        else:
            octets = self._octets(line)
            start = self._written[: len(octets)]
            assert start == octets, f"expected {octets!r}, got {self._written!r} {self._seen}"
            self._written = self._written[len(octets) :]


def assert_transcript(
    make: Callable[[], AnyDialogue], transcript: str, trailing: bytes = b""
) -> None:
    """Replay whole and byte by byte, and once more with bytes behind the last input."""
    for chunk in (0, 1, 7):
        Replay(make(), chunk).run(transcript, b"")
    if trailing:
        for chunk in (0, 1):
            replay = Replay(make(), chunk)
            replay.run(transcript, trailing)
            assert replay.dialogue.trailing_data == trailing, replay.dialogue.trailing_data
