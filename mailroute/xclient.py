"""XCLIENT: who the client is, told to a backend that has us in its list of proxies.

Two forms: Postfix's, for SMTP, which Dovecot's submission understands too, and Dovecot's for POP3
and ManageSieve.  LOGIN is never among the attributes: it would be a login without a password.
"""

from __future__ import annotations

import re
from collections.abc import Set

from mailroute.route import Announcement, IPAddress, ip_of

COMMAND_OCTETS = 512
"""RFC 5321 section 4.5.3.1.4: a command line that every server takes, its end included."""

_UNAVAILABLE = b"[UNAVAILABLE]"
# RFC 3461 section 4: xchar, and what stands for every other octet.
_NOT_XCHAR = re.compile(rb"[^!-*,-<>-~]")
_HELO = re.compile(rb"[A-Za-z0-9._:\[\]-]{1,255}")


def xtext(value: bytes) -> bytes:
    """A value as xtext (RFC 3461 section 4): one word, whatever is in it."""
    return _NOT_XCHAR.sub(lambda match: b"+%02X" % match[0][0], value)


def is_helo(name: bytes) -> bool:
    """Whether a client's name for itself may be repeated: a domain, or an address literal."""
    return _HELO.fullmatch(name) is not None


def dovecot_command(announcement: Announcement) -> bytes:
    """The command of POP3 and ManageSieve, without its end."""
    origin = announcement.origin
    words = [b"XCLIENT"]
    address = ip_of(origin.client_ip)
    if address is not None:
        # Here an IPv6 address has no prefix.
        words += [b"ADDR=" + str(address).encode("ascii"), b"PORT=%d" % origin.client_port]
    words.append(b"SESSION=" + origin.session_id.encode("ascii"))
    words.append(b"TTL=%d" % announcement.hops_left)
    return b" ".join(words)


def smtp_commands(announcement: Announcement, offered: Set[bytes]) -> list[bytes]:
    """The commands of SMTP, without their ends; ``offered``: the attributes, in upper case.

    Only what is offered is told.  ADDR is in the last command: behind it we may no longer count
    as the proxy.  Empty where the backend takes nothing of what there is to tell.
    """
    words = [
        name + b"=" + xtext(value)
        for name, value in _attributes(announcement).items()
        if name in offered
    ]
    commands: list[bytes] = []
    for word in words:
        if commands and len(commands[-1]) + len(word) + len(b" \r\n") <= COMMAND_OCTETS:
            commands[-1] += b" " + word
        else:
            commands.append(b"XCLIENT " + word)
    return commands


def _attributes(announcement: Announcement) -> dict[bytes, bytes]:
    """All that there is to tell, ADDR last."""
    origin = announcement.origin
    client, server = ip_of(origin.client_ip), ip_of(origin.server_ip)
    name = origin.introduction.name
    return {
        # We do not look names up; without this the backend would take ours for the client's.
        b"NAME": _UNAVAILABLE,
        b"PROTO": b"ESMTP",
        b"HELO": name if is_helo(name) else _UNAVAILABLE,
        b"SESSION": origin.session_id.encode("ascii"),
        b"TTL": b"%d" % announcement.hops_left,
        b"PORT": b"%d" % origin.client_port if client is not None else _UNAVAILABLE,
        b"DESTADDR": _address(server),
        b"DESTPORT": b"%d" % origin.server_port if server is not None else _UNAVAILABLE,
        b"ADDR": _address(client),
    }


def _address(address: IPAddress | None) -> bytes:
    if address is None:
        return _UNAVAILABLE
    return (b"IPV6:" if address.version == 6 else b"") + str(address).encode("ascii")
