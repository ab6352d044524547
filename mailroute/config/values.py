"""The types of values.  Each takes what TOML gave and returns the value, or raises ValueError
with a sentence that says what is wanted.  A sentence never quotes a secret.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
from collections.abc import Callable
from typing import Any

from mailroute.config.document import Surroundings
from mailroute.config.model import Bind
from mailroute.config.schema import Parser

_DURATION = re.compile(r"(\d+)(ms|s|m|h|d)")
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_ADDRESS = re.compile(r"[0-9A-Fa-f:.]+(%[A-Za-z0-9_.-]+)?")
_HOST_NAME = re.compile(
    r"(?=.{1,253}\Z)[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?"
    r"(\.[A-Za-z0-9_]([A-Za-z0-9_-]*[A-Za-z0-9_])?)*\.?"
)


def shown(raw: object) -> str:
    """Describe a value for a complaint, in bounded length."""
    if isinstance(raw, bool):
        return str(raw).lower()
    if isinstance(raw, (int, float)):
        return str(raw)
    if isinstance(raw, str):
        return repr(raw if len(raw) <= 60 else raw[:57] + "...")
    return "a list" if isinstance(raw, list) else "a table" if isinstance(raw, dict) else "a date"


def anything(raw: object, surroundings: Surroundings) -> object:
    """For keys whose every value but the default is refused."""
    return raw


def boolean(raw: object, surroundings: Surroundings) -> bool:
    """``true`` or ``false``."""
    if isinstance(raw, bool):
        return raw
    raise ValueError(f"must be true or false, not {shown(raw)}")


def text(raw: object, surroundings: Surroundings) -> str:
    """Any text without control characters, also the empty one."""
    if not isinstance(raw, str):
        raise ValueError(f"must be text, not {shown(raw)}")
    if any(ord(c) < 0x20 or 0x7F <= ord(c) < 0xA0 for c in raw):
        raise ValueError("must not contain control characters")
    return raw


def words(raw: object, surroundings: Surroundings) -> str:
    """Text of one or more lines, not blank."""
    if not isinstance(raw, str):
        raise ValueError(f"must be text, not {shown(raw)}")
    if not raw.strip():
        raise ValueError("must not be empty")
    return raw


def words_of_one_line(raw: object, surroundings: Surroundings) -> str:
    """Text on one line, not blank: a name may hold spaces."""
    value = text(raw, surroundings)
    if not value.strip():
        raise ValueError("must not be empty")
    return value


def name(raw: object, surroundings: Surroundings) -> str:
    """Text of at least one character, without white space or control characters."""
    value = text(raw, surroundings)
    if not value or any(c.isspace() for c in value):
        raise ValueError(f"must be a name without white space, not {shown(raw)}")
    return value


def printable_ascii(raw: object, surroundings: Surroundings) -> str:
    """Text that any protocol can carry on one line."""
    value = text(raw, surroundings)
    if not value.strip() or not value.isascii():
        raise ValueError(f"must be printable ASCII text, not {shown(raw)}")
    return value


def whole_number(least: int, most: int) -> Parser:
    """A whole number within bounds."""

    def parse(raw: object, surroundings: Surroundings) -> int:
        if isinstance(raw, int) and not isinstance(raw, bool) and least <= raw <= most:
            return raw
        raise ValueError(f"must be a whole number from {least} to {most}, not {shown(raw)}")

    return parse


port = whole_number(1, 65535)


def duration(raw: object, surroundings: Surroundings) -> float:
    """``"500ms" "10s" "5m" "1h" "2d"`` as seconds; zero is allowed."""
    match = _DURATION.fullmatch(raw) if isinstance(raw, str) and raw.isascii() else None
    if match is None or len(match[1]) > 12:
        wanted = 'must be a duration such as "500ms", "10s", "5m", "1h" or "2d"'
        raise ValueError(f"{wanted}, not {shown(raw)}")
    return int(match[1]) * _UNIT_SECONDS[match[2]]


def some_time(raw: object, surroundings: Surroundings) -> float:
    """A duration longer than zero."""
    seconds = duration(raw, surroundings)
    if seconds <= 0:
        raise ValueError("must be longer than zero")
    return seconds


def choice(*words: str, later: tuple[str, ...] = ()) -> Parser:
    """One of a few words; ``later`` are those whose feature is not built yet."""

    def parse(raw: object, surroundings: Surroundings) -> str:
        if isinstance(raw, str) and raw in words:
            return raw
        wanted = ", ".join(words)
        if isinstance(raw, str) and raw in later:
            raise ValueError(f"{shown(raw)} is not supported yet; use one of: {wanted}")
        raise ValueError(f"must be one of: {wanted}; not {shown(raw)}")

    return parse


def list_of(item: Parser, *, least: int = 0) -> Parser:
    """A list; all bad items are complained of together."""

    def parse(raw: object, surroundings: Surroundings) -> tuple[Any, ...]:
        if not isinstance(raw, (list, tuple)):
            raise ValueError(f"must be a list, not {shown(raw)}")
        if len(raw) < least:
            raise ValueError("must not be an empty list")
        return tuple(_each(item, raw, surroundings))

    return parse


def _each(
    item: Parser, raw: list[object] | tuple[object, ...], surroundings: Surroundings
) -> list[object]:
    values, faults = [], []
    for number, element in enumerate(raw, start=1):
        try:
            values.append(item(element, surroundings))
        except ValueError as error:
            faults.append(f"item {number} {error}")
    if faults:
        raise ValueError("; ".join(faults))
    return values


def path(raw: object, surroundings: Surroundings) -> str:
    """A path; a relative one starts at the configuration file's folder."""
    if not isinstance(raw, str) or not raw or "\0" in raw:
        raise ValueError(f"must be a path, not {shown(raw)}")
    return surroundings.resolve(raw)


def readable_file(raw: object, surroundings: Surroundings) -> str:
    """The path of a regular file that can be opened for reading now."""
    value = path(raw, surroundings)
    try:
        # Asked before opening: a FIFO would keep us waiting.
        if not stat.S_ISREG(os.stat(value).st_mode):
            raise ValueError(f"{value} is not a regular file")
        with open(value, "rb"):
            return value
    except OSError as error:
        raise ValueError(f"cannot read {value}: {error.strerror}") from None


def host(raw: object, surroundings: Surroundings) -> str:
    """A host name or an IP address, without a port; ``[v6]`` loses its brackets."""
    if isinstance(raw, str):
        bare = raw[1:-1] if raw.startswith("[") and raw.endswith("]") else raw
        if _is_address(bare) or (bare == raw and _HOST_NAME.fullmatch(raw)):
            return bare
    raise ValueError(f"must be a host name or an IP address without a port, not {shown(raw)}")


def _is_address(value: str) -> bool:
    # ipaddress takes anything at all for a scope's name.
    if not _ADDRESS.fullmatch(value):
        return False
    try:
        ipaddress.ip_address(value)
    except ValueError:
        return False
    return True


def own_address(raw: object, surroundings: Surroundings) -> str:
    """An IP address that a machine can have: not the one that stands for all."""
    value = text(raw, surroundings)
    try:
        address = ipaddress.ip_address(value)
    except ValueError:
        raise ValueError(f"must be an IP address, not {shown(raw)}") from None
    if address.is_unspecified or address.is_multicast or "%" in value:
        raise ValueError(f"must be one address of this machine, not {shown(raw)}")
    return str(address)


def network(raw: object, surroundings: Surroundings) -> str:
    """An IP network such as ``192.0.2.0/24``, or a single address."""
    value = text(raw, surroundings)
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        wanted = 'must be a network such as "192.0.2.0/24" or "2001:db8::/32"'
        raise ValueError(f"{wanted}, not {shown(raw)}{_hint_at_network(value)}") from None


def _hint_at_network(value: str) -> str:
    try:
        return f"; did you mean {str(ipaddress.ip_network(value, strict=False))!r}?"
    except ValueError:
        return ""


def bind(raw: object, surroundings: Surroundings) -> Bind:
    """``address:port``, ``[v6]:port``, ``unix:/path`` or ``systemd:NAME``."""
    value = text(raw, surroundings)
    kind, _, rest = value.partition(":")
    if kind == "unix" and rest.startswith("/"):
        return Bind("unix", os.path.normpath(rest))
    if kind == "systemd" and rest:
        return Bind("systemd", name(rest, surroundings))
    address, _, digits = value.rpartition(":")
    bracketed = address.startswith("[") and address.endswith("]")
    bare = address[1:-1] if bracketed else address
    # Digits are counted before int(), which takes quadratic time.
    valid = _is_address(bare) and bracketed == (":" in bare) and re.fullmatch("[0-9]{1,5}", digits)
    if not valid or int(digits) > 65535:
        forms = '"address:port", "[v6]:port", "unix:/path" or "systemd:NAME"'
        raise ValueError(f"must be {forms}, not {shown(raw)}")
    return Bind("tcp", str(ipaddress.ip_address(bare)), int(digits))


def sha256_fingerprint(raw: object, surroundings: Surroundings) -> bytes:
    """32 octets in hexadecimal, with or without colons between them."""
    if isinstance(raw, str) and re.fullmatch(r"[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}", raw):
        return bytes.fromhex(raw.replace(":", ""))
    raise ValueError(f"must be a SHA-256 fingerprint: 64 hexadecimal digits, not {shown(raw)}")


def checked(parse: Parser, check: Callable[[Any], str | None]) -> Parser:
    """``parse``, then refuse the value if ``check`` returns a sentence about it."""

    def parse_and_check(raw: object, surroundings: Surroundings) -> Any:
        value = parse(raw, surroundings)
        fault = check(value)
        if fault is not None:
            raise ValueError(fault)
        return value

    return parse_and_check
