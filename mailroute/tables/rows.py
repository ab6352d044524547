"""Makes a Row of what a driver returns: names of columns and values of many types."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from math import isfinite

from mailroute.errors import LookupFailed
from mailroute.tables.contract import Row

RECOGNISED = frozenset(
    {
        *("host", "port", "tls", "tls_name", "forwarding", "username", "password", "master_user"),
        *("mech", "state", "reason", "ttl"),
    }
)
"""The columns beside the first that mean something; what they mean is the router's business."""

_WHOLE_BOUND = 10**15


class RowReader:
    """Reads first rows; tells ``warn`` about unknown columns once."""

    def __init__(self, warn: Callable[[str], None]) -> None:
        self._warn = warn
        self._warned = False

    def read(self, names: Sequence[str], values: Sequence[object]) -> Row | None:
        """Return the row; None where it holds neither a destination nor a known column.

        Raises LookupFailed for a value that is no text.
        """
        if not values:
            raise LookupFailed("the query returns no columns: it has to be a SELECT")
        destination = _text("destination", values[0])
        columns: dict[str, str] = {}
        unknown = []
        for name, value in zip(names[1:], values[1:], strict=True):
            known = name.lower()
            if known not in RECOGNISED:
                unknown.append(name)
            elif text := _text(known, value):
                columns.setdefault(known, text)
        if unknown and not self._warned:
            self._warned = True
            self._warn(f"columns of the query are ignored: {', '.join(unknown)}")
        if not destination and not columns:
            return None
        return Row(destination or None, columns)


def _text(column: str, value: object) -> str:
    """The value without surrounding white space; empty for NULL."""
    if value is None:
        return ""
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise LookupFailed(f"the column '{column}' is not UTF-8") from None
    if isinstance(value, str):
        return value.strip()
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)) and _is_whole(value):
        return str(int(value))
    raise LookupFailed(f"the column '{column}' is neither text nor a whole number")


def text_of(value: object) -> str:
    """Return a driver's value as text, as it is.

    Raises LookupFailed for NULL and for what is neither text nor a number.
    """
    if isinstance(value, (bytearray, memoryview)):
        value = bytes(value)
    if isinstance(value, bytes):
        try:
            value = value.decode("utf-8")
        except UnicodeDecodeError:
            raise LookupFailed("a value is not UTF-8") from None
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float, Decimal)):
        return str(int(value) if _is_whole(value) else value)
    if value is None:
        raise LookupFailed("a value is NULL")
    raise LookupFailed(f"a value is neither text nor a number: {type(value).__name__}")


def _is_whole(value: int | float | Decimal) -> bool:
    # SQLite and aggregates return whole numbers as other types, too.
    return isinstance(value, int) or (
        isfinite(value) and abs(float(value)) < _WHOLE_BOUND and value == int(value)
    )
