"""``[server]``: the process as a whole."""

from __future__ import annotations

import grp
import pwd
import socket

from mailroute.config import values
from mailroute.config.document import Document
from mailroute.config.model import Server
from mailroute.config.schema import Key, Section

_IDLE_RECOMMENDED_SECONDS = 1800.0


def _user_exists(name: str) -> str | None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return f"there is no user {name!r} on this machine"
    return None


def _group_exists(name: str) -> str | None:
    try:
        grp.getgrnam(name)
    except KeyError:
        return f"there is no group {name!r} on this machine"
    return None


SECTION = Section(
    "server",
    "The process as a whole.",
    (
        Key(
            "hostname",
            values.host,
            None,
            "Our name in SMTP (greeting, EHLO); unset: this machine's FQDN.",
        ),
        Key(
            "workers",
            values.whole_number(0, 1024),
            0,
            "Processes that serve; 0: one for each CPU.",
            alias="threads",
        ),
        Key(
            "user",
            values.checked(values.name, _user_exists),
            None,
            "User to become once the ports are bound.",
        ),
        Key(
            "group",
            values.checked(values.name, _group_exists),
            None,
            "Group to become once the ports are bound.",
        ),
        Key(
            "shutdown_grace",
            values.duration,
            "30s",
            "How long joined sessions may go on after SIGTERM or SIGINT.",
            field="shutdown_grace_seconds",
        ),
        Key(
            "bridge_idle",
            values.some_time,
            "31m",
            "Silence in both directions after which a joined session is ended.",
            field="bridge_idle_seconds",
        ),
        Key(
            "backend_timeout",
            values.some_time,
            "10s",
            "Time for connection and login at the backend, retries included.",
            field="backend_timeout_seconds",
        ),
        Key(
            "backend_connect_retries",
            values.whole_number(0, 100),
            1,
            "Further attempts to connect after a failure that may pass.",
        ),
        Key(
            "auth_failure_delay",
            values.duration,
            "2s",
            "Least time from a failed login to its answer, whatever failed.",
            field="auth_failure_delay_seconds",
        ),
        Key(
            "log_level",
            values.choice("debug", "info", "warn", "error", "critical"),
            "info",
            "The least important events to log.",
        ),
        Key("log_format", values.choice("text", "json"), "text", "The form of a log line."),
        Key(
            "host_down_threshold",
            values.whole_number(1, 1000000),
            5,
            "Failures after which a backend counts as down.",
            built=False,
        ),
        Key(
            "host_down_min_clients",
            values.whole_number(1, 1000000),
            2,
            "Distinct clients that must have seen them.",
            built=False,
        ),
        Key(
            "host_down_cooldown",
            values.some_time,
            "30s",
            "Time until a backend that is down is tried again.",
            built=False,
        ),
        Key(
            "proxy_ttl",
            values.whole_number(1, 255),
            7,
            "How many proxies there may be behind us, the backend included.",
        ),
    ),
)


def read_server(raw: object, document: Document) -> Server | None:
    """Read ``[server]``; a file without it gets the defaults."""
    settings = SECTION.read(raw, ("server",), document)
    if settings is None:
        return None
    if settings["hostname"] is None:
        settings["hostname"] = socket.getfqdn()
    server = Server(**settings)
    if server.bridge_idle_seconds < _IDLE_RECOMMENDED_SECONDS:
        document.warn(
            ("server", "bridge_idle"),
            "below 30m: IMAP clients may be silent for up to 30 minutes in IDLE (RFC 9051 5.4)",
        )
    return server
