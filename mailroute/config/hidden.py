"""Texts that nobody is shown."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, repr=False)
class Secret:
    """A text that no ``repr``, log or traceback shows."""

    _value: str

    def reveal(self) -> str:
        """Return the text, for the one place that has to send it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(...)"
