"""The part of an e-mail address before the ``@``, without its quotes."""

from __future__ import annotations

from mailroute.tables.string_table import StringTable, Values


class LocalPartTable(StringTable):
    """Leads from an address to its local part, unquoted; what is no address is absent.

    ``postmaster``, in any case, is an address without a domain (RFC 5321 section 4.1.1.3).
    """

    kind = "email_localpart"

    async def get(self, key: str) -> Values | None:
        """Return the local part.  Never fails."""
        local = _local_part(key)
        if local is None:
            return None
        try:
            return (unquoted(local),)
        except ValueError:
            return None


class OptionalLocalPartTable(StringTable):
    """The same, where what has no local part leads to itself.

    A local part that cannot be unquoted stays as it is.
    """

    kind = "email_localpart_optional"

    async def get(self, key: str) -> Values | None:
        """Return the local part, else the key.  Never fails."""
        local = _local_part(key)
        if local is None:
            return (key,)
        try:
            return (unquoted(local),)
        except ValueError:
            return (local,)


def _local_part(address: str) -> str | None:
    if address.lower() == "postmaster":
        return address
    local, _, domain = address.rpartition("@")
    return local if local and domain else None


def unquoted(local: str) -> str:
    """Undo the quoting of a local part (RFC 5321 section 4.1.2, Quoted-string).

    Raises ValueError for what is none: a bare ``@`` or backslash, an unfinished quotation, text
    behind it, nothing at all.
    """
    if not local.startswith('"'):
        if not local or any(sign in local for sign in '@\\"'):
            raise ValueError(f"{local!r} is not a local part")
        return local
    if len(local) < 2 or not local.endswith('"'):
        raise ValueError(f"{local!r} is not a local part: its quotation does not end")
    text = ""
    signs = iter(local[1:-1])
    for sign in signs:
        if sign == '"':
            raise ValueError(f"{local!r} is not a local part: there is text behind its quotation")
        if sign == "\\":
            sign = next(signs, "")
            if not sign:
                raise ValueError(f"{local!r} is not a local part: its quotation does not end")
        text += sign
    if not text:
        raise ValueError("a local part is not empty")
    return text
