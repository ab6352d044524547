"""Where log events go: a file or standard output, as text or as one JSON object a line."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
from datetime import UTC, datetime
from functools import lru_cache
from typing import TextIO, cast

from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText
from twisted.python.logfile import LogFile
from zope.interface import implementer

LOG_MODE = 0o640
"""Of a new log file: it names users."""


class Output:
    """A log file that can be opened anew after it was moved away, or standard output."""

    def __init__(self, path: str | None) -> None:
        """``path``: None or ``-`` for standard output."""
        self._file: LogFile | None = None
        if path and path != "-":
            # Rotation is logrotate's: it moves the file and has it reopened.
            self._file = LogFile.fromFullPath(path, rotateLength=None, defaultMode=LOG_MODE)
            self._append()
            self._opened = os.stat(self._file.path)

    def stream(self) -> TextIO:
        """Where to write."""
        return self._file or sys.stdout  # type: ignore[return-value]

    def reopen(self) -> None:
        """Go on in a new file where the old one was moved away.

        Raises OSError where no file can be had; the old one is written on then.
        """
        if self._file is None or self._is_in_place(self._file.path):
            return
        # Tried first: LogFile closes the old file before it opens the new one.
        os.close(os.open(self._file.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, LOG_MODE))
        self._file.reopen()
        self._append()
        self._opened = os.stat(self._file.path)

    @property
    def descriptor(self) -> int | None:
        """Of the log file; None for standard output."""
        return int(self._file._file.fileno()) if self._file is not None else None

    def _append(self) -> None:
        """Every write goes to the file's end: several processes write to it."""
        descriptor = self.descriptor
        if descriptor is not None:
            flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)

    def _is_in_place(self, path: str) -> bool:
        try:
            return os.path.samestat(os.stat(path), self._opened)
        except FileNotFoundError:
            return False


class InheritedOutput:
    """A log file that somebody with more rights has opened, and opens anew."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "a", encoding="utf-8")

    def stream(self) -> TextIO:
        """Where to write."""
        return self._file

    def adopt(self, descriptor: int) -> None:
        """Go on in this file; the descriptor may be closed afterwards."""
        with contextlib.suppress(OSError):
            # A full disk is a reason to be given another file.
            self._file.flush()
        os.dup2(descriptor, self._file.fileno(), inheritable=False)


def observer(output: Output | InheritedOutput, level: str, log_format: str) -> ILogObserver:
    """An observer for events of this level (debug to critical) and above."""
    return cast(ILogObserver, _Observer(output, level, log_format))


@implementer(ILogObserver)
class _Observer:
    """Writes events; one method, since there is an event for each session."""

    def __init__(self, output: Output | InheritedOutput, level: str, log_format: str) -> None:
        self._stream = output.stream()
        self._format = as_json if log_format == "json" else as_text
        levels = list(LogLevel.iterconstants())
        self._wanted = frozenset(levels[levels.index(LogLevel.levelWithName(level)) :])

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) not in self._wanted:
            return
        text = self._format(event)
        if text:
            self._stream.write(text)
            self._stream.flush()


def as_text(event: LogEvent) -> str | None:
    """One event as lines of text: time, level, words, and a traceback where there is one."""
    line = event.get("line")
    text = str(line) if line is not None else _words(event)
    return f"{_time(event)} {_level(event)} {text}\n" if text else None


def as_json(event: LogEvent) -> str | None:
    """One event as a JSON object on a line of its own."""
    record: dict[str, object] = {"time": _time(event), "level": _level(event)}
    if "fields" in event:
        record["event"] = event["event"]
        record.update(event["fields"])
    else:
        text = _words(event)
        if not text:
            return None
        record["event"] = "message"
        record["text"] = text
    return json.dumps(record, default=str) + "\n"


def _words(event: LogEvent) -> str:
    return eventAsText(event, includeTimestamp=False, includeSystem=False)


def _time(event: LogEvent) -> str:
    """In UTC, to the millisecond (RFC 3339)."""
    seconds = event["log_time"]
    return f"{_second(int(seconds))}.{int(seconds * 1000) % 1000:03d}+00:00"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _level(event: LogEvent) -> str:
    return str(event["log_level"].name)
