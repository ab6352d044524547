"""TCP ports on loopback: free ones, and waiting until somebody listens."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from contextlib import ExitStack

LOOPBACK = "127.0.0.1"


def free_ports(count: int) -> list[int]:
    """Return that many different ports on which nobody listens at the moment."""
    with ExitStack() as stack:
        ports = []
        for _ in range(count):
            taken = stack.enter_context(socket.socket())
            taken.bind((LOOPBACK, 0))
            ports.append(int(taken.getsockname()[1]))
        return ports


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
