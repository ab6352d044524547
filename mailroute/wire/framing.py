"""The receive buffer: whole lines and announced octets out of a stream of bytes.

Cost: a byte is searched once for a line end, however slowly it drips in, and taken bytes are
dropped by one deletion at the front of a bytearray (which CPython does without a copy).
The bound on memory is the caller's: a line is bounded by its limit, octets by the number that
the protocol announced before they came.
"""

from __future__ import annotations

from mailroute.wire.strings import Command, LiteralHead, literal_head


class LineTooLong(Exception):
    """No line end within the limit; the octets stay in the buffer."""


class ReceiveBuffer:
    """Bytes received and not yet consumed."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._searched = 0

    def __len__(self) -> int:
        return len(self._data)

    def feed(self, data: bytes) -> None:
        """Append what the other side sent."""
        self._data += data

    def peek(self, count: int) -> bytes:
        """The first octets, at most ``count``, left where they are."""
        return bytes(self._data[:count])

    def take_line(self, limit: int) -> bytes | None:
        """Take one line without its end (CRLF, or a bare LF), or None while it is incomplete.

        Raises LineTooLong when the line, its end included, is longer than ``limit`` octets.
        """
        data = self._data
        end = data.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(data)
            if len(data) > limit:
                raise LineTooLong
            return None
        if end >= limit:
            raise LineTooLong
        line = bytes(data[:end])
        del data[: end + 1]
        self._searched = 0
        return line[:-1] if line.endswith(b"\r") else line

    def take(self, count: int) -> bytes | None:
        """Take exactly ``count`` octets, or None while there are fewer."""
        if len(self._data) < count:
            return None
        octets = bytes(self._data[:count])
        self._drop(count)
        return octets

    def skip(self, count: int) -> int:
        """Drop up to ``count`` octets; return how many there were to drop."""
        count = min(count, len(self._data))
        self._drop(count)
        return count

    def take_all(self) -> bytes:
        """Take everything: what was received behind the dialogue's end."""
        octets = bytes(self._data)
        self._drop(len(octets))
        return octets

    def _drop(self, count: int) -> None:
        del self._data[:count]
        self._searched = max(0, self._searched - count)


class CommandFraming:
    """Gathers whole commands: their lines and the literals announced at the lines' ends.

    Nothing is parsed before a command is complete.  Each announced literal is first returned
    to the caller, who accepts or refuses it by its announced size.
    """

    def __init__(self, buffer: ReceiveBuffer) -> None:
        self._buffer = buffer
        self._text = bytearray()
        self._raw = bytearray()
        self._literals: list[bytes] = []
        self._literal_octets = 0
        self._announced: int | None = None

    @property
    def started(self) -> bool:
        """Whether a command is unfinished, a line or more of it being here."""
        return bool(self._raw)

    @property
    def gathered(self) -> int:
        """Octets of the unfinished command, those of an accepted literal already counted."""
        return len(self._text) + self._literal_octets

    def peek(self, count: int) -> bytes:
        """What the lines of the unfinished command begin with, at most ``count`` octets."""
        return bytes(self._text[:count])

    def next(self, limit: int) -> Command | LiteralHead | None:
        """A whole command, the announcement of a literal, or None while octets are missing.

        Raises LineTooLong when the command, its literals and the last line's end included, is
        longer than ``limit`` octets.
        """
        if self._announced is not None:
            octets = self._buffer.take(self._announced)
            if octets is None:
                return None
            self._literals.append(octets)
            self._raw += octets
            self._announced = None
        if not self._raw:
            # Nearly every command is one line without a literal.
            line = self._buffer.take_line(limit)
            if line is None or not line.endswith(b"}"):
                return None if line is None else Command(line, [], line)
        else:
            line = self._buffer.take_line(limit - self.gathered)
            if line is None:
                return None
        self._text += line
        self._raw += line
        head = literal_head(line)
        return self.complete() if head is None else head

    def accept(self, head: LiteralHead) -> None:
        """Gather the literal that was just announced."""
        self._announced = head.size
        self._literal_octets += head.size
        self._raw += b"\r\n"

    def complete(self) -> Command:
        """The command as it is here; what announced a literal was mere text after all."""
        command = Command(bytes(self._text), self._literals, bytes(self._raw))
        self.forget()
        return command

    def forget(self) -> None:
        """Drop what was gathered: the command is over."""
        self._text, self._raw, self._literals = bytearray(), bytearray(), []
        self._literal_octets, self._announced = 0, None
