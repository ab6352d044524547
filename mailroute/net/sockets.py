"""Listening sockets, bound before privileges are dropped."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Mapping

BACKLOG = 1024
_FIRST_PASSED_DESCRIPTOR = 3


def bind_tcp(address: str, port: int) -> socket.socket:
    """A listening TCP socket; raises OSError."""
    bound = reserve_tcp(address, port, is_shared=False)
    try:
        return listening(bound)
    except OSError:
        bound.close()
        raise


def reserve_tcp(address: str, port: int, *, is_shared: bool) -> socket.socket:
    """A bound TCP socket; ``[::]`` takes IPv6 only, so that ``0.0.0.0`` can stand beside it.

    ``is_shared``: the port has several such sockets, over which the kernel spreads connections.
    Raises OSError.
    """
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        # Accepted connections inherit both on Linux, which spares each of them two calls.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind((address, port))
        return bound
    except OSError:
        bound.close()
        raise


def bind_unix(path: str) -> socket.socket:
    """A listening Unix socket; one that a dead process left behind is replaced.

    Raises OSError.
    """
    if _is_abandoned(path):
        os.unlink(path)
    bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        bound.bind(path)
        return listening(bound)
    except OSError:
        bound.close()
        raise


def start_environment() -> dict[str, str]:
    """The environment in which this process was started.

    Twisted takes what systemd has said out of ``os.environ`` as soon as its endpoints are
    imported.  Empty where the kernel does not show it: to a process that has changed its user.
    """
    try:
        with open("/proc/self/environ", "rb") as file:
            pairs = os.fsdecode(file.read()).split("\0")
    except OSError:
        return {}
    return dict(pair.split("=", 1) for pair in pairs if "=" in pair)


def passed_by_systemd(name: str, environment: Mapping[str, str]) -> socket.socket:
    """The listening socket that systemd passed under this name (sd_listen_fds_with_names(3)).

    Raises OSError when there is none.
    """
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    number = environment.get("LISTEN_FDS", "")
    count = int(number) if number.isdecimal() else 0
    is_ours = environment.get("LISTEN_PID") == str(os.getpid())
    if not is_ours or name not in names[:count]:
        raise OSError(errno.ENOENT, f"systemd passed no socket named {name}")
    # A copy: the descriptor itself stays for the next start in this process.
    passed = socket.socket(fileno=os.dup(_FIRST_PASSED_DESCRIPTOR + names.index(name)))
    passed.setblocking(False)
    return passed


def listening(bound: socket.socket) -> socket.socket:
    """Let a bound socket take connections; raises OSError."""
    bound.listen(BACKLOG)
    bound.setblocking(False)
    return bound


def _is_abandoned(path: str) -> bool:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
    except FileNotFoundError:
        return False
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        # Where somebody listens whose queue is full, connecting would wait.
        probe.setblocking(False)
        try:
            probe.connect(path)
        except OSError as error:
            return error.errno == errno.ECONNREFUSED
        return False
