"""What a ManageSieve server offers, asked without a login, and what we may promise in its place."""

from __future__ import annotations

from collections.abc import Sequence

from mailroute.events import Accepted
from mailroute.managesieve.client import ManageSieveClient, State


class ManageSieveProbe(ManageSieveClient):
    """Ends with the extensions of Sieve, over the channel that a login would take."""

    def _introduced(self) -> None:
        if self._starttls:
            super()._introduced()
            return
        found = tuple(self._capabilities.get(b"SIEVE", b"").split())
        self._command(State.GREETING, b"LOGOUT")
        self._accept(Accepted(found))


def kept(own: Sequence[str], learnt: Sequence[frozenset[str]]) -> tuple[str, ...]:
    """The extensions that every server has, ours first; ``learnt`` is in upper case.

    Scripts are the server's affair: whatever all of them take can be promised.
    """
    common = frozenset.intersection(*learnt)
    names = [name for name in own if name.upper() in common]
    known = {name.upper() for name in names}
    return tuple([*names, *sorted(name.lower() for name in common - known)])
