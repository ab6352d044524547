"""What a session tells the log: one line at its end, and one for each failed login.

The format is part of the interface: docs/reference/log.md describes it and fail2ban matches it.
A line is an event's name, a colon and ``key=value`` pairs in a fixed order; a value with anything
but plain characters in it is written as a JSON string, so that no client can forge a pair or a
line.  A secret never comes here: the journal is told identities, routes and failures only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Protocol

from twisted.logger import Logger, LogLevel

from mailroute.errors import Failure, FailureKind
from mailroute.events import Login, TLSInfo
from mailroute.route import Origin, Route

_PLAIN = re.compile(r"[A-Za-z0-9_.@+/:\[\]-]{1,256}")
_USER_LIMIT = 256
_DETAIL_LIMIT = 512

# The user's own mistakes are information; what somebody has to look at is louder.
_LEVELS = {
    FailureKind.DESTINATION_UNKNOWN: LogLevel.error,
    FailureKind.LOOKUP_FAILED: LogLevel.error,
    FailureKind.BACKEND_UNTRUSTED: LogLevel.error,
    FailureKind.BACKEND_MISBEHAVED: LogLevel.error,
    FailureKind.BACKEND_INCAPABLE: LogLevel.error,
    FailureKind.INTERNAL: LogLevel.error,
    FailureKind.BACKEND_UNREACHABLE: LogLevel.warn,
    FailureKind.BACKEND_TIMED_OUT: LogLevel.warn,
    FailureKind.BACKEND_BUSY: LogLevel.warn,
}


class Clock(Protocol):
    """Time."""

    def seconds(self) -> float:
        """Seconds since some fixed moment."""


class Line:
    """One line of the log, put into words only if somebody reads it."""

    __slots__ = ("_event", "_fields")

    def __init__(self, event: str, fields: Mapping[str, object]) -> None:
        self._event = event
        self._fields = fields

    def __str__(self) -> str:
        pairs = [f"{key}={_value(value)}" for key, value in self._fields.items()]
        return f"{self._event}: {' '.join(pairs)}"


def _value(value: object) -> str:
    if type(value) is int:
        return str(value)
    text = f"{value:.3f}" if type(value) is float else str(value)
    if _PLAIN.fullmatch(text):
        return text
    # Without a "=" it holds no pair, not even for a pattern that knows nothing of strings.
    return json.dumps(text).replace("=", "\\u003d")


def _address(ip: str, port: int) -> str:
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


class Journal:
    """The story of one session."""

    __slots__ = (
        "_began",
        "_client",
        "_clock",
        "_destination",
        "_failures",
        "_is_verbose",
        "_log",
        "_protocol",
        "_server",
        "_session_id",
        "_tls_version",
        "_user",
    )

    def __init__(self, origin: Origin, clock: Clock, log: Logger, is_verbose: bool = True) -> None:
        """``is_verbose``: whether anybody wants events of the debug level."""
        # A node keeps many of these: no more than the words of the last line.
        self._session_id = origin.session_id
        self._protocol = origin.protocol
        self._client = _address(origin.client_ip, origin.client_port)
        self._server = _address(origin.server_ip, origin.server_port)
        self._is_verbose = is_verbose
        self._clock = clock
        self._log = log
        self._began = clock.seconds()
        self._tls_version = "-"
        self._user = ""
        self._destination = ""
        self._failures = 0

    def encrypted(self, info: TLSInfo | None) -> None:
        """The client's connection is, or is not, encrypted in this way."""
        self._tls_version = info.version if info is not None else "-"

    def rejected(self, login: Login, route: Route | None, failure: Failure) -> None:
        """A login failed."""
        self._failures += 1
        self._user = login.identity.account
        fields = self._start()
        fields["user"] = self._user[:_USER_LIMIT]
        fields["mechanism"] = login.mechanism
        fields["destination"] = route.destination if route else "-"
        fields["reason"] = failure.kind.value
        fields["detail"] = failure.reason[:_DETAIL_LIMIT]
        self._emit(_LEVELS.get(failure.kind, LogLevel.info), "login-failed", fields)

    def joined(self, login: Login, route: Route) -> None:
        """A login succeeded and the streams are joined."""
        self._user = login.identity.account
        self._destination = route.destination
        if not self._is_verbose:
            return
        fields = self._start()
        fields["user"] = self._user[:_USER_LIMIT]
        fields["mechanism"] = login.mechanism
        fields["destination"] = route.destination
        self._emit(LogLevel.debug, "login", fields)

    def ended(
        self, closed_by: str, from_client: int = 0, from_backend: int = 0, detail: str = ""
    ) -> None:
        """The session is over; octets are those of the joined stream."""
        fields = self._start()
        fields["tls"] = self._tls_version
        fields["user"] = self._user[:_USER_LIMIT] or "-"
        fields["destination"] = self._destination or "-"
        fields["outcome"] = self._outcome()
        fields["closed_by"] = closed_by
        fields["failures"] = self._failures
        fields["seconds"] = self._clock.seconds() - self._began
        fields["in"] = from_client
        fields["out"] = from_backend
        if detail:
            fields["detail"] = detail[:_DETAIL_LIMIT]
        self._emit(LogLevel.info, "session", fields)

    def broke(self, where: str) -> None:
        """A defect of ours ended the session; the traceback has been logged beside this."""
        fields = self._start()
        fields["where"] = where
        self._emit(LogLevel.error, "internal-error", fields)

    def _outcome(self) -> str:
        if self._destination:
            return "joined"
        return "rejected" if self._failures else "no-login"

    def _start(self) -> dict[str, object]:
        """The pairs at the start of every line; the address comes before what a client chose."""
        return {
            "id": self._session_id,
            "protocol": self._protocol,
            "client": self._client,
            "server": self._server,
        }

    def _emit(self, level: Any, event: str, fields: dict[str, object]) -> None:
        self._log.emit(level, "{line}", line=Line(event, fields), event=event, fields=fields)
