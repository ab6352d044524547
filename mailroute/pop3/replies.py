"""Everything that we say to a POP3 client in our own words.

Response codes are those of RFC 2449 section 8 and RFC 3206.  A client acts on them: on AUTH it
asks its user for a password, on SYS/TEMP it tries again later, on SYS/PERM it does neither.  A
bare ``-ERR`` to a login is taken for a wrong password, so nothing else is answered by one.
"""

from __future__ import annotations

import re

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Rejected

DEFAULT_BANNER = b"mailroute ready."

_TEMPORARY = b"[SYS/TEMP] Temporary problem, try again later."
_WRONG = b"[AUTH] Authentication failed."

_CODE = re.compile(rb"\[[A-Za-z][^\]\r\n]*\] ?")

REJECTIONS: dict[FailureKind, bytes] = {
    FailureKind.CREDENTIALS_REJECTED: _WRONG,
    FailureKind.ACCOUNT_UNKNOWN: _WRONG,
    FailureKind.NAME_UNUSABLE: _WRONG,
    FailureKind.ACCOUNT_DENIED: b"[SYS/PERM] Login is not allowed for this account.",
    FailureKind.BACKEND_REFUSED: b"[SYS/PERM] Login was refused.",
    FailureKind.DESTINATION_UNKNOWN: _TEMPORARY,
    FailureKind.ACCOUNT_TEMPFAIL: _TEMPORARY,
    FailureKind.LOOKUP_FAILED: _TEMPORARY,
    FailureKind.BACKEND_UNREACHABLE: _TEMPORARY,
    FailureKind.BACKEND_UNTRUSTED: _TEMPORARY,
    FailureKind.BACKEND_BUSY: _TEMPORARY,
    FailureKind.BACKEND_TIMED_OUT: _TEMPORARY,
    FailureKind.BACKEND_MISBEHAVED: _TEMPORARY,
    FailureKind.BACKEND_INCAPABLE: _TEMPORARY,
    FailureKind.SHUTTING_DOWN: b"[SYS/TEMP] Server is shutting down, try again.",
    FailureKind.INTERNAL: _TEMPORARY,
}

# A client that waits for the answer to its PASS reads a goodbye as that answer: what is no
# verdict on the password says so by its code.  RFC 1939 section 3 would end an idle session in
# silence; before the login there is no maildrop to protect, and a reader of the words is helped.
GOODBYES: dict[str, bytes] = {
    "timeout": b"[SYS/TEMP] Disconnected for inactivity.",
    "shutting-down": b"[SYS/TEMP] Server is shutting down.",
    "too-many-bad-commands": b"[SYS/PERM] Too many bad commands.",
    "too-many-login-attempts": b"[AUTH] Too many failed logins.",
    "line-too-long": b"[SYS/PERM] Command line too long.",
    "cleartext-after-starttls": b"[SYS/PERM] Unencrypted data after STLS: possible injection.",
}

FULL = b"-ERR [SYS/TEMP] Too many connections, try again later.\r\n"


def greeting(banner: bytes) -> bytes:
    """The text of the greeting.

    A timestamp in angle brackets would offer APOP (RFC 1939 section 7), whose digest is made
    from *our* banner and can prove nothing to a backend: an operator's brackets are left out.
    """
    return banner.translate(None, b"<>")


def goodbye(why: str) -> bytes:
    """The last line before we close for this reason."""
    return b"-ERR " + GOODBYES[why] + b"\r\n"


def acceptance(verdict: Accepted) -> bytes:
    """What stands behind +OK: the backend's words, or ours."""
    return verdict.words[0] if verdict.words else b"Logged in."


def rejection(verdict: Rejected) -> bytes:
    """What stands behind -ERR: the backend's words, or ours.

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
