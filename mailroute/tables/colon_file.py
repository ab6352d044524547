"""Lookups in a text file of ``key: value`` lines that is read again when it changes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock
from twisted.logger import Logger

from mailroute.errors import ConfigurationError, LookupFailed
from mailroute.tables.aside import Aside
from mailroute.tables.colon_lines import Content, load, split_line, written
from mailroute.tables.deadline import Clock
from mailroute.tables.rewriting import rewrite
from mailroute.tables.string_table import Changes, Entry, StringTable, Values

LOOK_SECONDS = 5.0
"""How often the file is looked at.  A changed file is read once it is the same at two looks in a
row, so at most twice this time and the reading itself after its last change."""

Signature = tuple[int, int, int, int]
_log = Logger(namespace="mailroute.tables")


@dataclass(frozen=True, slots=True)
class _Look:
    """What a look at the file showed: when it was written, and its content if it was read."""

    signature: Signature | None = None
    content: Content | None = None
    faults: tuple[str, ...] = ()


class ColonFileTable(StringTable):
    """The content of a file, held in memory.

    A file that is missing, unreadable or wrong is a failure of each lookup, never absence; if
    there was a good one before, what it said stays.
    """

    kind = "file"

    def __init__(self, path: str, clock: Clock, aside: Aside) -> None:
        """Nothing is read yet: ``check`` does, or ``start``."""
        self._path = path
        self._clock = clock
        self._aside = aside
        self._changing = DeferredLock()
        self._content: Content | None = None
        self._judged: Signature | None = None
        self._seen: Signature | None = None
        self._faults: tuple[str, ...] = (f"{path} has not been read yet",)
        self._told: tuple[str, ...] = self._faults
        """What the log has been told of them."""
        self._next_look: Any = None
        self._changed: Callable[[], None] = _nobody

    async def get(self, key: str) -> Values | None:
        """Return the values of the key.  Raises LookupFailed while there was no good file."""
        if self._content is None:
            raise LookupFailed(self._faults[0])
        return self._content.get(key)

    def admit(self, key: str, values: Values) -> None:
        """Raise ValueError for what a line of the file cannot hold."""
        written(key, values)

    async def set(self, key: str, values: Values) -> None:
        """Rewrite the file: comments and the other lines stay.  Raises as the contract says."""
        await self.write(Changes([(key, values)]))

    async def write(self, changes: Changes) -> None:
        """Rewrite the file, once.  Raises as the contract says."""
        entries = (*changes.new, *changes.changed)
        wanted = {key: written(key, values) for key, values in entries}

        def edit(lines: Sequence[str]) -> list[str]:
            left = dict(wanted)
            kept = []
            for key, line in _keyed(lines):
                if key is None or key not in wanted:
                    kept.append(line)
                elif key in left:
                    kept.append(left.pop(key))
            if left:
                kept[-1:] = [f"{last.rstrip()}\n" for last in kept[-1:]]
            return [*kept, *left.values()]

        if wanted:
            await self._edit(edit)

    async def delete(self, key: str) -> bool:
        """Rewrite the file without the key's lines.  Raises as the contract says."""

        def edit(lines: Sequence[str]) -> list[str]:
            return [line for found, line in _keyed(lines) if found != key]

        return await self._edit(edit)

    async def list(self) -> Sequence[Entry]:
        """Return the entries, sorted by their keys."""
        content = self._content
        if content is None:
            raise LookupFailed(self._faults[0])
        # From this moment's content: the thread's turn may come when there is another one.
        entries = content.entries()
        return await self._aside(lambda: sorted(entries))

    def check(self) -> Sequence[str]:
        """Read the file.  Raises ConfigurationError with file and line of each fault in it."""
        look = _look(self._path, None, None, at_once=True)
        self._take(look)
        if look.content is None and look.signature is not None:
            raise ConfigurationError([*look.faults])
        return [f"{fault}; until it can, every lookup fails" for fault in look.faults]

    async def reload(self) -> None:
        """Look at the file now; what is wrong with it is logged, and the old content stays."""
        # Whoever has it read wants to know, also what was told long ago.
        self._told = ()
        await self._look_now(at_once=True)

    def watch(self, changed: Callable[[], None]) -> None:
        """See StringTable."""
        self._changed = changed

    async def start(self) -> None:
        """Read the file, if ``check`` did not, and look at it from time to time."""
        self._next_look = self._clock.callLater(LOOK_SECONDS, self._look_again)
        if self._content is None:
            await self._look_now(at_once=True)

    async def close(self) -> None:
        """Look no more."""
        if self._next_look is not None and self._next_look.active():
            self._next_look.cancel()
        self._next_look = None

    def _look_again(self) -> None:
        self._next_look = self._clock.callLater(LOOK_SECONDS, self._look_again)
        if not self._changing.locked:
            looking = Deferred.fromCoroutine(self._look_now(at_once=False))
            looking.addErrback(
                lambda failure: _log.failure("{path} cannot be looked at", failure, path=self._path)
            )

    async def _look_now(self, at_once: bool) -> None:
        await self._changing.acquire()
        try:
            known = None if at_once else self._judged
            seen = self._seen
            look = await self._aside(lambda: _look(self._path, known, seen, at_once))
            self._tell(look)
            self._take(look)
        finally:
            self._changing.release()

    def _tell(self, look: _Look) -> None:
        if look.content is not None:
            _log.info("{path}: {count} entries read", path=self._path, count=len(look.content))
        elif look.faults != self._told:
            # A fault that lasts is told once.
            end = "every lookup fails" if self._content is None else "the old content stays"
            for fault in look.faults:
                _log.error("{fault}; {end}", fault=fault, end=end)

    def _take(self, look: _Look) -> None:
        self._seen = look.signature
        if look.content is not None or look.faults:
            self._judged = look.signature
        if look.content is not None:
            old, self._content = self._content, look.content
            if old is not None:
                self._aside(old.release)
            self._changed()
        if look.faults or self._content is not None:
            self._faults = self._told = look.faults

    async def _edit(self, edit: Callable[[Sequence[str]], Sequence[str]]) -> bool:
        await self._changing.acquire()
        try:
            changed = await self._aside(lambda: rewrite(self._path, edit))
            look = await self._aside(lambda: _look(self._path, None, None, at_once=True))
            self._take(look)
        except (OSError, UnicodeDecodeError) as error:
            raise LookupFailed(f"{self._path} cannot be changed: {error}") from None
        finally:
            self._changing.release()
        if look.content is None:
            raise LookupFailed(f"{look.faults[0]}; the old content stays")
        return changed


def _nobody() -> None:
    """Remembers nothing."""


def _look(path: str, judged: Signature | None, seen: Signature | None, at_once: bool) -> _Look:
    """Look at the file; read it where it is another than ``judged`` and rests since ``seen``."""
    try:
        signature = _signature(path)
        if signature == judged or not (at_once or signature == seen):
            return _Look(signature)
        content = load(path)
    except OSError as error:
        return _Look(None, None, (f"{path} cannot be read: {error.strerror or error}",))
    except ConfigurationError as error:
        return _Look(signature, None, tuple(error.complaints))
    after = _signature_or_none(path)
    if after != signature and not at_once:
        # It was written while we read: the next look may find it at rest.
        content.release()
        return _Look(after)
    return _Look(after if after == signature else None, content)


def _signature(path: str) -> Signature:
    status = os.stat(path)
    return status.st_mtime_ns, status.st_size, status.st_ino, status.st_dev


def _signature_or_none(path: str) -> Signature | None:
    try:
        return _signature(path)
    except OSError:
        return None


def _keyed(lines: Sequence[str]) -> Iterator[tuple[str | None, str]]:
    """Each line behind its key, or None where it has none."""
    for number, line in enumerate(lines):
        try:
            entry = split_line(line.removeprefix("\ufeff") if number == 0 else line)
        except ValueError:
            entry = None
        yield None if entry is None else entry[0], line
