"""What an IMAP server offers, asked without a login, and what we may promise in its place."""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Accepted
from mailroute.imap.client import ImapClient, State

_OURS = frozenset({"IMAP4REV1", "SASL-IR"})
"""What ends before the login, or is what we speak: no server has to offer it."""


class ImapProbe(ImapClient):
    """Ends with the list of capabilities, over the channel that a login would take."""

    def _log_in_or_ask(self) -> None:
        if self._capabilities is None:
            self._command(State.CAPABILITY, b"CAPABILITY")
        else:
            found = tuple(sorted(self._capabilities))
            self._command(State.CAPABILITY, b"LOGOUT")
            self._accept(Accepted(found))


def kept(own: Sequence[str], learnt: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """Those of our capabilities that every server has too; ``learnt`` is in upper case."""
    return tuple(name for name in own if all(_has(found, name.upper()) for found in learnt))


def _has(found: frozenset[str], name: str) -> bool:
    # RFC 7888 section 5: what takes LITERAL+ takes LITERAL-.
    return name in _OURS or name in found or (name == "LITERAL-" and "LITERAL+" in found)
