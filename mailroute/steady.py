"""The reactor's time is one that nobody sets.

Twisted's time-outs follow the time of day.  Set back by an hour, as a clock that ran wrong is,
no time-out would come for an hour, and the service manager's watchdog would find us dead.
"""

from __future__ import annotations

import time
from typing import Any


def keep_time(reactor: Any) -> None:
    """Let delayed calls follow CLOCK_MONOTONIC (clock_gettime(2)); before any is made."""
    reactor.seconds = time.monotonic
