"""The contract of every lookup table.

``lookup`` has three answers and no other: a ``Row`` (found), ``None`` (absent) and
``LookupFailed`` (the table could not tell).  Whoever calls a table keeps the three apart.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True)
class Key:
    """What is looked up, and the circumstances that a query may ask for by name.

    ``identifier`` is the normalised account.  The others are the values of the named
    parameters ``:protocol :client_ip :server_ip :sni``.
    """

    identifier: str
    protocol: str = ""
    client_ip: str = ""
    server_ip: str = ""
    sni: str = ""
    extension_delimiter: str = ""

    @property
    def local(self) -> str:
        """The part before the last ``@``, without the extension; the whole without an ``@``."""
        local = self.identifier.rpartition("@")[0] if "@" in self.identifier else self.identifier
        return self._split(local)[0]

    @property
    def ext(self) -> str:
        """The extension (``user+ext@domain``), empty where there is none."""
        local = self.identifier.rpartition("@")[0] if "@" in self.identifier else self.identifier
        return self._split(local)[1]

    @property
    def domain(self) -> str:
        """The part behind the last ``@``, empty without one."""
        return self.identifier.rpartition("@")[2] if "@" in self.identifier else ""

    @property
    def user(self) -> str:
        """The identifier without its extension."""
        return f"{self.local}@{self.domain}" if "@" in self.identifier else self.local

    def _split(self, local: str) -> tuple[str, str]:
        if not self.extension_delimiter:
            return local, ""
        base, _, extension = local.partition(self.extension_delimiter)
        # A leading delimiter is part of the name, as in Postfix.
        return (base, extension) if base else (local, "")


@dataclass(frozen=True, slots=True)
class Row:
    """One found row: the destination (the first column) and the named columns beside it."""

    destination: str | None
    columns: Mapping[str, str] = field(default_factory=dict, repr=False)
    """By name; one of them may be a password."""


class Table(Protocol):
    """A lookup table."""

    varies_on: frozenset[str]
    """Which of the key's values beside the identifier can change the answer."""

    async def lookup(self, key: Key) -> Row | None:
        """Return the row, or None where there is certainly none.

        Raises LookupFailed when the table could not answer.
        """
