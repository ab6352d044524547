"""The parameter ``domain``: only addresses in listed domains are asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.postfix.braces import items
from mailroute.tables.postfix.lines import read_text
from mailroute.tables.postfix.template import parts
from mailroute.tables.string_table import StringTable

OpenMap = Callable[[str], StringTable]
"""Opens ``type:name``."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item: a domain, a table of domains, or a file that cannot be read (``fault``)."""

    wanted: bool
    """Whether a match lets the key through; ``!`` makes it the opposite."""
    domain: str = ""
    table: StringTable | None = None
    fault: str = ""


class DomainList:
    """A list of domains; the first item that matches decides."""

    def __init__(self, text: str, open_map: OpenMap) -> None:
        """Raises ConfigurationError for an item or a table that cannot be read."""
        self._items = list(_read(text, open_map, True))
        self.is_empty = not text.strip()

    @property
    def tables(self) -> list[StringTable]:
        """The tables in the list, which have to be started and closed."""
        return [item.table for item in self._items if item.table is not None]

    @property
    def warnings(self) -> list[str]:
        """Faults of the list that make lookups fail."""
        return [item.fault for item in self._items if item.fault]

    async def lets_through(self, key: str) -> bool:
        """Whether a key is to be asked for; it is already folded.

        Raises LookupFailed when a table of the list cannot tell.
        """
        if self.is_empty:
            return True
        local, domain = parts(key)
        if not local or not domain:
            return False
        for item in self._items:
            if item.fault:
                raise LookupFailed(item.fault)
            if item.table is not None:
                matches = await item.table.get(domain) is not None
            else:
                matches = item.domain == domain.casefold()
            if matches:
                return item.wanted
        return False


def _read(text: str, open_map: OpenMap, wanted: bool) -> Iterator[Item]:
    for written in items(text):
        if written.startswith("#"):
            # Postfix, too, ignores what follows: a comment cannot stand at the end of a line.
            return
        pattern = written.lstrip("!")
        mine = wanted ^ (len(written) - len(pattern)) % 2
        if not pattern:
            raise ConfigurationError(["domain: nothing follows a '!'"])
        if pattern.startswith("/"):
            yield from _from_file(pattern, open_map, bool(mine))
        elif ":" in pattern and not pattern.startswith("["):
            yield Item(bool(mine), table=open_map(pattern))
        else:
            yield Item(bool(mine), domain=pattern.casefold())


def _from_file(path: str, open_map: OpenMap, wanted: bool) -> Iterator[Item]:
    try:
        content = read_text(path, "domain")
    except ConfigurationError as error:
        yield Item(wanted, fault=str(error))
        return
    for line in content.split("\n"):
        if not line.startswith("#"):
            yield from _read(line, open_map, wanted)
