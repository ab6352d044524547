"""The exit statuses, which scripts may rely on."""

from __future__ import annotations

from mailroute.configured import EX_CONFIG
from mailroute.errors import Failure

OK = 0
"""Done; found."""
ABSENT = 1
"""Certainly not there; refused for good."""
USAGE = 2
"""The command line is wrong."""
DEFECT = 70
"""sysexits(3), EX_SOFTWARE: a defect of mailroute, with its traceback on standard error."""
TEMPORARY = 75
"""sysexits(3), EX_TEMPFAIL: nobody could tell; the same may work later."""
CONFIGURATION = EX_CONFIG
"""sysexits(3), EX_CONFIG: the configuration is at fault."""
INTERRUPTED = 128
"""Plus the signal's number, as shells have it."""


def of(failure: Failure) -> int:
    """What a failed login, lookup or connection means to a script."""
    return TEMPORARY if failure.kind.temporary else ABSENT
