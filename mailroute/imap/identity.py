"""ID (RFC 2971) as proxies use it: who the client is, told to the backend before the login.

The names that begin with ``x-`` are Dovecot's, which believes them from its
``login_trusted_networks``.  A client's own are therefore dropped, unless it is a proxy whose word
is believed.
"""

from __future__ import annotations

from mailroute.imap.syntax import ID_PAIRS
from mailroute.route import Announcement, Introduction, Origin, ip_of
from mailroute.wire.strings import quoted

ARGUMENT_OCTETS = 3000
"""Of one ID command: a server takes a few thousand octets a line before the login."""

_RESERVED = b"x-"
_HOPS = b"x-proxy-ttl"
_SESSION = b"x-session-id"
_CLIENT = b"x-originating-ip"
_ADDRESSES = frozenset({_CLIENT, b"x-originating-port", b"x-connected-ip", b"x-connected-port"})
_HOPS_DIGITS = 3

Field = tuple[bytes, bytes | None]


def introduction(fields: tuple[Field, ...]) -> Introduction:
    """What the fields of a client's ID say.

    Its count of hops is heeded whoever it is: it can only have its own login refused.
    """
    hops = next((value for name, value in fields if name.lower() == _HOPS), None)
    is_count = hops is not None and hops.isdigit() and len(hops) <= _HOPS_DIGITS
    return Introduction(fields, hops_left=int(hops or b"0") if is_count else None)


def arguments(announcement: Announcement) -> bytes:
    """The arguments of the one ID that the backend gets: our fields, then the client's own.

    A value that no quoted string can hold is left out, and so is what would make it too long.
    """
    pairs: list[bytes] = []
    octets = 0
    seen: set[bytes] = set()
    for name, value in _fields(announcement):
        if name.lower() in seen:
            continue
        try:
            pair = quoted(name) + b" " + (b"NIL" if value is None else quoted(value))
        except ValueError:
            continue
        octets += len(pair) + 1
        if octets > ARGUMENT_OCTETS or len(pairs) == ID_PAIRS:
            break
        seen.add(name.lower())
        pairs.append(pair)
    return b"(" + b" ".join(pairs) + b")"


def _fields(announcement: Announcement) -> list[Field]:
    origin = announcement.origin
    theirs = [field for field in origin.introduction.fields if _is_welcome(field[0], origin)]
    ours: list[Field] = [
        (_SESSION, origin.session_id.encode("ascii")),
        (_HOPS, b"%d" % announcement.hops_left),
    ]
    if not any(name.lower() in _ADDRESSES for name, _ in theirs):
        ours += _addresses(origin)
    return ours + theirs


def _is_welcome(name: bytes, origin: Origin) -> bool:
    """Whether a field of the client's own may be passed on."""
    folded = name.lower()
    if not folded.startswith(_RESERVED):
        return True
    return origin.is_trusted and folded not in (_SESSION, _HOPS)


def _addresses(origin: Origin) -> list[Field]:
    """Where the client is and where it connected to; nothing where one is no IP address."""
    client, server = ip_of(origin.client_ip), ip_of(origin.server_ip)
    if client is None or server is None:
        return []
    return [
        (_CLIENT, str(client).encode("ascii")),
        (b"x-originating-port", b"%d" % origin.client_port),
        (b"x-connected-ip", str(server).encode("ascii")),
        (b"x-connected-port", b"%d" % origin.server_port),
    ]
