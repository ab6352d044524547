"""The peers: each module has one proxy and its configuration; ``direct`` is no proxy at all."""

from __future__ import annotations

from benchmarks.peers.contract import Peer
from benchmarks.peers.dovecot import Dovecot
from benchmarks.peers.haproxy import Haproxy
from benchmarks.peers.mailroute import Mailroute
from benchmarks.peers.nginx import Nginx
from benchmarks.peers.perdition import Perdition

__all__ = ["Mailroute", "Peer", "all_peers"]


def all_peers(python: str) -> dict[str, Peer]:
    """Every peer by its name; mailroute runs with this Python."""
    found: list[Peer] = [
        Nginx(),
        Mailroute(python),
        Dovecot(),
        Perdition(),
        Haproxy(),
        Nginx(workers=2),
        Mailroute(python, workers=2),
        Mailroute(python, accounts=10_000),
        Mailroute(python, accounts=1_000_000),
    ]
    return {peer.name: peer for peer in found}
