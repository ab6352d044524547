"""Everything that we say to a submission client in our own words.

Reply codes are those of RFC 5321 and RFC 4954 section 6, enhanced status codes those of
RFC 3463, RFC 4954 and RFC 5248.  A client acts on the first digit: on 5 it asks its user for a
password, on 4 it tries again later.  421 is said only where we close (RFC 5321 section 3.8).
"""

from __future__ import annotations

import re

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.smtp.syntax import Reply, whole_reply

DEFAULT_BANNER = b"mailroute ready."

OK = b"250 2.0.0 OK"
BYE = b"221 2.0.0 Bye"
HELP = b"214 2.0.0 Commands: EHLO STARTTLS AUTH NOOP RSET QUIT"
READY_FOR_TLS = b"220 2.0.0 Ready to start TLS"
CANNOT_VERIFY = b"252 2.0.0 Cannot verify the user; log in and send a message"
UNKNOWN_COMMAND = b"500 5.5.2 Command not recognized"
NO_STARTTLS = b"502 5.5.1 STARTTLS is not available"
TLS_ACTIVE = b"503 5.5.1 TLS is active already"
EHLO_FIRST = b"503 5.5.1 Send EHLO first"
STARTTLS_FIRST = b"530 5.7.0 Must issue a STARTTLS command first"
LOGIN_FIRST = b"530 5.7.0 Authentication required"
MECHANISM_NEEDS_TLS = b"538 5.7.11 Encryption required for requested authentication mechanism"
UNKNOWN_MECHANISM = b"504 5.5.4 Unrecognized authentication mechanism"
CANCELLED = b"501 5.7.0 Authentication cancelled"
ACCEPTED = b"235 2.7.0 Authentication succeeded"

BAD_ARGUMENT = b"501 5.5.4 "
BAD_SASL = b"501 5.5.2 "

_WRONG_STATUS = b"5.7.8"
_WRONG = b"535 " + _WRONG_STATUS + b" Authentication credentials invalid"
_TEMPORARY = b"454 4.7.0 Temporary authentication failure, try again later"

REJECTIONS: dict[FailureKind, bytes] = {
    FailureKind.CREDENTIALS_REJECTED: _WRONG,
    FailureKind.ACCOUNT_UNKNOWN: _WRONG,
    FailureKind.NAME_UNUSABLE: _WRONG,
    FailureKind.ACCOUNT_DENIED: b"525 5.7.13 Login is not allowed for this account",
    FailureKind.BACKEND_REFUSED: b"525 5.7.13 Login was refused",
    FailureKind.DESTINATION_UNKNOWN: _TEMPORARY,
    FailureKind.ACCOUNT_TEMPFAIL: _TEMPORARY,
    FailureKind.LOOKUP_FAILED: _TEMPORARY,
    FailureKind.BACKEND_UNREACHABLE: _TEMPORARY,
    FailureKind.BACKEND_UNTRUSTED: _TEMPORARY,
    FailureKind.BACKEND_BUSY: _TEMPORARY,
    FailureKind.BACKEND_TIMED_OUT: _TEMPORARY,
    FailureKind.BACKEND_MISBEHAVED: _TEMPORARY,
    FailureKind.BACKEND_INCAPABLE: _TEMPORARY,
    FailureKind.SHUTTING_DOWN: b"454 4.7.0 Server is shutting down, try again",
    FailureKind.INTERNAL: _TEMPORARY,
}

GOODBYES: dict[str, tuple[bytes, bytes]] = {
    "timeout": (b"4.4.2", b"Disconnected for inactivity"),
    "shutting-down": (b"4.3.2", b"Server is shutting down"),
    "too-many-bad-commands": (b"4.7.0", b"Too many bad commands"),
    "too-many-login-attempts": (b"4.7.0", b"Too many failed logins"),
    "line-too-long": (b"4.7.0", b"Command line too long"),
    "bad-chunk-size": (b"4.7.0", b"Chunk size missing or too large"),
    "cleartext-after-starttls": (
        b"4.7.0",
        b"Unencrypted data after STARTTLS: possible injection",
    ),
}

NO_BACKEND = b"421 Service not available, try again later\r\n"
FULL = b"421 Too many connections, try again later\r\n"

_UNPRINTABLE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_STATUS = re.compile(rb"(?:[245]\.[0-9]{1,3}\.[0-9]{1,3}(?: |\Z))?")


def goodbye(why: str, hostname: bytes) -> bytes:
    """The last line before we close for this reason."""
    status, words = GOODBYES[why]
    return b"421 " + status + b" " + hostname + b" " + words + b"\r\n"


def greeting_lines(hostname: bytes, keywords: tuple[bytes, ...]) -> bytes:
    """The reply to EHLO, which has no enhanced status code (RFC 2034 section 4)."""
    return _octets(Reply(250, (hostname, *keywords)))


def acceptance(verdict: Accepted) -> bytes:
    """The reply to an accepted AUTH: the backend's, or ours."""
    reply = _usable(verdict.words)
    if reply is None or reply.code != 235:
        return ACCEPTED + b"\r\n"
    return _octets(reply)


def rejection(verdict: Rejected) -> bytes:
    """The reply to a refused AUTH: the backend's where its code says what happened, or ours.

    A wrong password has one code, whatever the backend's: else an account that no table knows
    could be told from one that exists.
    """
    kind = verdict.failure.kind
    reply = _usable(verdict.words)
    if reply is None or not _fits(kind, reply.code):
        return REJECTIONS[kind] + b"\r\n"
    if kind is FailureKind.CREDENTIALS_REJECTED:
        texts = (_STATUS.sub(_WRONG_STATUS + b" ", text, count=1) for text in reply.texts)
        reply = Reply(reply.code, tuple(texts))
    return _octets(reply)


def _fits(kind: FailureKind, code: int) -> bool:
    if kind is FailureKind.CREDENTIALS_REJECTED:
        return code == 535
    # 421 would say that we close the connection, which is the backend's affair.
    return code // 100 == (4 if kind.temporary else 5) and code != 421


def _usable(words: tuple[bytes, ...]) -> Reply | None:
    """The backend's lines, if they are one reply that is safe to be written."""
    if not words or any(_UNPRINTABLE.search(line) for line in words):
        return None
    return whole_reply(words)


def _octets(reply: Reply) -> bytes:
    return b"".join(line + b"\r\n" for line in reply.lines)
