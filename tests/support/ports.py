"""TCP ports on loopback: free ones, and waiting until somebody listens."""

from __future__ import annotations

import fcntl
import os
import random
import socket
import tempfile
import time
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10240
ROOTS_PORTS = range(512, 1024)
"""Those that only root may bind, without the best known."""
MOST_GIVEN = 5000
"""So many are kept for us; whoever was given one before these has ended long ago."""

_given: deque[int] = deque()


def free_ports(count: int, among: range | None = None) -> list[int]:
    """Return that many different ports that nobody uses at the moment.

    None of those that the kernel gives to connections: one of them may be given away before
    somebody listens.  And each is given once: to nobody else while a server is about to listen,
    or is stopped and will come back; neither by this process nor by tests that run beside it.
    ``among``: only these.
    """
    among = among or range(LOWEST_PORT, _lowest_of_connections())
    ports: list[int] = []
    while len(ports) < count:
        port = random.choice(among)
        if _reserved(port) and _is_unused(port):
            ports.append(port)
    return ports


def _reserved(port: int) -> bool:
    """Whether the port is ours from now on."""
    if port in _given:
        return False
    try:
        # The lock of one octet (fcntl(2)); a process may have its own locks again.
        fcntl.lockf(_register(), fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except OSError:
        return False
    _given.append(port)
    if len(_given) > MOST_GIVEN:
        fcntl.lockf(_register(), fcntl.LOCK_UN, 1, _given.popleft())
    return True


@cache
def _register() -> int:
    """A file of this user in which an octet is locked for each port that was given.

    It stays open, and is opened once: the first close would end every lock of this process.
    """
    path = Path(tempfile.gettempdir()) / f"mailroute-tests-ports-{os.getuid()}"
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _is_unused(port: int) -> bool:
    with socket.socket() as taken:
        try:
            taken.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def _lowest_of_connections() -> int:
    return int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])


def is_open(port: int) -> bool:
    """Whether somebody accepts connections on the port."""
    try:
        socket.create_connection((LOOPBACK, port), timeout=5).close()
    except OSError:
        return False
    return True


def poll(condition: Callable[[], object], seconds: float) -> bool:
    """Wait until the condition holds; return whether it did within so many seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
