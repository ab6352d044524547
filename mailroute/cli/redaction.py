"""What of a conversation with a backend may be shown: never a secret, whoever says it.

What we write from the login on is masked by its form; what a backend says is withheld where it
repeats a part of the secret.
"""

from __future__ import annotations

import base64
import contextlib
import re

from mailroute.cli.story import MASK
from mailroute.wire.strings import quoted

WITHHELD = "(withheld: it repeats the credentials)"

_TELLING = 8
"""Octets of a secret that tell it from other text."""
_TELLING_BASE64 = 4

_COMMAND = re.compile(
    rb'((?:mr[0-9]+ )?(?:(?:AUTHENTICATE|AUTH) "?[A-Z0-9_-]{1,20}"?|LOGIN|USER))(?: .*)?'
)
_PASS = re.compile(rb"(PASS) .*")
_HARMLESS = re.compile(rb"(mr[0-9]+ CAPABILITY)")


class Redaction:
    """Knows the secrets, and where in the login we are."""

    def __init__(self, secret: bytes) -> None:
        self._pieces: frozenset[bytes] = frozenset()
        self._forms: tuple[re.Pattern[bytes], ...] = (_COMMAND,)
        self.hide(secret)

    def hide(self, secret: bytes) -> None:
        """One more secret; without octets there is nothing to hide."""
        if secret:
            self._pieces |= _pieces(secret)

    def repeats(self, text: bytes) -> bool:
        """Whether the text holds a telling part of a secret, plain, quoted or in base64."""
        folded = text.lower()
        return any(piece in folded for piece in self._pieces)

    def reply(self, line: bytes) -> str:
        """A line of the backend, or words about it."""
        return WITHHELD if self.repeats(line) else _text(line)

    def login(self, line: bytes) -> str:
        """A line of ours that belongs to the login: command and mechanism at most."""
        match = next((m for form in self._forms if (m := form.fullmatch(line))), None)
        # A command stands at the beginning alone; what follows may be the secret itself.
        self._forms = (_PASS,) if match and match[1] == b"USER" else (_HARMLESS,)
        if match is None or self.repeats(match[1]):
            return MASK
        return _text(match[1]) + (f" {MASK}" if len(line) > len(match[1]) else "")


def _pieces(secret: bytes) -> frozenset[bytes]:
    """What nobody may see: every stretch of the secret in the forms in which it travels."""
    found = set(_stretches(secret, _TELLING))
    with contextlib.suppress(ValueError):
        found |= set(_stretches(quoted(secret)[1:-1], _TELLING))
    for before in range(3):
        # Base64 depends on what stands before and behind: only inner characters are the secret's.
        encoded = base64.b64encode(bytes(before) + secret).rstrip(b"=")
        inner = encoded[(before * 8 + 5) // 6 : (before + len(secret)) * 8 // 6]
        if len(inner) >= _TELLING_BASE64:
            found |= set(_stretches(inner, _TELLING))
    return frozenset(piece.lower() for piece in found)


def _stretches(text: bytes, size: int) -> list[bytes]:
    return [text[start : start + size] for start in range(max(len(text) - size, 0) + 1)]


def _text(line: bytes) -> str:
    return line.decode("utf-8", "backslashreplace")
