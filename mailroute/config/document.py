"""The file that is being read, with everything that there is to say about it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from mailroute.config.positions import KeyPath, line_of

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def dotted(path: KeyPath) -> str:
    """Write a key path as TOML does: ``destination."a.b".host``."""
    return ".".join(part if _BARE_KEY.fullmatch(part) else _quoted(part) for part in path)


def _quoted(part: str) -> str:
    escaped = part.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in escaped) + '"'


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the value of a key may refer to: files near the configuration, the environment."""

    folder: str
    """The configuration file's folder; relative paths start here."""
    environment: Mapping[str, str]

    def resolve(self, path: str) -> str:
        """Return ``path`` as an absolute path."""
        return os.path.normpath(os.path.join(self.folder, path))


class Document:
    """Gathers complaints and warnings, each with file, line and key, in the file's order."""

    def __init__(self, path: str, lines: Mapping[KeyPath, int], surroundings: Surroundings) -> None:
        self.path = path
        self.surroundings = surroundings
        self._lines = lines
        self._complaints: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []
        self._http_only: list[KeyPath] = []

    def complain(self, path: KeyPath, message: str) -> None:
        """The configuration cannot be served because of this key."""
        self._complaints.append(self._placed(path, message))

    def warn(self, path: KeyPath, message: str) -> None:
        """The configuration can be served, but its owner should know this."""
        self._warnings.append(self._placed(path, message))

    def ignore_as_http(self, path: KeyPath) -> None:
        """Accept a key that concerns HTTP alone, to be named in one warning."""
        self._http_only.append(path)

    @property
    def complaints(self) -> list[str]:
        return [sentence for _, sentence in sorted(self._complaints, key=_line_number)]

    @property
    def warnings(self) -> tuple[str, ...]:
        sentences = [sentence for _, sentence in sorted(self._warnings, key=_line_number)]
        if self._http_only:
            names = ", ".join(dotted(path) for path in self._http_only)
            sentences.append(f"{self.path}: HTTP only: ignored: {names}")
        return tuple(sentences)

    def _placed(self, path: KeyPath, message: str) -> tuple[int, str]:
        line = line_of(self._lines, path)
        place = self.path if line is None else f"{self.path}:{line}"
        subject = f"{dotted(path)}: " if path else ""
        return line or 0, f"{place}: {subject}{message}"


def _line_number(placed: tuple[int, str]) -> int:
    return placed[0]
