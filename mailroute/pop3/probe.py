"""What a POP3 server offers, asked without a login, and what we may promise in its place."""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Accepted
from mailroute.pop3.client import Pop3Client, State

_BACKENDS = frozenset({"TOP", "UIDL", "PIPELINING"})
"""What the server has to keep behind the login; the rest are our own words."""


class Pop3Probe(Pop3Client):
    """Ends with the list of capabilities, over the channel that a login would take."""

    def _log_in(self) -> None:
        found = tuple(sorted(self._capabilities))
        self._command(State.CAPA, b"QUIT")
        self._accept(Accepted(found))


def kept(own: Sequence[str], learnt: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """Those of our capabilities that every server has too; ``learnt`` is in upper case."""
    return tuple(
        name for name in own if name not in _BACKENDS or all(name in found for found in learnt)
    )
