"""E-mail addresses made of a local part and given domains."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mailroute.tables.string_table import StringTable, Values

_DOMAIN = re.compile(r"[^\s@\x00-\x20\x7f]+|\[[^\s\]\x00-\x20\x7f]+\]")
_SPECIALS = re.compile(r'[()<>\[\]:;@\\," ]')


class WithDomainTable(StringTable):
    """Every key leads to itself at each domain, quoted where an address needs it.

    It does not look for a domain in the key: ``bob@x`` becomes ``"bob@x"@example.org``.
    """

    kind = "email_with_domain"

    def __init__(self, domains: Sequence[str]) -> None:
        """Raises ValueError without a domain or with one that cannot be one."""
        if not domains:
            raise ValueError("at least one domain is needed")
        for domain in domains:
            if not _DOMAIN.fullmatch(domain):
                raise ValueError(f"{domain!r} is not a domain")
        self._domains = tuple(domains)

    async def get(self, key: str) -> Values | None:
        """Return the addresses.  Never fails."""
        local = quoted(key)
        return tuple(f"{local}@{domain}" for domain in self._domains)


def quoted(local: str) -> str:
    """Quote a local part if it has to be (RFC 5321 section 4.1.2, Quoted-string)."""
    if not _SPECIALS.search(local):
        return local
    escaped = local.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
