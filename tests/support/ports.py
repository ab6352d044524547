"""TCP ports on loopback: free ones, and waiting until somebody listens."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path

LOOPBACK = "127.0.0.1"
LOWEST_PORT = 10240


def free_ports(count: int) -> list[int]:
    """Return that many different ports that nobody uses at the moment.

    None of those that the kernel gives to connections: one of them may be given away before
    somebody listens.
    """
    ports: list[int] = []
    with ExitStack() as stack:
        while len(ports) < count:
            port = random.randrange(LOWEST_PORT, _lowest_of_connections())
            taken = stack.enter_context(socket.socket())
            with suppress(OSError):
                taken.bind((LOOPBACK, port))
                ports.append(port)
    return ports


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
