"""Where log events go: a file or standard output, as text or as one JSON object a line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO, cast

from twisted.logger import (
    FileLogObserver,
    FilteringLogObserver,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    eventAsText,
)
from twisted.python.logfile import LogFile


class Output:
    """A log file that can be opened anew after it was moved away, or standard output."""

    def __init__(self, path: str | None) -> None:
        """``path``: None or ``-`` for standard output."""
        self._file: LogFile | None = None
        if path and path != "-":
            # Rotation is logrotate's: it moves the file and has it reopened.
            self._file = LogFile.fromFullPath(path, rotateLength=None, defaultMode=0o640)

    def stream(self) -> TextIO:
        """Where to write."""
        return self._file or sys.stdout  # type: ignore[return-value]

    def reopen(self) -> None:
        """Go on in a new file where the old one was moved away."""
        if self._file is not None:
            self._file.reopen()


def observer(output: Output, level: str, log_format: str) -> ILogObserver:
    """An observer for events of this level (debug to critical) and above."""
    formatter: Callable[[LogEvent], str | None] = as_json if log_format == "json" else as_text
    predicate = LogLevelFilterPredicate(defaultLogLevel=LogLevel.levelWithName(level))
    # zope's interfaces are no types to mypy.
    unfiltered: Any = FileLogObserver(output.stream(), formatter)
    filtered: Any = FilteringLogObserver(unfiltered, [cast(Any, predicate)])
    return cast(ILogObserver, filtered)


def as_text(event: LogEvent) -> str | None:
    """One event as lines of text: time, level, words, and a traceback where there is one."""
    text = eventAsText(event, includeTimestamp=False, includeSystem=False)
    return f"{_time(event)} {_level(event)} {text}\n" if text else None


def as_json(event: LogEvent) -> str | None:
    """One event as a JSON object on a line of its own."""
    record: dict[str, object] = {"time": _time(event), "level": _level(event)}
    if "fields" in event:
        record["event"] = event["event"]
        record.update(event["fields"])
    else:
        text = eventAsText(event, includeTimestamp=False, includeSystem=False)
        if not text:
            return None
        record["event"] = "message"
        record["text"] = text
    return json.dumps(record, default=str) + "\n"


def _time(event: LogEvent) -> str:
    return datetime.fromtimestamp(event["log_time"], UTC).isoformat(timespec="milliseconds")


def _level(event: LogEvent) -> str:
    return str(event["log_level"].name)
