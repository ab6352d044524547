"""Everything that we say to an IMAP client in our own words.

Response codes are those of RFC 5530 and RFC 9051 section 7.1.  A client acts on them: on
AUTHENTICATIONFAILED it asks its user for a password, on UNAVAILABLE it tries again later.
"""

from __future__ import annotations

import re

from mailroute.errors import FailureKind
from mailroute.events import Rejected

DEFAULT_BANNER = b"mailroute ready."
LOGOUT_BYE = b"* BYE Logging out\r\n"

_TEMPORARY = b"[UNAVAILABLE] Temporary problem, try again later."
_WRONG = b"[AUTHENTICATIONFAILED] Authentication failed."

_CODE = re.compile(rb"\[[A-Za-z][^\]\r\n]*\] ?")

REJECTIONS: dict[FailureKind, bytes] = {
    FailureKind.CREDENTIALS_REJECTED: _WRONG,
    FailureKind.ACCOUNT_UNKNOWN: _WRONG,
    FailureKind.NAME_UNUSABLE: _WRONG,
    FailureKind.ACCOUNT_DENIED: b"[AUTHORIZATIONFAILED] Login is not allowed for this account.",
    FailureKind.BACKEND_REFUSED: b"[AUTHORIZATIONFAILED] Login was refused.",
    FailureKind.DESTINATION_UNKNOWN: _TEMPORARY,
    FailureKind.ACCOUNT_TEMPFAIL: _TEMPORARY,
    FailureKind.LOOKUP_FAILED: _TEMPORARY,
    FailureKind.BACKEND_UNREACHABLE: _TEMPORARY,
    FailureKind.BACKEND_UNTRUSTED: _TEMPORARY,
    FailureKind.BACKEND_BUSY: _TEMPORARY,
    FailureKind.BACKEND_TIMED_OUT: _TEMPORARY,
    FailureKind.BACKEND_MISBEHAVED: _TEMPORARY,
    FailureKind.BACKEND_INCAPABLE: _TEMPORARY,
    FailureKind.SHUTTING_DOWN: b"[UNAVAILABLE] Server is shutting down, try again.",
    FailureKind.INTERNAL: _TEMPORARY,
}

GOODBYES: dict[str, bytes] = {
    "timeout": b"Disconnected for inactivity.",
    "shutting-down": b"Server is shutting down.",
    "too-many-bad-commands": b"Too many bad commands.",
    "too-many-login-attempts": b"Too many failed logins.",
    "line-too-long": b"Command line too long.",
    "literal-too-long": b"Literal too long.",
    "cleartext-after-starttls": b"Unencrypted data after STARTTLS: possible injection.",
}

FULL = b"* BYE [UNAVAILABLE] Too many connections, try again later.\r\n"


def goodbye(why: str) -> bytes:
    """The last line before we close for this reason."""
    return b"* BYE " + GOODBYES[why] + b"\r\n"


def rejection(verdict: Rejected) -> bytes:
    """What stands behind NO: the backend's words, or ours.

    A backend that gives no response code is helped out with the one that its verdict means, so
    that a client can act on it; an unknown account cannot be told from a wrong password by it.
    """
    ours = REJECTIONS[verdict.failure.kind]
    if not verdict.words:
        return ours
    words = verdict.words[0]
    has_code = _CODE.match(words)
    if verdict.failure.kind is FailureKind.CREDENTIALS_REJECTED:
        # Whatever the backend calls it, an unknown account is called the same.
        words = words[has_code.end() :] if has_code else words
    elif has_code:
        return words
    return ours.partition(b"]")[0] + b"] " + words
