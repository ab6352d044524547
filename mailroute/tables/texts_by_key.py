"""Very many texts by their keys, in little memory, and without a long moment for anybody else.

A dictionary of a million entries is copied each time it outgrows its room, and torn down at its
end, in a single step that no other thread can interrupt: the reactor would stand still meanwhile.
So these are many small dictionaries.
"""

from __future__ import annotations

from collections.abc import Iterator

_SHARDS = 256
_SHARED_TEXTS = 65536
"""Of so many different texts, equal ones are one in memory.  Not of any number: what remembers
them is a single dictionary."""


class TextsByKey:
    """Texts by key; filled by one thread, then read by any."""

    def __init__(self) -> None:
        self._shards: list[dict[str, str]] = [{} for _ in range(_SHARDS)]
        self._shared: dict[str, str] = {}

    def __len__(self) -> int:
        return sum(map(len, self._shards))

    def get(self, key: str) -> str | None:
        """Return the text of the key, None where there is none."""
        # Not the bits of the hash by which the dictionaries themselves go.
        return self._shards[(hash(key) >> 32) % _SHARDS].get(key)

    def put(self, key: str, text: str) -> None:
        """Let this be the text of the key."""
        shared = self._shared.get(text)
        if shared is None:
            shared = text
            if len(self._shared) < _SHARED_TEXTS:
                self._shared[text] = text
        self._shards[(hash(key) >> 32) % _SHARDS][key] = shared

    def seal(self) -> None:
        """Nothing is put any more."""
        self._shared = {}

    def items(self) -> Iterator[tuple[str, str]]:
        """Return all keys and texts, in no order, of this moment: also if it is released then."""
        shards = tuple(self._shards)
        return ((key, text) for shard in shards for key, text in shard.items())

    def release(self) -> None:
        """Give the memory back step by step; nothing is asked any more."""
        while self._shards:
            self._shards.pop()
