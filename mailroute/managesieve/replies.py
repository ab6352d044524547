"""Everything that we say to a ManageSieve client in our own words.

Response codes are those of RFC 5804 section 1.3.  A client acts on them: on TRYLATER it tries
again, on ENCRYPT-NEEDED it begins TLS, on AUTH-TOO-WEAK and TRANSITION-NEEDED it takes another
mechanism.  A NO without one is taken for a wrong password, so no trouble is answered by it.
"""

from __future__ import annotations

from mailroute.errors import FailureKind
from mailroute.events import Accepted, Rejected
from mailroute.managesieve.syntax import string
from mailroute.sasl import exchange

DEFAULT_BANNER = b"mailroute ready."

_TEMPORARY = (b"TRYLATER", b"Temporary problem, try again later.")
_WRONG = (b"", b"Authentication failed.")

REJECTIONS: dict[FailureKind, tuple[bytes, bytes]] = {
    FailureKind.CREDENTIALS_REJECTED: _WRONG,
    FailureKind.ACCOUNT_UNKNOWN: _WRONG,
    FailureKind.NAME_UNUSABLE: _WRONG,
    FailureKind.ACCOUNT_DENIED: (b"", b"Login is not allowed for this account."),
    FailureKind.BACKEND_REFUSED: (b"", b"Login was refused."),
    FailureKind.DESTINATION_UNKNOWN: _TEMPORARY,
    FailureKind.ACCOUNT_TEMPFAIL: _TEMPORARY,
    FailureKind.LOOKUP_FAILED: _TEMPORARY,
    FailureKind.BACKEND_UNREACHABLE: _TEMPORARY,
    FailureKind.BACKEND_UNTRUSTED: _TEMPORARY,
    FailureKind.BACKEND_BUSY: _TEMPORARY,
    FailureKind.BACKEND_TIMED_OUT: _TEMPORARY,
    FailureKind.BACKEND_MISBEHAVED: _TEMPORARY,
    FailureKind.BACKEND_INCAPABLE: _TEMPORARY,
    FailureKind.SHUTTING_DOWN: (b"TRYLATER", b"Server is shutting down, try again."),
    FailureKind.INTERNAL: _TEMPORARY,
}
"""The response code, empty where none fits, and the text."""

# A client that waits for the answer to AUTHENTICATE reads BYE as that answer: what is no verdict
# on the password says so by its code.
GOODBYES: dict[str, tuple[bytes, bytes]] = {
    "timeout": (b"TRYLATER", b"Disconnected for inactivity."),
    "shutting-down": (b"TRYLATER", b"Server is shutting down."),
    "too-many-bad-commands": (b"", b"Too many bad commands."),
    "too-many-login-attempts": (b"", b"Too many failed logins."),
    "line-too-long": (b"", b"Command line too long."),
    "literal-too-long": (b"", b"Literal too long."),
    "synchronizing-literal": (b"", b"Literals are written {n+} here."),
    "cleartext-after-starttls": (b"", b"Unencrypted data after STARTTLS: possible injection."),
}


def line(status: bytes, text: bytes, code: bytes = b"") -> bytes:
    """A final reply."""
    return status + (b" (" + code + b") " if code else b" ") + string(text) + b"\r\n"


FULL = line(b"BYE", b"Too many connections, try again later.", b"TRYLATER")


def goodbye(why: str) -> bytes:
    """The last line before we close for this reason."""
    code, text = GOODBYES[why]
    return line(b"BYE", text, code)


def acceptance(verdict: Accepted) -> bytes:
    """OK with the backend's words, or ours, and the mechanism's last data (section 2.1)."""
    code = b""
    if verdict.final is not None:
        code = b"SASL " + string(exchange.encode(verdict.final))
    return line(b"OK", verdict.words[0] if verdict.words else b"Logged in.", code)


def rejection(verdict: Rejected) -> bytes:
    """NO with the backend's words, or ours.

    ``words`` are the backend's text and, behind it, a response code that is the client's affair.
    A wrong password has no code, whatever the backend calls it: nor has an unknown account.
    """
    kind = verdict.failure.kind
    code, text = REJECTIONS[kind]
    if verdict.words:
        text = verdict.words[0]
        if len(verdict.words) > 1 and kind is FailureKind.BACKEND_REFUSED:
            code = verdict.words[1]
    return line(b"NO", text, code)
