"""Lookups in a text file that is read whole: ``identifier destination`` on each line."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence

from twisted.internet.defer import DeferredLock

from mailroute.errors import ConfigurationError
from mailroute.tables.aside import Aside
from mailroute.tables.contract import Key, Row
from mailroute.tables.text_lines import read_lines
from mailroute.tables.texts_by_key import TextsByKey


class FileTable:
    """The content of a file, held in memory.

    Words are separated by white space, words after the second are ignored, as are empty lines
    and lines that begin with ``#``; of an identifier's lines the last counts.  The key is the
    identifier without its extension.
    """

    varies_on: frozenset[str] = frozenset()

    def __init__(self, path: str, destinations: Container[str], aside: Aside) -> None:
        """Load the file, blocking: nobody is served yet.

        Raises ConfigurationError when it cannot be read or names what is not among
        ``destinations``, with file and line of each fault.
        """
        self._path = path
        self._destinations = destinations
        self._aside = aside
        self._reading = DeferredLock()
        self._places = _load(path, destinations)

    def __len__(self) -> int:
        return len(self._places)

    async def reload(self) -> None:
        """Read the file anew.  If it raises ConfigurationError, the old content stays whole."""
        # One after the other: the last one asked for is the last to count.
        await self._reading.acquire()
        try:
            places = await self._aside(lambda: _load(self._path, self._destinations))
            old, self._places = self._places, places
            self._aside(old.release)
        finally:
            self._reading.release()

    async def lookup(self, key: Key) -> Row | None:
        """Return the row of the identifier, None without one.  Never fails."""
        destination = self._places.get(key.user)
        return None if destination is None else Row(destination)

    def check(self) -> Sequence[str]:
        """Nothing more to try: the file has been read."""
        return ()

    def watch(self, changed: Callable[[], None]) -> None:
        """Nothing changes but by ``reload``."""

    async def start(self) -> None:
        """Nothing to start: every table has the same life."""

    async def close(self) -> None:
        """Nothing to close."""


def _load(path: str, destinations: Container[str]) -> TextsByKey:
    places = TextsByKey()

    def take(line: str) -> None:
        words = line.split()
        if not words or words[0].startswith("#"):
            return
        if len(words) < 2:
            raise ValueError(f"'{words[0]}' has no destination")
        if words[1] not in destinations:
            raise ValueError(f"there is no destination '{words[1]}'")
        places.put(words[0], words[1])

    try:
        read_lines(path, take)
    except OSError as error:
        places.release()
        raise ConfigurationError([f"mapping.file.path: {path} cannot be read: {error}"]) from None
    except ConfigurationError:
        places.release()
        raise
    places.seal()
    return places
