"""Changes the file of ``[mapping.file]``: lines of an identifier and a destination."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.rewriting import rewrite
from mailroute.tables.string_table import Changes, Entry, StringTable, Values


class FileMappingEntries(StringTable):
    """The lines of a file.  Comments and other lines stay as they are; looking up is not its
    business: the mapping does, which reads the file when it is told to."""

    kind = "mapping"

    def __init__(self, path: str, changed: Callable[[], Awaitable[None]]) -> None:
        """``changed`` is awaited when the file was; it may raise ConfigurationError."""
        self._path = path
        self._changed = changed

    def admit(self, key: str, values: Values) -> None:
        """Raise ValueError for what is not one word."""
        if len(values) != 1:
            raise ValueError("an account has one destination")
        for word in (key, *values):
            if word.split() != [word]:
                raise ValueError(f"{word!r} is not one word, as the lines of the file need it")
        if key.startswith("#"):
            raise ValueError("a line that begins with # is a comment")

    async def set(self, key: str, values: Values) -> None:
        """Rewrite the file.  Raises LookupFailed, and ValueError for what is not one word."""
        await self.write(Changes([(key, values)]))

    async def write(self, changes: Changes) -> None:
        """Rewrite the file, once.  Raises as ``set``."""
        wanted = {}
        for key, values in (*changes.new, *changes.changed):
            self.admit(key, values)
            wanted[key] = f"{key}\t{values[0]}\n"

        def edit(lines: Sequence[str]) -> list[str]:
            # The last line of an identifier counts: it is the one to keep.
            keys = list(_keys(lines))
            last = {key: number for number, key in enumerate(keys)}
            kept = [
                line if key is None else wanted.get(key, line)
                for number, (key, line) in enumerate(zip(keys, lines, strict=True))
                if key not in wanted or last[key] == number
            ]
            added = [line for key, line in wanted.items() if key not in last]
            if added:
                kept[-1:] = [f"{line.rstrip()}\n" for line in kept[-1:]]
            return kept + added

        await self._rewrite(edit)

    async def delete(self, key: str) -> bool:
        """Rewrite the file without the identifier.  Raises LookupFailed."""

        def edit(lines: Sequence[str]) -> list[str]:
            return [line for found, line in zip(_keys(lines), lines, strict=True) if found != key]

        return await self._rewrite(edit)

    async def list(self) -> Sequence[Entry]:
        """Return what counts of the file.  Raises LookupFailed."""
        try:
            with open(self._path, encoding="utf-8-sig", newline="\n") as file:
                lines = [line.split() for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise LookupFailed(f"{self._path} cannot be read: {error}") from None
        found = {words[0]: (words[1],) for words in lines if _is_entry(words)}
        return list(found.items())

    async def _rewrite(self, edit: Callable[[Sequence[str]], Sequence[str]]) -> bool:
        try:
            is_changed = rewrite(self._path, edit)
            await self._changed()
        except (OSError, UnicodeDecodeError) as error:
            raise LookupFailed(f"{self._path} cannot be changed: {error}") from None
        except ConfigurationError as error:
            raise LookupFailed(f"the file has faults: {error}") from None
        return is_changed


def _is_entry(words: Sequence[str]) -> bool:
    return len(words) > 1 and not words[0].startswith("#")


def _keys(lines: Sequence[str]) -> Iterator[str | None]:
    """The identifier of each line, None for a comment or nothing."""
    for line in lines:
        words = line.removeprefix("\ufeff").split(maxsplit=1)
        yield words[0] if words and not words[0].startswith("#") else None
