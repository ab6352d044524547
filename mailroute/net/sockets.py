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


def fault_of_source(address: str) -> str | None:
    """What is wrong with an IP address to connect from; None where it is this machine's."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((address, 0))
    except OSError as error:
        return os.strerror(error.errno) if error.errno else str(error)
    return None


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


def passed_by_systemd(name: str, environment: Mapping[str, str]) -> socket.socket:
    """The listening socket that systemd passed under this name (sd_listen_fds_with_names(3)).

    Raises OSError when there is none.
    """
    names = environment.get("LISTEN_FDNAMES", "").split(":")[: _count_passed(environment)]
    number = _FIRST_PASSED_DESCRIPTOR + names.index(name) if name in names else -1
    if not _is_listening(number):
        raise OSError(errno.ENOENT, f"systemd passed no socket named {name}")
    # A copy: the descriptor itself stays for the next start in this process.
    passed = socket.socket(fileno=os.dup(number))
    passed.setblocking(False)
    return passed


def _count_passed(environment: Mapping[str, str]) -> int | None:
    """How many sockets were passed to this process; None: as many as there are names."""
    number, pid = environment.get("LISTEN_FDS"), environment.get("LISTEN_PID")
    if number is None and pid is None:
        # Twisted's own plugins remove both when they are loaded, and leave the names.
        return None
    if pid != str(os.getpid()) or number is None or not number.isdecimal():
        return 0
    return int(number)


def _is_listening(number: int) -> bool:
    try:
        with socket.socket(fileno=os.dup(number)) as passed:
            return bool(passed.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN))
    except OSError:
        return False


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
