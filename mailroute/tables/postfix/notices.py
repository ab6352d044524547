"""What a table tells the administrator while it serves."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import Logger

from mailroute.errors import ConfigurationError

_log = Logger(namespace="mailroute.tables")


def warn(text: str) -> None:
    """Log something that should be looked at."""
    _log.warn("{text}", text=text)


def reloaded(load: Callable[[], list[str]]) -> None:
    """Read something anew, by a function that keeps the old content when it raises.

    What is wrong is logged: warnings, which it returns, and a ConfigurationError.
    """
    try:
        for warning in load():
            _log.warn("{text}", text=warning)
    except ConfigurationError as error:
        for complaint in error.complaints:
            _log.error("{text}; the old content stays", text=complaint)
