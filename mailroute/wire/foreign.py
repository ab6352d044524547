"""Recognises a client that speaks another protocol altogether.

A browser or a TLS client on a plain mail port never recovers, and its bytes are no commands:
it is told from a confused mail client by its first octets and disconnected at once.
"""

from __future__ import annotations

import re

_METHODS = rb"GET|HEAD|POST|PUT|DELETE|OPTIONS|CONNECT|TRACE|PATCH|PRI"
_HTTP = re.compile(rb"(" + _METHODS + rb") [^ \r\n]+ HTTP/")


def foreign_protocol(start: bytes) -> str | None:
    """The stable word for what these first octets of a message are, None for a mail client."""
    if start[:2] == b"\x16\x03":
        return "tls-hello-on-plain-port"
    if _HTTP.match(start):
        return "http-request"
    return None
