"""Lookups in a text file that is read whole: ``identifier destination`` on each line."""

from __future__ import annotations

from collections.abc import Container, Mapping

from mailroute.errors import ConfigurationError
from mailroute.tables.contract import Key, Row


class FileTable:
    """The content of a file, held in memory.

    Words are separated by white space, words after the second are ignored, as are empty lines
    and lines that begin with ``#``; of an identifier's lines the last counts.  The key is the
    identifier without its extension.
    """

    varies_on: frozenset[str] = frozenset()

    def __init__(self, path: str, destinations: Container[str]) -> None:
        """Load the file.

        Raises ConfigurationError when it cannot be read or names what is not among
        ``destinations``: every complaint at once, with file and line.
        """
        self._path = path
        self._destinations = destinations
        self._rows: Mapping[str, Row] = {}
        self.reload()

    def __len__(self) -> int:
        return len(self._rows)

    def reload(self) -> None:
        """Read the file anew.  If it raises ConfigurationError, the old content stays whole."""
        self._rows = _load(self._path, self._destinations)

    async def lookup(self, key: Key) -> Row | None:
        """Return the row of the identifier, None without one.  Never fails."""
        return self._rows.get(key.user)

    async def start(self) -> None:
        """Nothing to start: every table has the same life."""

    async def close(self) -> None:
        """Nothing to close."""


def _load(path: str, destinations: Container[str]) -> dict[str, Row]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            lines = file.read().split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"mapping.file.path: {path} cannot be read: {error}"]) from None
    rows: dict[str, Row] = {}
    known: dict[str, Row] = {}
    complaints = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if len(words) < 2:
            complaints.append(f"{path}:{number}: '{words[0]}' has no destination")
        elif words[1] not in destinations:
            complaints.append(f"{path}:{number}: there is no destination '{words[1]}'")
        else:
            # One Row for all identifiers of a destination.
            rows[words[0]] = known.setdefault(words[1], Row(words[1]))
    if complaints:
        raise ConfigurationError(complaints)
    return rows
